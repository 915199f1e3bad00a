// SPDX-License-Identifier: MIT
/* The directory in which host programs meet a system's hvsockets (docs/protocols/hvsocket.md, "On
 * the host"): <directory of the daemon's socket>/hvsocket/<system id>, the owner's and his alone.
 *
 * The owner may do there what he likes: nothing here follows a link, leaves the file system, or
 * takes away what he could not take away himself. A locked directory has a living daemon. */
#pragma once
#include <stdbool.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/guid.h"
#include "jail/jail.h"

#define HVDIR_ROOT    "hvsocket"
#define HVDIR_CONNECT "connect" /* the socket that host programs dial the guest through */

enum {
        HVDIR_NAME_MAX = 64,      /* bytes of an id that is used as a name */
        HVDIR_DEPTH_MAX = 16,     /* of directories that a program made there */
        HVDIR_ENTRIES_MAX = 1024, /* removed at the end; what is beyond stays, with a log line */
        HVDIR_CONNECT_MS = 2000,  /* for a program that is slow to accept */
        HVDIR_BACKLOG = 128,
};

struct hvdir;

/* Makes the directory and the listening socket in it. base_fd is the directory of the daemon's
 * socket; `id` names it when it is a plain file name ([A-Za-z0-9._-], no dot first, at most
 * HVDIR_NAME_MAX) that no other system has, else the runtime id does. */
_warn_unused_ int hvdir_new(int base_fd, const char *id, const struct guid *runtime_id,
        const struct jail_identity *owner, struct error *e, struct hvdir **ret);
/* Removes it with everything in it, and the root with the last one. base_fd is still open. */
struct hvdir *hvdir_free(struct hvdir *dir);
DEFINE_CLEANUP(struct hvdir, hvdir_free)
int hvdir_fd(const struct hvdir *dir);
int hvdir_listen_fd(const struct hvdir *dir); /* non-blocking */
const char *hvdir_name(const struct hvdir *dir);

/* Removes the directories that dead daemons left. */
void hvdir_sweep(int base_fd);

/* Whether something stands there under the service's name: the GUID in lower case, or for a vsock
 * port its decimal number. */
bool hvdir_serves(int dir_fd, const struct guid *service);
/* A non-blocking stream connected to that socket, with the rights of the caller: its descriptor,
 * -EAGAIN when the program has too many that it has not accepted (with `wait`: after
 * HVDIR_CONNECT_MS), -ENOTSOCK for what is none (a link, for instance), -ENOENT, -EACCES,
 * -ECONNREFUSED, -EPROTOTYPE … */
_warn_unused_ int hvdir_connect(int dir_fd, const struct guid *service, bool wait);

/* True and *ret for a GUID, or a vsock port from 0 to HVSOCKET_LISTEN_PORT_MAX. */
_warn_unused_ bool hvdir_parse_service(const char *text, struct guid *ret);
