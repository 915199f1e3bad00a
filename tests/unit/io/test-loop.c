// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "io/loop.h"

static struct io_loop *loop;

static void new_loop(void) {
        loop = NULL;
        assert_ok(io_loop_new(&loop));
}

struct record {
        unsigned values[64];
        unsigned n;
};

static struct record record;
static void note_one(void *ctx) {
        record.values[record.n++] = (unsigned)(uintptr_t)ctx;
}

START_TEST(posted_calls_run_in_order_and_once) {
        new_loop();
        record.n = 0;
        for (uintptr_t i = 0; i < 50; i++)
                assert_ok(io_loop_post(loop, note_one, (void *)i));
        ck_assert_uint_eq(record.n, 0);
        assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_eq(record.n, 50);
        for (unsigned i = 0; i < 50; i++)
                ck_assert_uint_eq(record.values[i], i);
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(record.n, 50);
        io_loop_free(loop);
}
END_TEST

static void post_again(void *ctx) {
        unsigned *left = ctx;
        if (--*left > 0)
                assert_ok(io_loop_post(loop, post_again, ctx));
        else
                io_loop_stop(loop);
}

START_TEST(a_call_may_post_the_next) {
        new_loop();
        unsigned left = 1000;
        assert_ok(io_loop_post(loop, post_again, &left));
        assert_ok(io_loop_run(loop));
        ck_assert_uint_eq(left, 0);
        /* and the loop may be run again */
        left = 3;
        assert_ok(io_loop_post(loop, post_again, &left));
        assert_ok(io_loop_run(loop));
        ck_assert_uint_eq(left, 0);
        io_loop_free(loop);
}
END_TEST

START_TEST(calls_that_never_ran_are_freed_with_the_loop) {
        new_loop();
        record.n = 0;
        assert_ok(io_loop_post(loop, note_one, NULL));
        assert_ok(io_loop_post(loop, note_one, NULL));
        io_loop_free(loop);
        ck_assert_uint_eq(record.n, 0);
}
END_TEST

enum { POSTERS = 4, POSTS = 2000 };
static unsigned counted;
static unsigned last_of[POSTERS];
static void count_post(void *ctx) {
        unsigned v = (unsigned)(uintptr_t)ctx, who = v / POSTS, i = v % POSTS;
        ck_assert_uint_eq(last_of[who], i);
        last_of[who]++;
        if (++counted == POSTERS * POSTS)
                io_loop_stop(loop);
}

static void *poster(void *arg) {
        uintptr_t base = (uintptr_t)arg * POSTS;
        for (uintptr_t i = 0; i < POSTS; i++)
                if (io_loop_post(loop, count_post, (void *)(base + i)) < 0)
                        abort();
        return NULL;
}

START_TEST(threads_post_without_losing_one) {
        new_loop();
        counted = 0;
        memset(last_of, 0, sizeof last_of);
        pthread_t threads[POSTERS];
        for (uintptr_t i = 0; i < POSTERS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, poster, (void *)i), 0);
        assert_ok(io_loop_run(loop));
        for (unsigned i = 0; i < POSTERS; i++)
                pthread_join(threads[i], NULL);
        ck_assert_uint_eq(counted, POSTERS * POSTS);
        io_loop_free(loop);
}
END_TEST

static void *stopper(void *arg) {
        (void)arg;
        io_loop_stop(loop);
        return NULL;
}

START_TEST(another_thread_stops_the_loop) {
        new_loop();
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, stopper, NULL), 0);
        assert_ok(io_loop_run(loop));
        pthread_join(thread, NULL);
        io_loop_free(loop);
}
END_TEST

/* Descriptors */

struct watcher {
        struct io_source *source, *other;
        unsigned calls, events;
};

static void on_ready(void *ctx, unsigned events) {
        struct watcher *w = ctx;
        w->calls++;
        w->events |= events;
        w->other = io_source_free(w->other);
}

static void on_ready_free_self(void *ctx, unsigned events) {
        on_ready(ctx, events);
        struct watcher *w = ctx;
        w->source = io_source_free(w->source);
}

START_TEST(reports_what_is_watched_for) {
        new_loop();
        int pair[2];
        assert_ok(fd_socketpair(SOCK_STREAM, pair));
        struct watcher w = {0};
        assert_ok(io_source_new(loop, pair[0], IO_READ, on_ready, &w, &w.source));
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(w.calls, 0);
        ck_assert_int_eq(write(pair[1], "x", 1), 1);
        assert_ok(io_loop_once(loop, 1000));
        assert_ok(io_loop_once(loop, 1000)); /* level-triggered */
        ck_assert_uint_eq(w.calls, 2);
        ck_assert_uint_eq(w.events, IO_READ);
        w.events = 0;
        assert_ok(io_source_watch(w.source, IO_WRITE));
        assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_eq(w.events, IO_WRITE);
        assert_ok(io_source_watch(w.source, 0));
        w.calls = 0;
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(w.calls, 0);
        close(pair[1]);
        w.events = 0;
        assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_eq(w.events, IO_HANGUP);
        io_source_free(w.source);
        close(pair[0]);
        io_loop_free(loop);
}
END_TEST

START_TEST(a_callback_may_free_its_own_source_and_another_of_the_same_round) {
        new_loop();
        int fds[2];
        struct watcher w[2] = {0};
        for (int i = 0; i < 2; i++) {
                fds[i] = eventfd(1, EFD_CLOEXEC);
                assert_ok(io_source_new(
                        loop, fds[i], IO_READ, on_ready_free_self, &w[i], &w[i].source));
        }
        w[0].other = w[1].source;
        w[1].other = w[0].source;
        struct io_source *kept[2] = {w[0].source, w[1].source};
        assert_ok(io_loop_once(loop, 1000));
        /* Whichever came first freed both. */
        ck_assert_uint_eq(w[0].calls + w[1].calls, 1);
        (void)kept;
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(w[0].calls + w[1].calls, 1);
        close(fds[0]);
        close(fds[1]);
        io_loop_free(loop);
}
END_TEST

START_TEST(refuses_what_cannot_be_waited_for) {
        new_loop();
        int fd;
        struct io_source *source = (void *)0x1;
        assert_ok(fd_memfd("regular", 1, &fd));
        assert_error(io_source_new(loop, fd, IO_READ, on_ready, NULL, &source), -EPERM);
        ck_assert_ptr_eq(source, (void *)0x1);
        close(fd);
        assert_error(io_source_new(loop, fd, IO_READ, on_ready, NULL, &source), -EBADF);
        io_loop_free(loop);
}
END_TEST

static struct io_loop *nested;
static void run_nested(void *ctx, unsigned events) {
        struct watcher *w = ctx;
        w->events |= events;
        if (w->calls++ > 0)
                return;
        /* The same source is ready again inside. */
        assert_ok(io_loop_once(nested, 0));
        w->source = io_source_free(w->source);
}

START_TEST(a_callback_may_run_the_loop) {
        new_loop();
        nested = loop;
        int fd = eventfd(1, EFD_CLOEXEC);
        struct watcher w = {0};
        assert_ok(io_source_new(loop, fd, IO_READ, run_nested, &w, &w.source));
        assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_eq(w.calls, 2);
        ck_assert_ptr_null(w.source);
        close(fd);
        io_loop_free(loop);
}
END_TEST

/* Timers */

struct tick {
        struct io_timer *timer, *victim;
        unsigned calls;
};

static void on_tick(void *ctx) {
        struct tick *t = ctx;
        t->calls++;
        t->victim = io_timer_free(t->victim);
}

static void on_tick_rearm(void *ctx) {
        struct tick *t = ctx;
        t->calls++;
        io_timer_arm(t->timer, 0, 0);
}

START_TEST(timers_fire_in_the_order_of_their_deadlines) {
        new_loop();
        record.n = 0;
        static const unsigned delays[] = {5, 1, 3, 1, 0, 4};
        static const unsigned order[] = {4, 1, 3, 2, 5, 0};
        struct io_timer *timers[6];
        for (uintptr_t i = 0; i < 6; i++) {
                assert_ok(io_timer_new(loop, note_one, (void *)i, &timers[i]));
                ck_assert(!io_timer_armed(timers[i]));
                io_timer_arm(timers[i], delays[i] * CLOCK_NS_PER_MS, 0);
                ck_assert(io_timer_armed(timers[i]));
        }
        uint64_t start = clock_now_ns();
        while (record.n < 6)
                assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_ge(clock_now_ns() - start, 4 * CLOCK_NS_PER_MS);
        for (unsigned i = 0; i < 6; i++) {
                ck_assert_uint_eq(record.values[i], order[i]);
                ck_assert(!io_timer_armed(timers[i]));
                io_timer_free(timers[i]);
        }
        io_loop_free(loop);
}
END_TEST

START_TEST(a_timer_that_is_disarmed_does_not_fire) {
        new_loop();
        struct tick t = {0};
        assert_ok(io_timer_new(loop, on_tick, &t, &t.timer));
        io_timer_arm(t.timer, 0, 0);
        io_timer_disarm(t.timer);
        io_timer_disarm(t.timer);
        assert_ok(io_loop_once(loop, 2));
        ck_assert_uint_eq(t.calls, 0);
        io_timer_arm(t.timer, UINT64_MAX, 0); /* never, rather than at once */
        assert_ok(io_loop_once(loop, 2));
        ck_assert_uint_eq(t.calls, 0);
        io_timer_free(t.timer);
        io_loop_free(loop);
}
END_TEST

START_TEST(a_period_repeats_until_disarmed) {
        new_loop();
        struct tick t = {0};
        assert_ok(io_timer_new(loop, on_tick, &t, &t.timer));
        io_timer_arm(t.timer, 0, CLOCK_NS_PER_MS);
        while (t.calls < 5)
                assert_ok(io_loop_once(loop, 1000));
        ck_assert(io_timer_armed(t.timer));
        io_timer_disarm(t.timer);
        assert_ok(io_loop_once(loop, 3));
        ck_assert_uint_eq(t.calls, 5);
        io_timer_free(t.timer);
        io_loop_free(loop);
}
END_TEST

START_TEST(a_timer_without_delay_does_not_starve_descriptors) {
        new_loop();
        struct tick t = {0};
        struct watcher w = {0};
        int fd = eventfd(1, EFD_CLOEXEC);
        assert_ok(io_source_new(loop, fd, IO_READ, on_ready, &w, &w.source));
        assert_ok(io_timer_new(loop, on_tick_rearm, &t, &t.timer));
        io_timer_arm(t.timer, 0, 0);
        for (int i = 0; i < 10; i++)
                assert_ok(io_loop_once(loop, 1000));
        ck_assert_uint_eq(w.calls, 10);
        ck_assert_uint_le(t.calls, 10);
        ck_assert_uint_ge(t.calls, 9);
        io_timer_free(t.timer);
        io_source_free(w.source);
        close(fd);
        io_loop_free(loop);
}
END_TEST

START_TEST(a_timer_may_free_one_that_is_due_as_well) {
        new_loop();
        struct tick a = {0}, b = {0};
        assert_ok(io_timer_new(loop, on_tick, &a, &a.timer));
        assert_ok(io_timer_new(loop, on_tick, &b, &b.timer));
        io_timer_arm(a.timer, 0, 0);
        io_timer_arm(b.timer, 0, 0);
        a.victim = b.timer;
        assert_ok(io_loop_once(loop, 10));
        ck_assert_uint_eq(a.calls, 1);
        ck_assert_uint_eq(b.calls, 0);
        io_timer_free(a.timer);
        ck_assert_ptr_null(io_timer_free(NULL));
        io_loop_free(loop);
}
END_TEST

/* Doorbells */

START_TEST(rings_of_a_doorbell_coalesce) {
        new_loop();
        struct tick t = {0};
        struct io_event *event;
        assert_ok(io_event_new(loop, on_tick, &t, &event));
        for (int i = 0; i < 1000; i++)
                io_event_set(event);
        assert_ok(io_loop_once(loop, 1000));
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(t.calls, 1);
        /* KVM rings by the descriptor. */
        uint64_t one = 1;
        ck_assert_int_eq(write(io_event_fd(event), &one, sizeof one), sizeof one);
        assert_ok(io_loop_once(loop, 1000));
        assert_ok(io_loop_once(loop, 0));
        ck_assert_uint_eq(t.calls, 2);
        io_event_free(event);
        io_loop_free(loop);
}
END_TEST

static int make_everything(void) {
        struct io_loop *l = NULL;
        struct io_event *event = NULL;
        struct io_timer *timer = NULL;
        int r = io_loop_new(&l);
        if (r == 0)
                r = io_event_new(l, note_one, NULL, &event);
        if (r == 0)
                r = io_timer_new(l, note_one, NULL, &timer);
        if (r == 0)
                r = io_loop_post(l, note_one, NULL);
        if (r < 0) {
                ck_assert(l || !event);
                ck_assert(event || !timer);
        }
        io_timer_free(timer);
        io_event_free(event);
        io_loop_free(l);
        return r;
}

START_TEST(sweep_of_faults_leaves_nothing_half_made) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (size_t k = 0; k < 2; k++) {
                unsigned n = 1;
                int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
                close(before);
                for (;; n++) {
                        fault_arm(kinds[k], n);
                        int r = make_everything();
                        if (!fault_fired(kinds[k]))
                                break;
                        ck_assert_int_lt(r, 0);
                        int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
                        close(after);
                        ck_assert_int_eq(before, after);
                }
                fault_arm(kinds[k], 0);
                ck_assert_uint_gt(n, 3);
        }
}
END_TEST

TEST_MAIN("loop", posted_calls_run_in_order_and_once, a_call_may_post_the_next,
        calls_that_never_ran_are_freed_with_the_loop, threads_post_without_losing_one,
        another_thread_stops_the_loop, reports_what_is_watched_for,
        a_callback_may_free_its_own_source_and_another_of_the_same_round,
        refuses_what_cannot_be_waited_for, a_callback_may_run_the_loop,
        timers_fire_in_the_order_of_their_deadlines, a_timer_that_is_disarmed_does_not_fire,
        a_period_repeats_until_disarmed, a_timer_without_delay_does_not_starve_descriptors,
        a_timer_may_free_one_that_is_due_as_well, rings_of_a_doorbell_coalesce,
        sweep_of_faults_leaves_nothing_half_made)
