// SPDX-License-Identifier: MIT
/* Programs that stand in for vmcomputed: shell scripts. */
#include "../test.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/fd.h"
#include "client/spawn.h"
#include "wire/hresult.h"

static char script[64];

static struct client_options daemon_of(const char *body) {
        snprintf(script, sizeof script, "/tmp/sandbar-test-spawn-%d", getpid());
        FILE *f = fopen(script, "we");
        ck_assert_ptr_nonnull(f);
        fprintf(f, "#!/bin/sh\n%s\n", body);
        fclose(f);
        ck_assert_int_eq(chmod(script, 0700), 0);
        return (struct client_options){.program = script, .tmp_dir = "/tmp"};
}

static void end(void) {
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        (void)unlink(script);
}

START_TEST(a_private_daemon_gets_its_connection_and_nothing_else) {
        int leak = fcntl(0, F_DUPFD, 20); /* without CLOEXEC */
        struct client_options options =
                daemon_of("[ \"$1 $2\" = '--fd 3' ] || exit 1\n"
                          "[ -e /proc/$$/fd/20 ] && exit 2\n"
                          "[ \"$(ps -o sid= -p $$ 2>/dev/null | tr -d ' ')\" = $$ ] || [ ! -x "
                          "/bin/ps ] || exit 3\n"
                          "read line <&3; echo \"got $line\" >&3; read line <&3; exit 0");
        struct error e = {0};
        int fd;
        pid_t pid;
        char text[32] = "";
        assert_ok(client_spawn_private(&options, &e, &fd, &pid));
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(write(fd, "hello\n", 6), 6);
        ck_assert_int_eq(read(fd, text, sizeof text), 10);
        ck_assert_str_eq(text, "got hello\n");
        close(fd);
        client_reap(pid);
        ck_assert_int_eq(kill(pid, 0), -1);
        close(leak);
        end();
}
END_TEST

START_TEST(a_program_that_is_not_there_hangs_up) {
        struct client_options options = {.program = "/nonexistent/vmcomputed", .tmp_dir = "/tmp"};
        struct error e = {0};
        int fd;
        pid_t pid;
        char c;
        assert_ok(client_spawn_private(&options, &e, &fd, &pid));
        ck_assert_int_eq(read(fd, &c, 1), 0);
        close(fd);
        client_reap(pid);
        end();
}
END_TEST

START_TEST(a_daemon_that_ends_early_is_an_error) {
        struct client_options options = daemon_of("exit 1");
        struct error e = {0};
        int fd = -5;
        assert_error(client_spawn_daemon(&options, "/tmp/sandbar-test-none", &e, &fd), -ECHILD);
        ck_assert_uint_eq(e.hresult, HCS_E_SERVICE_NOT_AVAILABLE);
        ck_assert_int_eq(fd, -5);
        end();
}
END_TEST

START_TEST(sweep_of_faults_leaves_no_process) {
        for (unsigned n = 1;; n++) {
                struct client_options options = daemon_of("read line <&3");
                struct error e = {0};
                int fd = -5;
                pid_t pid = 0;
                fault_arm(FAULT_FD, n);
                int r = client_spawn_private(&options, &e, &fd, &pid);
                bool fired = fault_fired(FAULT_FD);
                fault_arm(FAULT_FD, 0);
                ck_assert_int_eq(r < 0, fired);
                if (r < 0) {
                        ck_assert_int_eq(fd, -5);
                } else {
                        close(fd);
                        client_reap(pid);
                }
                end();
                if (!fired)
                        break;
        }
}
END_TEST

TEST_MAIN("spawn", a_private_daemon_gets_its_connection_and_nothing_else,
        a_program_that_is_not_there_hangs_up, a_daemon_that_ends_early_is_an_error,
        sweep_of_faults_leaves_no_process)
