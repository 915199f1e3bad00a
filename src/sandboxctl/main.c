// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "sandboxctl/command.h"

int main(int argc, char **argv) {
        log_setup("sandboxctl", getenv("SANDBAR_DEBUG") ? LOG_DEBUG : LOG_INFO);
        /* A reader that went away is an error of write(2), not a death in the middle of things. */
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        if (argc < 2) {
                fputs("usage: sandboxctl COMMAND [ARGS...]; sandboxctl --help tells more\n",
                        stderr);
                return EXIT_USAGE;
        }
        if (strcmp(argv[1], "--version") == 0) {
                puts("sandboxctl " SANDBAR_VERSION);
                return 0;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                strcmp(argv[1], "help") == 0) {
                command_help();
                return 0;
        }
        const struct command *c = command_find(argv[1]);
        if (!c) {
                fprintf(stderr,
                        "sandboxctl: there is no command %s; sandboxctl --help lists them\n",
                        argv[1]);
                return EXIT_USAGE;
        }
        return c->run(argc - 1, argv + 1);
}
