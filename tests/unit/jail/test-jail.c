// SPDX-License-Identifier: MIT
/* Each test enters the jail in a child, since there is no way out, and asks from inside. */
#include "../test.h"
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "jail/jail.h"

/* 0 when the call fails with EPERM or, behind Landlock or the empty root, another refusal. */
static const char *inside_failure;
#define inside(expr)                                                                               \
        do {                                                                                       \
                if (!(expr)) {                                                                     \
                        inside_failure = #expr;                                                    \
                        return 1;                                                                  \
                }                                                                                  \
        } while (0)

static void enter(const int *fds, size_t n) {
        struct error e = {0};
        char missing[JAIL_TEXT_MAX];
        struct jail_profile profile = {.fds = fds, .n_fds = n};
        if (jail_enter(&profile, missing, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                _exit(99);
        }
}

static int run_child(int (*fn)(void *arg), void *arg) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                int r = fn(arg);
                if (inside_failure)
                        (void)!write(2, inside_failure, strlen(inside_failure));
                _exit(r);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define refused(call) (errno = 0, (call) < 0 && errno == EPERM)

static int forbidden_calls(void *arg) {
        (void)arg;
        char *argv[] = {NULL};
        struct sockaddr sa = {.sa_family = AF_INET};
        inside(refused(open("/etc/passwd", O_RDONLY)));
        inside(refused(openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY)));
        inside(refused(syscall(SYS_open, "/etc/passwd", O_RDONLY)));
        inside(refused(creat("/tmp/x", 0600)));
        inside(refused(socket(AF_UNIX, SOCK_STREAM, 0)));
        inside(refused(socket(AF_INET, SOCK_STREAM, 0)));
        inside(refused(connect(0, &sa, sizeof sa)));
        inside(refused(bind(0, &sa, sizeof sa)));
        inside(refused(execve("/bin/true", argv, argv)));
        inside(refused(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv, 0)));
        inside(refused(fork()));
        inside(refused(syscall(SYS_fork)));
        inside(refused(syscall(SYS_vfork)));
        inside(refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
        inside(refused(syscall(SYS_io_uring_setup, 1, NULL)));
        inside(refused(ptrace(PTRACE_TRACEME, 0, 0, 0)));
        inside(refused(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0)));
        inside(refused(syscall(SYS_kill, 1, 0)));
        inside(refused(syscall(SYS_tgkill, 1, 1, 0)));
        inside(refused(syscall(SYS_bpf, 0, NULL, 0)));
        inside(refused(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL)));
        inside(refused(unshare(CLONE_NEWUSER)));
        inside(refused(syscall(SYS_setuid, 0)));
        inside(refused(syscall(SYS_chroot, "/")));
        inside(refused(unlink("/tmp/x")));
        inside(refused(syscall(SYS_stat, "/etc/passwd", argv)));
        inside(refused(prctl(PR_SET_DUMPABLE, 1)));
        inside(refused(ioctl(0, TIOCSTI, "x")));
        inside(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                MAP_FAILED);
        errno = 0;
        inside(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
        return 0;
}

static int jailed_forbidden_calls(void *arg) {
        enter(NULL, 0);
        return forbidden_calls(arg);
}

START_TEST(opens_no_path_no_socket_and_no_program) {
        ck_assert_int_eq(run_child(jailed_forbidden_calls, NULL), 0);
}
END_TEST

static void *thread_main(void *arg) {
        int *result = arg;
        *result = forbidden_calls(NULL);
        return result;
}

static int jailed_thread(void *arg) {
        (void)arg;
        enter(NULL, 0);
        for (int i = 0; i < 4; i++) {
                pthread_t thread;
                int result = 99;
                inside(pthread_create(&thread, NULL, thread_main, &result) == 0);
                inside(pthread_join(thread, NULL) == 0);
                inside(result == 0);
        }
        return 0;
}

START_TEST(its_threads_are_jailed_too) {
        ck_assert_int_eq(run_child(jailed_thread, NULL), 0);
}
END_TEST

static void on_signal(int signo) {
        (void)signo;
}

static int jailed_work(void *arg) {
        int *kvm = arg;
        enter(kvm, 1);
        int pair[2], efd, tfd, ep;
        uint64_t one = 1;
        inside(fd_socketpair(SOCK_SEQPACKET, pair) == 0);
        inside(send(pair[0], "x", 1, 0) == 1);
        char c;
        inside(recv(pair[1], &c, 1, 0) == 1);
        inside((efd = eventfd(0, EFD_CLOEXEC)) >= 0);
        inside(write(efd, &one, 8) == 8);
        inside((ep = epoll_create1(EPOLL_CLOEXEC)) >= 0);
        struct epoll_event event = {.events = EPOLLIN};
        inside(epoll_ctl(ep, EPOLL_CTL_ADD, efd, &event) == 0);
        inside(epoll_wait(ep, &event, 1, 0) == 1);
        inside((tfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) >= 0);
        inside(dup3(efd, tfd, O_CLOEXEC) == tfd);
        int memory;
        inside(fd_memfd("guest", 1 << 20, &memory) == 0);
        inside(fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
        struct stat st;
        inside(fstat(memory, &st) == 0 && st.st_size == 1 << 20);
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        inside(p != MAP_FAILED);
        inside(madvise(p, 4096, MADV_DONTNEED) == 0);
        inside(mprotect(p, 4096, PROT_READ) == 0);
        inside(signal(SIGUSR1, on_signal) != SIG_ERR);
        inside(pthread_kill(pthread_self(), SIGUSR1) == 0);
        char *large = malloc(8 << 20);
        inside(large);
        free(large);
        if (*kvm >= 0) {
                inside(ioctl(*kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
                int vm = ioctl(*kvm, KVM_CREATE_VM, 0);
                inside(vm >= 0);
                int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
                inside(vcpu >= 0);
        }
        return 0;
}

START_TEST(does_a_workers_work) {
        int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        ck_assert_int_eq(run_child(jailed_work, &kvm), 0);
        if (kvm >= 0)
                close(kvm);
}
END_TEST

static int jailed_descriptors(void *arg) {
        int *fds = arg; /* 0..2 are kept in a strange order, 3 and 4 are not */
        int keep[] = {fds[2], fds[0], fds[1], fds[0], 1};
        enter(keep, 5);
        for (int i = 0; i < 3; i++)
                inside(fcntl(fds[i], F_GETFD) >= 0);
        inside(fcntl(fds[3], F_GETFD) < 0 && errno == EBADF);
        inside(fcntl(fds[4], F_GETFD) < 0 && errno == EBADF);
        inside(fcntl(2, F_GETFD) >= 0);
        return 0;
}

START_TEST(closes_every_descriptor_that_is_not_listed) {
        int fds[5];
        for (int i = 0; i < 5; i++)
                ck_assert_int_ge(fds[i] = eventfd(0, EFD_CLOEXEC), 0);
        int between = fds[2];
        fds[2] = fds[4];
        fds[4] = between;
        ck_assert_int_eq(run_child(jailed_descriptors, fds), 0);
        for (int i = 0; i < 5; i++)
                close(fds[i]);
}
END_TEST

static int jailed_state(void *arg) {
        int *pipes = arg;
        int keep[] = {pipes[1], pipes[2]};
        enter(keep, 2);
        char c = 'r';
        inside(write(pipes[1], &c, 1) == 1);
        inside(read(pipes[2], &c, 1) >= 0);
        return 0;
}

static bool status_says(pid_t pid, const char *line) {
        char path[64], *text = NULL;
        snprintf(path, sizeof path, "/proc/%d/status", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        assert_ok(fd_read_file(fd, 1 << 16, &text, NULL));
        close(fd);
        bool found = strstr(text, line) != NULL;
        free(text);
        return found;
}

START_TEST(the_kernel_says_so) {
        int ready[2], leave[2], pipes[4];
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(leave, O_CLOEXEC), 0);
        memcpy(pipes, ready, sizeof ready);
        memcpy(pipes + 2, leave, sizeof leave);
        pid_t pid = fork();
        if (pid == 0)
                _exit(jailed_state(pipes));
        close(ready[1]);
        char c;
        ck_assert_int_eq(read(ready[0], &c, 1), 1);
        ck_assert(status_says(pid, "NoNewPrivs:\t1\n"));
        ck_assert(status_says(pid, "Seccomp:\t2\n"));
        ck_assert(status_says(pid, "CapEff:\t0000000000000000\n"));
        ck_assert(status_says(pid, "CapPrm:\t0000000000000000\n"));
        close(leave[1]);
        int status;
        waitpid(pid, &status, 0);
        ck_assert_int_eq(status, 0);
        close(ready[0]);
        close(leave[0]);
}
END_TEST

static int jailed_abort(void *arg) {
        (void)arg;
        enter(NULL, 0);
        abort();
}

START_TEST(an_abort_inside_is_seen_as_such) {
        ck_assert_int_eq(run_child(jailed_abort, NULL), -SIGABRT);
}
END_TEST

static void *wait_in_thread(void *arg) {
        char c;
        (void)!read(*(int *)arg, &c, 1);
        return NULL;
}

static int late(void *arg) {
        pthread_t thread;
        struct error e = {0};
        char missing[JAIL_TEXT_MAX] = "sentinel";
        struct jail_profile profile = {0};
        if (pthread_create(&thread, NULL, wait_in_thread, arg) != 0)
                return 2;
        inside(jail_enter(&profile, missing, &e) == -EBUSY);
        inside(strcmp(missing, "sentinel") == 0);
        return 0;
}

START_TEST(refuses_to_be_entered_beside_a_thread) {
        int fds[2];
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        ck_assert_int_eq(run_child(late, fds), 0);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

static int too_many(void *arg) {
        (void)arg;
        int fds[JAIL_FDS_MAX + 1] = {0};
        struct error e = {0};
        char missing[JAIL_TEXT_MAX];
        struct jail_profile profile = {.fds = fds, .n_fds = JAIL_FDS_MAX + 1};
        inside(jail_enter(&profile, missing, &e) == -E2BIG);
        profile.n_fds = JAIL_FDS_MAX;
        inside(jail_enter(&profile, missing, &e) == 0);
        return 0;
}

START_TEST(takes_as_many_descriptors_as_it_says) {
        ck_assert_int_eq(run_child(too_many, NULL), 0);
}
END_TEST

static int as_nobody(void *arg) {
        struct jail_identity nobody = {.uid = 65534, .gid = 65534};
        inside(jail_become(&nobody) == 0);
        inside(getuid() == 65534 && getgid() == 65534);
        inside(setuid(0) < 0);
        return jailed_forbidden_calls(arg);
}

START_TEST(works_for_an_unprivileged_user) {
        if (geteuid() != 0)
                return; /* every other test of this file was one for an unprivileged user */
        ck_assert_int_eq(run_child(as_nobody, NULL), 0);
}
END_TEST

TEST_MAIN("jail", opens_no_path_no_socket_and_no_program, its_threads_are_jailed_too,
        does_a_workers_work, closes_every_descriptor_that_is_not_listed, the_kernel_says_so,
        an_abort_inside_is_seen_as_such, refuses_to_be_entered_beside_a_thread,
        takes_as_many_descriptors_as_it_says, works_for_an_unprivileged_user)
