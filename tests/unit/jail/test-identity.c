// SPDX-License-Identifier: MIT
#include "../test.h"
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "jail/jail.h"

enum { NOBODY = 65534, GROUP = 4321 };

static int in_child(int (*fn)(void)) {
        int status;
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(fn());
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct jail_identity self, peer;

START_TEST(a_peer_is_who_connected) {
        int pair[2];
        assert_ok(jail_identity_self(&self));
        assert_ok(fd_socketpair(SOCK_STREAM, pair));
        assert_ok(jail_identity_peer(pair[0], &peer));
        ck_assert_uint_eq(peer.uid, self.uid);
        ck_assert_uint_eq(peer.gid, self.gid);
        ck_assert_uint_eq(peer.n_groups, self.n_groups);
        ck_assert_mem_eq(peer.groups, self.groups, self.n_groups * sizeof *self.groups);
        close(pair[0]);
        close(pair[1]);
        ck_assert_int_lt(jail_identity_peer(pair[0], &peer), 0);
}
END_TEST

START_TEST(a_process_may_become_itself) {
        assert_ok(jail_identity_self(&self));
        assert_ok(jail_become(&self));
}
END_TEST

static int become_nobody(void) {
        struct jail_identity nobody = {
                .uid = NOBODY, .gid = NOBODY, .n_groups = 1, .groups = {GROUP}};
        gid_t groups[4];
        if (jail_become(&nobody) < 0)
                return 1;
        if (getuid() != NOBODY || geteuid() != NOBODY || getgid() != NOBODY || getegid() != NOBODY)
                return 2;
        if (getgroups(4, groups) != 1 || groups[0] != GROUP)
                return 3;
        if (setuid(0) == 0 || setgid(0) == 0)
                return 4;
        /* and from here to nobody else */
        struct jail_identity other = {.uid = 1, .gid = 1};
        return jail_become(&other) == -EPERM ? 0 : 5;
}

static int become_root_as_nobody(void) {
        struct jail_identity root = {0};
        if (geteuid() == 0 && setuid(NOBODY) < 0)
                return 1;
        return jail_become(&root) == -EPERM ? 0 : 2;
}

START_TEST(root_becomes_a_user_for_good) {
        if (geteuid() == 0)
                ck_assert_int_eq(in_child(become_nobody), 0);
}
END_TEST

START_TEST(a_user_becomes_nobody_else) {
        ck_assert_int_eq(in_child(become_root_as_nobody), 0);
}
END_TEST

TEST_MAIN("identity", a_peer_is_who_connected, a_process_may_become_itself,
        root_becomes_a_user_for_good, a_user_becomes_nobody_else)
