// SPDX-License-Identifier: MIT
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include "jail/jail.h"

int jail_identity_self(struct jail_identity *ret) {
        int n = getgroups(JAIL_GROUPS_MAX, ret->groups);
        if (n < 0)
                return errno == EINVAL ? -E2BIG : -errno;
        ret->n_groups = (size_t)n;
        ret->uid = geteuid();
        ret->gid = getegid();
        return 0;
}

int jail_identity_peer(int fd, struct jail_identity *ret) {
        struct ucred cred;
        socklen_t size = sizeof cred;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        size = sizeof ret->groups;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret->groups, &size) < 0)
                return errno == ERANGE ? -E2BIG : -errno;
        ret->n_groups = size / sizeof *ret->groups;
        ret->uid = cred.uid;
        ret->gid = cred.gid;
        return 0;
}

int jail_become(const struct jail_identity *identity) {
        uid_t uid = identity->uid;
        gid_t gid = identity->gid;
        if (geteuid() != 0)
                return uid == geteuid() ? 0 : -EPERM;
        if (setgroups(identity->n_groups, identity->groups) < 0 || setresgid(gid, gid, gid) < 0 ||
                setresuid(uid, uid, uid) < 0)
                return -errno;
        /* Nothing may lead back. */
        if (uid != 0 && setresuid(0, 0, 0) == 0)
                return -EPERM;
        return 0;
}
