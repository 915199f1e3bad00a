// SPDX-License-Identifier: MIT
#include "agent/power.h"
#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include "base/clock.h"

#define TERM_GRACE_NS (2 * CLOCK_NS_PER_SEC)
/* After KILL only a process in an uninterruptible sleep is left. */
#define KILL_GRACE_NS (500 * CLOCK_NS_PER_MS)

enum stage { STAGE_UP, STAGE_TERM, STAGE_KILL, STAGE_FINISHED };

struct power {
        const struct power_calls *calls;
        struct io_timer *timer;
        enum stage stage;
        enum power_how how;
        bool forced;
};

static void enter_kill(struct power *power) {
        power->stage = STAGE_KILL;
        io_timer_arm(power->timer, KILL_GRACE_NS, 0);
        power->calls->kill_all(power->calls->ctx, SIGKILL);
}

static void enter_finished(struct power *power) {
        power->stage = STAGE_FINISHED;
        io_timer_disarm(power->timer);
        power->calls->finish(power->calls->ctx, power->how, !power->forced);
}

static void on_timer(void *ctx) {
        struct power *power = ctx;
        if (power->stage == STAGE_TERM)
                enter_kill(power);
        else
                enter_finished(power);
}

int power_new(struct io_loop *loop, const struct power_calls *calls, struct power **ret) {
        _cleanup_(power_freep) struct power *power = calloc(1, sizeof *power);
        if (!power)
                return -ENOMEM;
        power->calls = calls;
        int r = io_timer_new(loop, on_timer, power, &power->timer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(power);
        return 0;
}

struct power *power_free(struct power *power) {
        if (power)
                io_timer_free(power->timer);
        free(power);
        return NULL;
}

void power_begin(struct power *power, enum power_how how, bool forced) {
        if (power->stage == STAGE_UP)
                power->how = how;
        if (forced && power->stage < STAGE_KILL) {
                power->forced = true;
                enter_kill(power);
        } else if (power->stage == STAGE_UP) {
                power->stage = STAGE_TERM;
                io_timer_arm(power->timer, TERM_GRACE_NS, 0);
                power->calls->kill_all(power->calls->ctx, SIGTERM);
        }
}

void power_children_gone(struct power *power) {
        if (power->stage == STAGE_TERM || power->stage == STAGE_KILL)
                enter_finished(power);
}

/* From PID 1, -1 is everything but itself and the kernel's own. A stopped process hears of TERM
 * only when it goes on. */
static void kill_all(_unused_ void *ctx, int signal) {
        (void)kill(-1, signal);
        if (signal == SIGTERM)
                (void)kill(-1, SIGCONT);
}

static void finish(_unused_ void *ctx, enum power_how how, bool with_sync) {
        static const int commands[] = {
                [POWER_OFF] = RB_POWER_OFF,
                [POWER_REBOOT] = RB_AUTOBOOT,
                [POWER_HALT] = RB_HALT_SYSTEM,
        };
        if (with_sync)
                sync();
        (void)reboot(commands[how]);
}

const struct power_calls power_calls_kernel = {.kill_all = kill_all, .finish = finish};
