// SPDX-License-Identifier: MIT
/* Which daemon: the sockets that are tried, and how far a path is trusted. */
#pragma once
#include <sys/types.h>
#include "client/client.h"

enum { CLIENT_PATH_MAX = 108 }; /* sun_path */

/* The user's socket: $XDG_RUNTIME_DIR/sandbar/vmcompute.sock; without that variable root's is
 * /run/sandbar/vmcompute.sock, and others' is in sandbar-UID below the temporary directory.
 * -ENAMETOOLONG. */
_warn_unused_ int client_user_socket(
        const struct client_options *options, uid_t uid, char ret[CLIENT_PATH_MAX]);
/* The directory of `path` has to be a directory of this uid that nobody else can write: -ENOENT
 * when it is not there, -EPERM when it is anything else. */
_warn_unused_ int client_verify_dir(const char *path, uid_t uid, struct error *e);
/* Makes it (0700) when it is not there, then verifies. */
_warn_unused_ int client_make_dir(const char *path, uid_t uid, struct error *e);
/* Connects and checks that the daemon runs as this uid or as root. -ENOENT, -ECONNREFUSED: nobody
 * is there. */
_warn_unused_ int client_connect_path(const char *path, uid_t uid, struct error *e, int *ret);
