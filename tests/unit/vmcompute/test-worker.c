// SPDX-License-Identifier: MIT
/* Processes that stand in for vmwp: shell scripts with the channel at descriptor 3. */
#include "../test.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmcompute/worker.h"

static struct io_loop *loop;
static struct worker *worker;
static bool ended, was_orderly;
static char why[256];
static unsigned messages;

static void on_message(void *ctx, const struct ipc_message *m) {
        (void)ctx;
        (void)m;
        messages++;
}

static void on_ended(void *ctx, bool orderly, const char *cause) {
        (void)ctx;
        ended = true;
        was_orderly = orderly;
        snprintf(why, sizeof why, "%s", cause);
        worker = worker_free(worker);
}

static const struct worker_ops ops = {.message = on_message, .ended = on_ended};
static char script[64];

static int spawn(const char *body) {
        struct error e = {0};
        struct jail_identity self;
        ended = was_orderly = false;
        messages = 0;
        snprintf(script, sizeof script, "/tmp/sandbar-test-worker-%d", getpid());
        FILE *f = fopen(script, "we");
        ck_assert_ptr_nonnull(f);
        fprintf(f, "#!/bin/sh\n%s\n", body);
        fclose(f);
        chmod(script, 0700);
        assert_ok(jail_identity_self(&self));
        worker = NULL;
        assert_ok(io_loop_new(&loop));
        int r = worker_spawn(loop, script, &self, &ops, NULL, &e, &worker);
        ck_assert(r == 0 || e.hresult != 0);
        return r;
}

static void await_end(void) {
        for (int i = 0; i < 1000 && !ended; i++)
                assert_ok(io_loop_once(loop, 100));
        ck_assert(ended);
        ck_assert_ptr_null(worker);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
}

static void clean(void) {
        worker_free(worker);
        io_loop_free(loop);
        unlink(script);
}

START_TEST(says_how_a_worker_ended) {
        static const struct {
                const char *body, *cause;
                bool orderly;
        } cases[] = {
                {"exit 0", "the worker ended with status 0", true},
                {"exit 3", "the worker ended with status 3", false},
                {"kill -SEGV $$", "the worker was killed by signal 11 (Segmentation fault)", false},
                {"kill -KILL $$", "the worker was killed by signal 9 (Killed)", false},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_ok(spawn(cases[i].body));
                await_end();
                ck_assert_str_eq(why, cases[i].cause);
                ck_assert_int_eq(was_orderly, cases[i].orderly);
                clean();
        }
}
END_TEST

START_TEST(names_a_program_that_is_not_there) {
        struct error e = {0};
        struct jail_identity self;
        assert_ok(jail_identity_self(&self));
        assert_ok(io_loop_new(&loop));
        ended = false;
        script[0] = 0;
        assert_ok(worker_spawn(loop, "/nonexistent/vmwp", &self, &ops, NULL, &e, &worker));
        await_end();
        ck_assert_ptr_nonnull(strstr(why, "vmwp"));
        ck_assert(!was_orderly);
        clean();
}
END_TEST

START_TEST(a_worker_that_talks_nonsense_is_killed) {
        assert_ok(spawn("echo nonsense >&3; exec sleep 1000"));
        await_end();
        ck_assert_str_eq(why, "the worker broke the protocol");
        ck_assert_uint_eq(messages, 0);
        clean();
}
END_TEST

START_TEST(a_worker_that_speaks_is_heard_before_its_end) {
        /* NOTICE "hi": version, type 71, length, text */
        assert_ok(spawn("printf '\\001\\000\\107\\000\\002\\000\\000\\000hi' >&3; exit 0"));
        await_end();
        ck_assert_uint_eq(messages, 1);
        ck_assert(was_orderly);
        clean();
}
END_TEST

START_TEST(one_that_hangs_up_and_stays_is_killed) {
        assert_ok(spawn("exec 3>&-; exec sleep 1000"));
        await_end();
        ck_assert_str_eq(why, "the worker was killed by signal 9 (Killed)");
        clean();
}
END_TEST

START_TEST(freeing_kills_and_reaps) {
        assert_ok(spawn("exec sleep 1000"));
        pid_t pid = worker_pid(worker);
        ck_assert_int_gt(pid, 0);
        worker = worker_free(worker);
        ck_assert_int_eq(kill(pid, 0), -1);
        ck_assert_int_eq(errno, ESRCH);
        ck_assert(!ended);
        clean();
}
END_TEST

START_TEST(has_nothing_open_but_its_channel) {
        int leak = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_ok(spawn("[ \"$1\" = 3 ] || exit 1; [ -e /proc/$$/fd/3 ] || exit 2\n"
                        "[ \"$(readlink /proc/$$/fd/0)\" = /dev/null ] || exit 3\n"
                        /* The shell reads its script at 10, and the listing itself was one. */
                        "for fd in /proc/$$/fd/*; do\n"
                        "  [ -e $fd ] || continue\n"
                        "  case ${fd##*/} in 0|1|2|3|10|255) ;; *) exit 4;; esac\n"
                        "done"));
        await_end();
        ck_assert_str_eq(why, "the worker ended with status 0");
        close(leak);
        clean();
}
END_TEST

START_TEST(sweep_of_faults_leaves_no_process) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        struct error e;
        struct jail_identity self;
        assert_ok(jail_identity_self(&self));
        for (int k = 0; k < 2; k++)
                for (unsigned n = 1;; n++) {
                        e = (struct error){0};
                        worker = NULL;
                        assert_ok(io_loop_new(&loop));
                        fault_arm(kinds[k], n);
                        int r = worker_spawn(loop, "/bin/sleep", &self, &ops, NULL, &e, &worker);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        ck_assert_int_eq(r < 0, fired);
                        ck_assert_int_eq(r < 0, e.hresult != 0);
                        worker = worker_free(worker);
                        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
                        io_loop_free(loop);
                        if (!fired)
                                break;
                }
}
END_TEST

TEST_MAIN("worker", says_how_a_worker_ended, names_a_program_that_is_not_there,
        a_worker_that_talks_nonsense_is_killed, a_worker_that_speaks_is_heard_before_its_end,
        one_that_hangs_up_and_stays_is_killed, freeing_kills_and_reaps,
        has_nothing_open_but_its_channel, sweep_of_faults_leaves_no_process)
