// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fd.h"
#include "client/find.h"
#include "wire/hresult.h"

static char dir[64], path[CLIENT_PATH_MAX];

static void begin(void) {
        snprintf(dir, sizeof dir, "/tmp/sandbar-test-find-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void end(void) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", dir);
        ck_assert_int_eq(system(command), 0);
}

static int socket_of(const char *runtime, const char *tmp, uid_t uid) {
        struct client_options options = {.runtime_dir = runtime, .tmp_dir = tmp};
        return client_user_socket(&options, uid, path);
}

START_TEST(the_users_socket_is_where_the_architecture_says) {
        assert_ok(socket_of("/run/user/7", "/tmp", 7));
        ck_assert_str_eq(path, "/run/user/7/sandbar/vmcompute.sock");
        assert_ok(socket_of("/run/user/0", "/tmp", 0));
        ck_assert_str_eq(path, "/run/user/0/sandbar/vmcompute.sock");
        assert_ok(socket_of(NULL, "/var/tmp", 1000));
        ck_assert_str_eq(path, "/var/tmp/sandbar-1000/vmcompute.sock");
        assert_ok(socket_of(NULL, "/tmp", 0));
        ck_assert_str_eq(path, "/run/sandbar/vmcompute.sock");
        char runtime[CLIENT_PATH_MAX + 1];
        size_t tail = strlen("/sandbar/vmcompute.sock");
        memset(runtime, 'x', sizeof runtime);
        runtime[CLIENT_PATH_MAX - 1 - tail] = 0;
        assert_ok(socket_of(runtime, "/tmp", 7));
        ck_assert_uint_eq(strlen(path), CLIENT_PATH_MAX - 1);
        runtime[CLIENT_PATH_MAX - 1 - tail] = 'x';
        runtime[CLIENT_PATH_MAX - tail] = 0;
        assert_error(socket_of(runtime, "/tmp", 7), -ENAMETOOLONG);
}
END_TEST

static int verify(const char *name, uid_t uid) {
        struct error e = {0};
        snprintf(path, sizeof path, "%s/%s/vmcompute.sock", dir, name);
        int r = client_verify_dir(path, uid, &e);
        ck_assert_int_eq(r < 0, e.hresult != 0);
        return r;
}

static void make_dir(const char *name, mode_t mode) {
        char made[128];
        snprintf(made, sizeof made, "%s/%s", dir, name);
        ck_assert_int_eq(mkdir(made, 0700), 0);
        ck_assert_int_eq(chmod(made, mode), 0);
}

START_TEST(trusts_no_directory_that_others_can_write) {
        begin();
        uid_t self = geteuid();
        make_dir("good", 0700);
        make_dir("readable", 0755);
        make_dir("group", 0770);
        make_dir("all", 0777);
        make_dir("sticky", 01777);
        assert_ok(verify("good", self));
        assert_ok(verify("readable", self));
        assert_error(verify("group", self), -EPERM);
        assert_error(verify("all", self), -EPERM);
        assert_error(verify("sticky", self), -EPERM);
        assert_error(verify("good", self + 1), -EPERM);
        assert_error(verify("missing", self), -ENOENT);
        char link[128], file[128];
        snprintf(link, sizeof link, "%s/link", dir);
        ck_assert_int_eq(symlink("good", link), 0);
        assert_error(verify("link", self), -EPERM);
        snprintf(file, sizeof file, "%s/file", dir);
        close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        assert_error(verify("file", self), -EPERM);
        end();
}
END_TEST

START_TEST(makes_a_directory_only_where_none_is) {
        begin();
        struct error e = {0};
        struct stat st;
        char made[64 + 8];
        snprintf(path, sizeof path, "%s/new/vmcompute.sock", dir);
        snprintf(made, sizeof made, "%s/new", dir);
        mode_t mask = umask(0);
        assert_ok(client_make_dir(path, geteuid(), &e));
        umask(mask);
        ck_assert_int_eq(stat(made, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0700);
        assert_ok(client_make_dir(path, geteuid(), &e));
        ck_assert_int_eq(chmod(made, 0777), 0);
        assert_error(client_make_dir(path, geteuid(), &e), -EPERM);
        ck_assert_ptr_nonnull(strstr(e.text, made));
        end();
}
END_TEST

static int listen_at(const char *at) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(sa.sun_path, sizeof sa.sun_path, "%s", at);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
        ck_assert_int_eq(listen(fd, 1), 0);
        return fd;
}

START_TEST(connects_to_this_users_daemon_only) {
        begin();
        struct error e = {0};
        int fd = -5;
        snprintf(path, sizeof path, "%s/socket", dir);
        assert_error(client_connect_path(path, geteuid(), &e, &fd), -ENOENT);
        ck_assert_uint_eq(e.hresult, HCS_E_SERVICE_NOT_AVAILABLE);
        int listener = listen_at(path);
        e = (struct error){0};
        assert_ok(client_connect_path(path, geteuid(), &e, &fd));
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        fd = fd_close(fd);
        /* Root's daemon is everybody's; another user's is not. */
        if (geteuid() == 0)
                assert_ok(client_connect_path(path, 1234, &e, &fd));
        else
                assert_error(client_connect_path(path, 1234, &e, &fd), -EPERM);
        fd_close(fd);
        close(listener);
        fd = -5;
        assert_error(client_connect_path(path, geteuid(), &e, &fd), -ECONNREFUSED);
        ck_assert_int_eq(fd, -5);
        end();
}
END_TEST

TEST_MAIN("find", the_users_socket_is_where_the_architecture_says,
        trusts_no_directory_that_others_can_write, makes_a_directory_only_where_none_is,
        connects_to_this_users_daemon_only)
