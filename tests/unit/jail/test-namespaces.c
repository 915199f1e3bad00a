// SPDX-License-Identifier: MIT
#include "../test.h"
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "jail/parts.h"

static int in_child(int (*fn)(void)) {
        int status;
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(fn());
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Whether this host lets a process have its own: the same steps, by themselves. */
static int probe(void) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0 &&
                unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
                return 1;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
               mount("none", "/dev", "tmpfs", MS_RDONLY, NULL) < 0;
}

static int entered(void) {
        if (jail_namespaces() < 0)
                return 1;
        struct stat st;
        if (stat("/etc", &st) == 0 || stat("/proc", &st) == 0 || stat("/dev", &st) == 0)
                return 2;
        DIR *root = opendir("/");
        if (!root)
                return 3;
        for (struct dirent *e; (e = readdir(root));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        return 4;
        closedir(root);
        if (mkdir("/x", 0700) == 0)
                return 5;
        return chdir("..") == 0 && stat("etc", &st) == 0 ? 6 : 0;
}

START_TEST(the_root_is_empty_where_the_host_allows_it) {
        if (in_child(probe) == 0)
                ck_assert_int_eq(in_child(entered), 0);
        else
                ck_assert_int_eq(in_child(entered), 1);
}
END_TEST

static int without_capabilities(void) {
        if (jail_drop_capabilities() < 0)
                return 1;
        return unshare(CLONE_NEWNET) == 0 || setgid(getgid() + 1) == 0 ? 2 : 0;
}

START_TEST(a_root_without_capabilities_does_what_a_user_does) {
        ck_assert_int_eq(in_child(without_capabilities), 0);
}
END_TEST

TEST_MAIN("namespaces", the_root_is_empty_where_the_host_allows_it,
        a_root_without_capabilities_does_what_a_user_does)
