// SPDX-License-Identifier: MIT
/* The jail of a worker (architecture, decision 8): after jail_enter() a process can run its virtual
 * processors and use the descriptors that it holds, and nothing else. Opening a path, a socket to
 * anywhere, another program or another process fail with EPERM.
 *
 * What is always there, or jail_enter() fails: no_new_privs, not dumpable, no core file, every
 * descriptor but the listed ones closed, capabilities dropped, the seccomp allowlist. What the host
 * may refuse: Landlock with no right at all, and namespaces of its own (user, network, IPC, UTS and
 * mount, the last with an empty root). No PID namespace: the allowlist has no call that reaches
 * another process, and a worker that is PID 1 would survive its own abort().
 *
 * Threads: to be called while the process has one thread; those made later inherit everything. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/error.h"

enum {
        JAIL_FDS_MAX = 32,
        JAIL_GROUPS_MAX = 1024,
        JAIL_TEXT_MAX = 256,
};

struct jail_profile {
        const int *fds; /* stay open, beside 0, 1 and 2 */
        size_t n_fds;
};

/* -EBUSY when there is a second thread, -E2BIG past JAIL_FDS_MAX, or what the kernel said. After a
 * failure the process is in between and has to end. ret_missing gets "" or what the host refused,
 * as text for one log line: "namespaces (Operation not permitted)". */
_warn_unused_ int jail_enter(
        const struct jail_profile *profile, char ret_missing[JAIL_TEXT_MAX], struct error *e);

/* Who a process is for the kernel's permission checks. */
struct jail_identity {
        uid_t uid;
        gid_t gid;
        size_t n_groups;
        gid_t groups[JAIL_GROUPS_MAX];
};

/* The caller's own. */
_warn_unused_ int jail_identity_self(struct jail_identity *ret);
/* That of the process at the other end of a connected AF_UNIX socket, as it was when it connected
 * (SO_PEERCRED, SO_PEERGROUPS). */
_warn_unused_ int jail_identity_peer(int fd, struct jail_identity *ret);
/* Takes the identity on for good, all of it or -EPERM; nothing to do when it is the caller's own.
 * For forked children: in a process with threads only the calling thread would change. */
_warn_unused_ int jail_become(const struct jail_identity *identity);
