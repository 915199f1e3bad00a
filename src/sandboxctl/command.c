// SPDX-License-Identifier: MIT
#include "sandboxctl/command.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "sandboxctl/check.h"

const struct command commands[] = {
        {"run", command_run,
                "[--kernel PATH] [--cpus N] [--memory MIB] [--socket PATH] FILE [-- CMD ARGS...]",
                "start a sandbox from a .wsb file, run its command, throw it away"},
        {"check", sandboxctl_check, "[--host] [--json] FILE", "judge a .wsb file"},
        {"cache", command_cache, "fill|clear", "make or remove what the first start would make"},
        {0},
};

const struct command *command_find(const char *name) {
        for (const struct command *c = commands; c->name; c++)
                if (strcmp(c->name, name) == 0)
                        return c;
        return NULL;
}

void command_help(void) {
        puts("usage: sandboxctl COMMAND [ARGS...]\n"
             "       sandboxctl --help | --version\n\n"
             "Disposable machines made from the system that is already installed.\n");
        for (const struct command *c = commands; c->name; c++)
                printf("  %-7s %s\n          %s\n", c->name, c->usage, c->summary);
        puts("\nSee sandboxctl(1).");
}

int command_usage(const char *name, int status, const char *fmt, ...) {
        const struct command *c = command_find(name);
        va_list args;
        fprintf(stderr, "sandboxctl %s: ", name);
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);
        fprintf(stderr, "\nusage: sandboxctl %s %s\n", name, c ? c->usage : "");
        return status;
}

int command_failed(const struct error *e) {
        fprintf(stderr, "sandboxctl: %s (0x%08X)\n", e->text, e->hresult);
        return EXIT_SANDBAR;
}
