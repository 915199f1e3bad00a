// SPDX-License-Identifier: MIT
/* One process in one new sandbox, from the create document to the exit status: the calls that
 * `sandboxctl run` makes, and the streams between the user and the process. */
#pragma once
#include <stdbool.h>
#include "base/error.h"
#include "json/json.h"

struct session_options {
        struct json *document;    /* borrowed */
        const char *socket;       /* NULL: as the environment says */
        const char *const *argv;  /* NULL-terminated, or NULL with */
        const char *command_line; /* for the guest's shell */
        bool console;             /* a pty of the user's terminal's size */
};

/* The process's exit status (128+n for a signal), or negative errno with e filled. A signal that
 * ends us takes the sandbox down and exits from here. */
_warn_unused_ int session_run(const struct session_options *options, struct error *e);
