// SPDX-License-Identifier: MIT
/* The end of the machine: TERM to every process, a grace, KILL, sync, and the kernel's call.
 *
 * Threads: the loop's. */
#pragma once
#include <stdbool.h>
#include "base/cleanup.h"
#include "io/loop.h"

enum power_how { POWER_OFF, POWER_REBOOT, POWER_HALT };

/* What a PID 1 does to the machine. */
struct power_calls {
        void (*kill_all)(void *ctx, int signal);
        void (*finish)(void *ctx, enum power_how how, bool sync);
        void *ctx;
};

struct power;

_warn_unused_ int power_new(
        struct io_loop *loop, const struct power_calls *calls, struct power **ret);
struct power *power_free(struct power *power);
DEFINE_CLEANUP(struct power, power_free)
/* Forced: no TERM, no sync. The first call decides how; a later one can only force it. */
void power_begin(struct power *power, enum power_how how, bool forced);
/* No process is left: there is nothing to wait for. Of no effect before power_begin(). */
void power_children_gone(struct power *power);

/* The calls that do it. */
extern const struct power_calls power_calls_kernel;
