// SPDX-License-Identifier: MIT
/* Everything that is not listed fails with EPERM; clone3, whose arguments a filter cannot see, with
 * ENOSYS, upon which the C library uses clone. Another architecture's calls kill the process. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "jail/parts.h"

static const int plain[] = {
        /* descriptors that are there already */
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(preadv),
        SCMP_SYS(pwritev),
        SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2),
        SCMP_SYS(lseek),
        SCMP_SYS(fstat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(close),
        SCMP_SYS(close_range),
        SCMP_SYS(dup),
        SCMP_SYS(dup3), /* a machine that restarts keeps its descriptors' numbers */
        /* sockets that are there already */
        SCMP_SYS(recvmsg),
        SCMP_SYS(sendmsg),
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendto),
        SCMP_SYS(shutdown),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getsockname),
        /* waiting */
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2),
        SCMP_SYS(eventfd2),
        SCMP_SYS(timerfd_create),
        SCMP_SYS(timerfd_settime),
        SCMP_SYS(timerfd_gettime),
        SCMP_SYS(pipe2),
        SCMP_SYS(nanosleep),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(restart_syscall),
        /* memory */
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(mincore),
        SCMP_SYS(brk),
        SCMP_SYS(memfd_create),
        SCMP_SYS(mlock),
        SCMP_SYS(munlock),
        /* threads and signals */
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(gettid),
        SCMP_SYS(getpid),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(membarrier),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigtimedwait),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        /* time and numbers */
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_getres),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(time),
        SCMP_SYS(getrandom),
        SCMP_SYS(getrusage),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
};

/* One row is one further way to be allowed: the argument, masked, equals the value. */
struct conditional {
        int syscall;
        unsigned arg;
        scmp_datum_t mask, value;
};

enum {
        IOCTL_TYPE_MASK = 0xff00, /* _IOC_TYPE */
        IOCTL_TYPE_KVM = 0xae00,  /* KVMIO */
};
#define EXACT 0xffffffffu

static const struct conditional conditionals[] = {
        {SCMP_SYS(ioctl), 1, IOCTL_TYPE_MASK, IOCTL_TYPE_KVM},
        {SCMP_SYS(ioctl), 1, EXACT, FIONBIO},
        {SCMP_SYS(ioctl), 1, EXACT, FIONREAD},
        /* fstat() of the C library; names would resolve in an empty root */
        {SCMP_SYS(newfstatat), 3, EXACT, AT_EMPTY_PATH},
        {SCMP_SYS(fcntl), 1, EXACT, F_GETFD},
        {SCMP_SYS(fcntl), 1, EXACT, F_SETFD},
        {SCMP_SYS(fcntl), 1, EXACT, F_GETFL},
        {SCMP_SYS(fcntl), 1, EXACT, F_SETFL},
        {SCMP_SYS(fcntl), 1, EXACT, F_DUPFD_CLOEXEC},
        {SCMP_SYS(fcntl), 1, EXACT, F_ADD_SEALS},
        {SCMP_SYS(fcntl), 1, EXACT, F_GET_SEALS},
        {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
        {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
        {SCMP_SYS(socketpair), 0, EXACT, AF_UNIX},
        /* threads, not processes */
        {SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM},
        {SCMP_SYS(prctl), 0, EXACT, PR_SET_NAME},
        {SCMP_SYS(prctl), 0, EXACT, PR_GET_NAME},
        /* reading a limit (the new value is NULL) */
        {SCMP_SYS(prlimit64), 2, ~(scmp_datum_t)0, 0},
};

static int add_conditional(scmp_filter_ctx ctx, const struct conditional *c) {
        return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->syscall, 1,
                SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value));
}

static int build(scmp_filter_ctx ctx) {
        int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(plain); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(conditionals); i++)
                r = add_conditional(ctx, &conditionals[i]);
        /* A process may signal its own threads, not others of the same user. */
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                        SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
        /* KVM_RUN goes through the filter each time; calls without conditions are cached by the
         * kernel in a bitmap. */
        if (r == 0)
                r = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), 255);
        return r;
}

int jail_seccomp(void) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        if (!ctx)
                return -ENOMEM;
        int r = build(ctx);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}
