// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "vmwp/worker.h"

/* vmwp CHANNEL-FD: started by vmcomputed, of no use to a person. */
int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                puts("vmwp " SANDBAR_VERSION);
                return 0;
        }
        char *end = NULL;
        long fd = argc == 2 ? strtol(argv[1], &end, 10) : -1;
        if (!end || *end || fd < 3 || fd > 1 << 20) {
                fputs("vmwp: the worker of one sandbox, started by vmcomputed; see vmwp(8)\n",
                        stderr);
                return 2;
        }
        /* A stream whose reader went away is an error of write(2), not the end of the machine. */
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        log_setup("vmwp", getenv("SANDBAR_DEBUG") ? LOG_DEBUG : LOG_INFO);
        return worker_run((int)fd);
}
