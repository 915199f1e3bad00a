// SPDX-License-Identifier: MIT
/* The event loop: descriptors, timers, and calls posted from other threads, over one epoll.
 *
 * Threads: a loop belongs to the thread that runs it. Everything here is called on that thread,
 * except io_loop_post(), io_loop_stop() and io_event_set(), which any thread may call.
 * A callback may free its own source, and any other. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"

enum { IO_READ = 1, IO_WRITE = 2, IO_HANGUP = 4 }; /* IO_HANGUP is always reported */

struct io_loop;
struct io_source;
struct io_timer;
struct io_event;

typedef void (*io_ready_fn)(void *ctx, unsigned events);
typedef void (*io_call_fn)(void *ctx);

_warn_unused_ int io_loop_new(struct io_loop **ret);
struct io_loop *io_loop_free(struct io_loop *loop);
DEFINE_CLEANUP(struct io_loop, io_loop_free)
/* Runs until io_loop_stop(); 0 or negative errno of epoll itself. May be run again afterwards. */
_warn_unused_ int io_loop_run(struct io_loop *loop);
/* Handles what is ready, waiting at most timeout_ms (-1: until something is): for tests and for
 * loops inside other loops. Returns 0 or negative errno. */
_warn_unused_ int io_loop_once(struct io_loop *loop, int timeout_ms);
void io_loop_stop(struct io_loop *loop);
/* Runs fn(ctx) on the loop's thread soon, in the order of posting. -ENOMEM when it cannot. */
_warn_unused_ int io_loop_post(struct io_loop *loop, io_call_fn fn, void *ctx);

/* Watches a descriptor that the caller keeps; level-triggered. Free the source before closing it.
 */
_warn_unused_ int io_source_new(struct io_loop *loop, int fd, unsigned events, io_ready_fn fn,
        void *ctx, struct io_source **ret);
struct io_source *io_source_free(struct io_source *source);
_warn_unused_ int io_source_watch(struct io_source *source, unsigned events);

/* A timer, disarmed at first. Fires once `delay_ns` from now, then each `period_ns` unless 0. */
_warn_unused_ int io_timer_new(
        struct io_loop *loop, io_call_fn fn, void *ctx, struct io_timer **ret);
struct io_timer *io_timer_free(struct io_timer *timer);
void io_timer_arm(struct io_timer *timer, uint64_t delay_ns, uint64_t period_ns);
void io_timer_disarm(struct io_timer *timer);
bool io_timer_armed(const struct io_timer *timer);

/* A doorbell: an eventfd whose rings coalesce until fn is called; a ring from then on calls it
 * again. The descriptor may be given to KVM (ioeventfd); nobody reads it. */
_warn_unused_ int io_event_new(
        struct io_loop *loop, io_call_fn fn, void *ctx, struct io_event **ret);
struct io_event *io_event_free(struct io_event *event);
int io_event_fd(const struct io_event *event);
void io_event_set(struct io_event *event); /* any thread */
