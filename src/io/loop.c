// SPDX-License-Identifier: MIT
#include "io/loop.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"

enum { EVENTS_PER_WAIT = 64 };

struct io_source {
        struct io_loop *loop;
        int fd;
        io_ready_fn fn; /* NULL once freed */
        void *ctx;
        struct io_source *next_dead;
};

struct io_timer {
        struct io_timer *prev, *next; /* NULL while disarmed */
        struct io_loop *loop;
        uint64_t deadline, period;
        io_call_fn fn;
        void *ctx;
};

struct io_event {
        int fd;
        struct io_source *source;
        io_call_fn fn;
        void *ctx;
};

struct call {
        struct call *next;
        io_call_fn fn;
        void *ctx;
};

struct io_loop {
        int epoll;
        struct io_event *wake; /* posts and stop */
        atomic_bool stop;

        pthread_mutex_t mutex; /* protects the posted calls */
        struct call *posted, **posted_tail;

        struct io_timer armed;    /* list heads; armed is sorted by deadline */
        struct io_timer expiring; /* due in this round, not called yet */

        /* A source that is freed while events are handed out may still stand in the batch that
         * epoll returned: its memory is kept until the outermost round ends. */
        unsigned depth;
        struct io_source *dead;
};

static void *alloc(size_t size) {
        return fault_hit(FAULT_ALLOC) ? NULL : calloc(1, size);
}

/* Sources */

static uint32_t epoll_events(unsigned events) {
        return (events & IO_READ ? EPOLLIN : 0u) | (events & IO_WRITE ? EPOLLOUT : 0u);
}

static int source_new(struct io_loop *loop, int fd, uint32_t events, io_ready_fn fn, void *ctx,
        struct io_source **ret) {
        _cleanup_free_ struct io_source *source = alloc(sizeof *source);
        if (!source)
                return -ENOMEM;
        *source = (struct io_source){.loop = loop, .fd = fd, .fn = fn, .ctx = ctx};
        struct epoll_event event = {.events = events, .data.ptr = source};
        if (fault_hit(FAULT_FD))
                return -ENOSPC;
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        *ret = TAKE_PTR(source);
        return 0;
}

int io_source_new(struct io_loop *loop, int fd, unsigned events, io_ready_fn fn, void *ctx,
        struct io_source **ret) {
        return source_new(loop, fd, epoll_events(events), fn, ctx, ret);
}

struct io_source *io_source_free(struct io_source *source) {
        if (!source)
                return NULL;
        struct io_loop *loop = source->loop;
        (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
        source->fn = NULL;
        if (loop->depth == 0) {
                free(source);
        } else {
                source->next_dead = loop->dead;
                loop->dead = source;
        }
        return NULL;
}

int io_source_watch(struct io_source *source, unsigned events) {
        struct epoll_event event = {.events = epoll_events(events), .data.ptr = source};
        if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
                return -errno;
        return 0;
}

/* Timers */

static void timer_unlink(struct io_timer *timer) {
        timer->prev->next = timer->next;
        timer->next->prev = timer->prev;
        timer->prev = timer->next = NULL;
}

static void timer_link_before(struct io_timer *timer, struct io_timer *next) {
        timer->prev = next->prev;
        timer->next = next;
        next->prev->next = timer;
        next->prev = timer;
}

/* From the end: a new deadline is most often the latest. Equal deadlines fire in the order of
 * arming. */
static void timer_insert(struct io_timer *timer) {
        struct io_timer *head = &timer->loop->armed, *at = head->prev;
        while (at != head && at->deadline > timer->deadline)
                at = at->prev;
        timer_link_before(timer, at->next);
}

int io_timer_new(struct io_loop *loop, io_call_fn fn, void *ctx, struct io_timer **ret) {
        struct io_timer *timer = alloc(sizeof *timer);
        if (!timer)
                return -ENOMEM;
        *timer = (struct io_timer){.loop = loop, .fn = fn, .ctx = ctx};
        *ret = timer;
        return 0;
}

struct io_timer *io_timer_free(struct io_timer *timer) {
        if (timer)
                io_timer_disarm(timer);
        free(timer);
        return NULL;
}

void io_timer_arm(struct io_timer *timer, uint64_t delay_ns, uint64_t period_ns) {
        io_timer_disarm(timer);
        uint64_t now = clock_now_ns();
        timer->deadline = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
        timer->period = period_ns;
        timer_insert(timer);
}

void io_timer_disarm(struct io_timer *timer) {
        if (timer->next)
                timer_unlink(timer);
}

bool io_timer_armed(const struct io_timer *timer) {
        return timer->next != NULL;
}

/* Those that are due move to a list of their own first: a callback that arms its timer with no
 * delay waits for the next round, and descriptors get their turn. */
static void run_timers(struct io_loop *loop) {
        uint64_t now = clock_now_ns();
        struct io_timer *timer;
        while ((timer = loop->armed.next) != &loop->armed && timer->deadline <= now) {
                timer_unlink(timer);
                timer_link_before(timer, &loop->expiring);
        }
        while ((timer = loop->expiring.next) != &loop->expiring) {
                timer_unlink(timer);
                if (timer->period) {
                        /* Periods that were missed are not made up for. */
                        timer->deadline += timer->period;
                        if (timer->deadline <= now)
                                timer->deadline = now + timer->period;
                        timer_insert(timer);
                }
                timer->fn(timer->ctx);
        }
}

/* Doorbells */

/* Edge-triggered: each ring makes the descriptor ready once more, so its counter need not be read,
 * which would cost a system call per ring. It never fills up: 2^64 rings take longer than we live.
 */
static void event_ready(void *ctx, _unused_ unsigned events) {
        struct io_event *event = ctx;
        event->fn(event->ctx);
}

int io_event_new(struct io_loop *loop, io_call_fn fn, void *ctx, struct io_event **ret) {
        _cleanup_free_ struct io_event *event = alloc(sizeof *event);
        if (!event)
                return -ENOMEM;
        _cleanup_close_ int fd =
                fault_hit(FAULT_FD) ? (errno = EMFILE, -1) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return -errno;
        int r = source_new(loop, fd, EPOLLIN | EPOLLET, event_ready, event, &event->source);
        if (r < 0)
                return r;
        event->fd = TAKE_FD(fd);
        event->fn = fn;
        event->ctx = ctx;
        *ret = TAKE_PTR(event);
        return 0;
}

struct io_event *io_event_free(struct io_event *event) {
        if (!event)
                return NULL;
        event->source = io_source_free(event->source);
        event->fd = fd_close(event->fd);
        free(event);
        return NULL;
}

int io_event_fd(const struct io_event *event) {
        return event->fd;
}

void io_event_set(struct io_event *event) {
        /* EAGAIN would mean a full counter, which is rung already. */
        uint64_t one = 1;
        ssize_t n = write(event->fd, &one, sizeof one);
        (void)n;
}

/* The loop */

static void run_posted(void *ctx) {
        struct io_loop *loop = ctx;
        pthread_mutex_lock(&loop->mutex);
        struct call *list = loop->posted;
        loop->posted = NULL;
        loop->posted_tail = &loop->posted;
        pthread_mutex_unlock(&loop->mutex);
        while (list) {
                struct call *call = list;
                list = call->next;
                call->fn(call->ctx);
                free(call);
        }
}

int io_loop_new(struct io_loop **ret) {
        _cleanup_free_ struct io_loop *loop = alloc(sizeof *loop);
        if (!loop)
                return -ENOMEM;
        loop->posted_tail = &loop->posted;
        loop->armed.prev = loop->armed.next = &loop->armed;
        loop->expiring.prev = loop->expiring.next = &loop->expiring;
        _cleanup_close_ int epoll =
                fault_hit(FAULT_FD) ? (errno = EMFILE, -1) : epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0)
                return -errno;
        loop->epoll = epoll;
        int r = io_event_new(loop, run_posted, loop, &loop->wake);
        if (r < 0)
                return r;
        pthread_mutex_init(&loop->mutex, NULL);
        TAKE_FD(epoll);
        *ret = TAKE_PTR(loop);
        return 0;
}

struct io_loop *io_loop_free(struct io_loop *loop) {
        if (!loop)
                return NULL;
        io_event_free(loop->wake);
        while (loop->posted) {
                struct call *call = loop->posted;
                loop->posted = call->next;
                free(call);
        }
        pthread_mutex_destroy(&loop->mutex);
        close(loop->epoll);
        free(loop);
        return NULL;
}

static void bury(struct io_loop *loop) {
        while (loop->dead) {
                struct io_source *source = loop->dead;
                loop->dead = source->next_dead;
                free(source);
        }
}

/* The earlier of timeout_ms and the first deadline; false: wait without end. */
static bool wait_time(struct io_loop *loop, int timeout_ms, struct timespec *ret) {
        uint64_t wait = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
        struct io_timer *first = loop->armed.next;
        if (first != &loop->armed && first->deadline != UINT64_MAX) {
                uint64_t now = clock_now_ns();
                uint64_t left = first->deadline > now ? first->deadline - now : 0;
                if (left < wait)
                        wait = left;
        }
        if (wait == UINT64_MAX)
                return false;
        ret->tv_sec = (time_t)(wait / CLOCK_NS_PER_SEC);
        ret->tv_nsec = (long)(wait % CLOCK_NS_PER_SEC);
        return true;
}

int io_loop_once(struct io_loop *loop, int timeout_ms) {
        struct epoll_event events[EVENTS_PER_WAIT];
        struct timespec timeout;
        bool bounded = wait_time(loop, timeout_ms, &timeout);
        int n = epoll_pwait2(loop->epoll, events, EVENTS_PER_WAIT, bounded ? &timeout : NULL, NULL);
        if (n < 0 && errno != EINTR)
                return -errno;
        loop->depth++;
        for (int i = 0; i < n; i++) {
                struct io_source *source = events[i].data.ptr;
                uint32_t e = events[i].events;
                unsigned ready = (e & EPOLLIN ? IO_READ : 0u) | (e & EPOLLOUT ? IO_WRITE : 0u) |
                                 (e & (EPOLLHUP | EPOLLERR) ? IO_HANGUP : 0u);
                if (source->fn)
                        source->fn(source->ctx, ready);
        }
        run_timers(loop);
        if (--loop->depth == 0)
                bury(loop);
        return 0;
}

int io_loop_run(struct io_loop *loop) {
        while (!atomic_exchange(&loop->stop, false)) {
                int r = io_loop_once(loop, -1);
                if (r < 0)
                        return r;
        }
        return 0;
}

void io_loop_stop(struct io_loop *loop) {
        atomic_store(&loop->stop, true);
        io_event_set(loop->wake);
}

int io_loop_post(struct io_loop *loop, io_call_fn fn, void *ctx) {
        struct call *call = alloc(sizeof *call);
        if (!call)
                return -ENOMEM;
        *call = (struct call){.fn = fn, .ctx = ctx};
        pthread_mutex_lock(&loop->mutex);
        *loop->posted_tail = call;
        loop->posted_tail = &call->next;
        pthread_mutex_unlock(&loop->mutex);
        io_event_set(loop->wake);
        return 0;
}
