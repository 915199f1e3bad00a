// SPDX-License-Identifier: MIT
#include "client/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/program.h"
#include "client/find.h"
#include "wire/hresult.h"

enum {
        DAEMON_FD = 3, /* its connection */
        EXEC_FAILED = 127,
        START_MS = 10000,
        START_POLL_MS = 10,
        ARGS_MAX = 8,
};

static int find_program(const struct client_options *options, struct error *e, char **ret) {
        if (!options->program)
                return program_find("vmcomputed", e, ret);
        *ret = strdup(options->program);
        return *ret ? 0 : error_set(e, -ENOMEM, 0, "no memory");
}

/* In the child. The daemon leaves the terminal's session, so that Ctrl-C is ours to handle, and
 * keeps nothing of ours but stderr. */
static _Noreturn void become_daemon(const char *program, int fd, char *const argv[]) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                _exit(EXEC_FAILED);
        /* Both numbers may be the same, and then dup2() would keep CLOEXEC. */
        if (fd >= 0 && (fd == DAEMON_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, DAEMON_FD) < 0))
                _exit(EXEC_FAILED);
        /* What a careless program left open without CLOEXEC would live as long as the daemon. */
        (void)close_range(fd >= 0 ? DAEMON_FD + 1 : DAEMON_FD, ~0u, 0);
        execv(program, argv);
        _exit(EXEC_FAILED);
}

int client_spawn_private(
        const struct client_options *options, struct error *e, int *ret_fd, pid_t *ret_pid) {
        _cleanup_free_ char *program = NULL;
        int r = find_program(options, e, &program);
        if (r < 0)
                return r;
        int pair[2];
        r = fd_socketpair(SOCK_STREAM, pair);
        if (r < 0)
                return error_set(e, r, 0, "cannot make a socket: %s", strerror(-r));
        char opt_fd[] = "--fd", fd[] = "3", verbose[] = "--verbose";
        char *const argv[ARGS_MAX] = {program, opt_fd, fd, options->verbose ? verbose : NULL, NULL};
        pid_t pid = fault_hit(FAULT_FD) ? (errno = EAGAIN, -1) : fork();
        if (pid == 0)
                become_daemon(program, pair[1], argv);
        r = pid < 0 ? -errno : 0;
        fd_close(pair[1]);
        if (r < 0) {
                fd_close(pair[0]);
                return error_set(e, r, 0, "cannot start %s: %s", program, strerror(-r));
        }
        *ret_fd = pair[0];
        *ret_pid = pid;
        return 0;
}

/* Until it answers, or has ended. */
static int await_socket(pid_t pid, const char *path, struct error *e, int *ret_fd) {
        uint64_t deadline = clock_now_ns() + START_MS * CLOCK_NS_PER_MS;
        for (;;) {
                struct error attempt = {0};
                int r = client_connect_path(path, geteuid(), &attempt, ret_fd);
                if (r != -ENOENT && r != -ECONNREFUSED) {
                        *e = attempt;
                        return r;
                }
                int status;
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return error_set(e, -ECHILD, HCS_E_SERVICE_NOT_AVAILABLE,
                                "vmcomputed ended before it served \"%s\"", path);
                if (clock_now_ns() > deadline)
                        return error_set(e, -ETIMEDOUT, 0,
                                "vmcomputed did not serve \"%s\" within %d s", path,
                                START_MS / 1000);
                poll(NULL, 0, START_POLL_MS);
        }
}

int client_spawn_daemon(
        const struct client_options *options, const char *path, struct error *e, int *ret_fd) {
        _cleanup_free_ char *program = NULL, *socket = strdup(path);
        int r = socket ? find_program(options, e, &program) : error_set(e, -ENOMEM, 0, "no memory");
        if (r < 0)
                return r;
        char opt_socket[] = "--socket", opt_idle[] = "--idle-timeout", idle[] = "30",
             verbose[] = "--verbose";
        char *const argv[ARGS_MAX] = {program, opt_socket, socket, opt_idle, idle,
                options->verbose ? verbose : NULL, NULL};
        pid_t pid = fault_hit(FAULT_FD) ? (errno = EAGAIN, -1) : fork();
        if (pid == 0)
                become_daemon(program, -1, argv);
        if (pid < 0)
                return error_set(e, -errno, 0, "cannot start %s: %m", program);
        return await_socket(pid, path, e, ret_fd);
}

void client_reap(pid_t pid) {
        _cleanup_close_ int pidfd = pidfd_open(pid, 0);
        struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
        uint64_t deadline = clock_now_ns() + CLIENT_END_MS * CLOCK_NS_PER_MS;
        int n = 0;
        while (pidfd >= 0 && n <= 0) {
                uint64_t now = clock_now_ns();
                if (now >= deadline)
                        break;
                n = poll(&poll_fd, 1, (int)((deadline - now) / CLOCK_NS_PER_MS) + 1);
        }
        if (n <= 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
