// SPDX-License-Identifier: MIT
/* Starting a vmcomputed. */
#pragma once
#include <sys/types.h>
#include "client/client.h"

/* A daemon for this connection only: *ret_fd is our end, *ret_pid the process to wait for. */
_warn_unused_ int client_spawn_private(
        const struct client_options *options, struct error *e, int *ret_fd, pid_t *ret_pid);
/* A daemon that outlives us and listens at `path`; returns when it answers there. */
_warn_unused_ int client_spawn_daemon(
        const struct client_options *options, const char *path, struct error *e, int *ret_fd);
/* Waits for a private daemon whose connection was closed; one that stays is killed. */
void client_reap(pid_t pid);
