// SPDX-License-Identifier: MIT
/* What the commands of sandboxctl share: their table, exit statuses, and messages. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

enum {
        EXIT_SANDBAR = 125, /* our own failure, when the status could be the guest's */
        EXIT_USAGE = 2,     /* of commands whose status is only ours */
};

struct command {
        const char *name;
        int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
        const char *usage;                 /* one line, without the name */
        const char *summary;
};

/* Ends with a NULL name. */
extern const struct command commands[];
const struct command *command_find(const char *name);
void command_help(void);
/* "sandboxctl NAME: text" and the usage line on stderr; returns status. */
int command_usage(const char *name, int status, const char *fmt, ...) _printf_(3, 4);
/* "sandboxctl: text (0x800705B4)" on stderr; returns EXIT_SANDBAR. */
int command_failed(const struct error *e);

/* argv[0] is the command's name. */
int command_run(int argc, char **argv);
int command_cache(int argc, char **argv);
