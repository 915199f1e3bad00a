// SPDX-License-Identifier: MIT
/* cexecsvc: the guest's PID 1, and under the names poweroff, reboot and halt the commands that tell
 * it to end the machine (the kernel runs /sbin/poweroff when the host asks for a shutdown). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include "agent/agent.h"
#include "agent/init.h"
#include "agent/power.h"
#include "agent/vsock.h"
#include "base/log.h"

/* The signals of busybox's init, so that its commands work too. */
static const struct command {
        const char *name;
        int signal;
        enum power_how how;
} commands[] = {
        {"poweroff", SIGUSR2, POWER_OFF},
        {"reboot", SIGTERM, POWER_REBOOT},
        {"halt", SIGUSR1, POWER_HALT},
};

struct init {
        struct agent *agent;
        struct power *power;
        int signals;
};

static int run_command(const struct command *command, int argc, char **argv) {
        bool force = argc == 2 && strcmp(argv[1], "-f") == 0;
        if (argc > 2 || (argc == 2 && !force)) {
                fprintf(stderr, "usage: %s [-f]\n", command->name);
                return 2;
        }
        if (force)
                power_calls_kernel.finish(NULL, command->how, true);
        else if (kill(1, command->signal) == 0)
                return 0;
        fprintf(stderr, "%s: %s\n", command->name, strerror(errno));
        return 1;
}

static void on_shutdown(void *ctx, bool forced) {
        struct init *init = ctx;
        power_begin(init->power, POWER_OFF, forced);
}

static void on_signal(void *ctx, _unused_ unsigned events) {
        struct init *init = ctx;
        struct signalfd_siginfo info;
        while (read(init->signals, &info, sizeof info) == (ssize_t)sizeof info) {
                if (info.ssi_signo == SIGINT) /* ctrl-alt-del */
                        power_begin(init->power, POWER_REBOOT, false);
                for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                        if (info.ssi_signo == (uint32_t)commands[i].signal)
                                power_begin(init->power, commands[i].how, false);
        }
        /* After the orders: they may be what there is nobody left to wait for. */
        if (!agent_reap(init->agent))
                power_children_gone(init->power);
}

static int open_signals(void) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGINT);
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                sigaddset(&set, commands[i].signal);
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static const struct agent_ops ops = {.shutdown = on_shutdown};

static int serve(void) {
        _cleanup_(io_loop_freep) struct io_loop *loop = NULL;
        struct init init = {.signals = open_signals()};
        struct io_source *source;
        int r = init.signals;
        if (r >= 0)
                r = io_loop_new(&loop);
        if (r >= 0)
                r = power_new(loop, &power_calls_kernel, &init.power);
        if (r >= 0)
                r = agent_new(loop, &agent_vsock, &ops, &init, &init.agent);
        if (r >= 0)
                r = io_source_new(loop, init.signals, IO_READ, on_signal, &init, &source);
        return r >= 0 ? io_loop_run(loop) : r;
}

static int usage(FILE *to, int status) {
        fputs("usage: cexecsvc [--help | --version]\n"
              "The agent of a Sandbar guest. Without an option it is the guest's PID 1; under the\n"
              "names poweroff, reboot and halt it ends the machine (-f: at once).\n",
                to);
        return status;
}

int main(int argc, char **argv) {
        const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(name, commands[i].name) == 0)
                        return run_command(&commands[i], argc, argv);
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return puts("cexecsvc " SANDBAR_VERSION) < 0;
        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return usage(stdout, 0);
        /* The kernel hands PID 1 whatever it did not understand of its command line. */
        if (getpid() != 1)
                return usage(stderr, 2);
        init_console();
        log_setup("cexecsvc", LOG_INFO);
        init_run();
        (void)reboot(RB_DISABLE_CAD);
        int r = serve();
        /* A PID 1 that ends is a kernel panic, whose text would hide this one. */
        log_error("the agent cannot go on: %s", strerror(-r));
        power_calls_kernel.finish(NULL, POWER_OFF, true);
        return 1;
}
