// SPDX-License-Identifier: MIT
/* The guest answers before it acts: 0 means that it will (facts 9.2). */
#include <errno.h>
#include "base/clock.h"
#include "ic/internal.h"

static void finish(struct ic *ic, int r) {
        ic_done_fn done = TAKE_PTR(ic->shutdown.done);
        io_timer_disarm(ic->shutdown.timer);
        if (done)
                done(ic->shutdown.ctx, r);
}

static void on_timeout(void *ctx) {
        finish(ctx, -ETIMEDOUT);
}

static void on_ready(_unused_ struct ic_dev *dev) {
}

static void on_idle(struct ic_dev *dev) {
        struct ic_shutdown *shutdown = &dev->ic->shutdown;
        uint8_t bytes[sizeof(struct ic_shutdown_body)];
        struct wr body = wr_make(bytes, sizeof bytes);
        if (!shutdown->done || shutdown->sent)
                return;
        ic_write_shutdown(&body, shutdown->flags);
        shutdown->sent = ic_dev_send(dev, &body);
}

/* An answer that came too late is nobody's. */
static int on_answered(struct ic_dev *dev, const struct ic_message *message) {
        if (dev->ic->shutdown.sent)
                finish(dev->ic, message->status == 0 ? 0 : -EREMOTEIO);
        return 0;
}

static void on_ended(struct ic_dev *dev, int r) {
        finish(dev->ic, r);
}

const struct ic_service ic_service_shutdown = {
        .name = "shutdown",
        .type = GUID_MAKE(0x0e0b6031u, 0x5213, 0x4934, 0x818b, 0x38d90ced39db),
        .instance = GUID_MAKE(0xb6650ff7u, 0x33bc, 0x4840, 0x8048, 0xe0676786f393),
        .message_type = IC_TYPE_SHUTDOWN,
        .versions = {{3, 2}, {3, 1}, {3, 0}, {1, 0}},
        .n_versions = 4,
        .ready = on_ready,
        .idle = on_idle,
        .answered = on_answered,
        .ended = on_ended,
};

void ic_shutdown(struct ic *ic, enum ic_shutdown_kind kind, bool force, uint32_t timeout_ms,
        ic_done_fn done, void *ctx) {
        struct ic_dev *dev = &ic->devs[IC_DEV_SHUTDOWN];
        if (ic->shutdown.done) {
                done(ctx, -EBUSY);
        } else if (dev->state == IC_CLOSED) {
                done(ctx, -ENOTCONN);
        } else if (dev->state == IC_FAILED) {
                done(ctx, -EPROTO);
        } else {
                ic->shutdown.done = done;
                ic->shutdown.ctx = ctx;
                ic->shutdown.flags = (kind == IC_REBOOT ? IC_SHUTDOWN_REBOOT : 0u) |
                                     (force ? IC_SHUTDOWN_FORCE : 0u);
                ic->shutdown.sent = false;
                io_timer_arm(ic->shutdown.timer, timeout_ms * CLOCK_NS_PER_MS, 0);
                ic_dev_poke(dev);
        }
}

int ic_shutdown_init(struct ic *ic) {
        return io_timer_new(ic->loop, on_timeout, ic, &ic->shutdown.timer);
}

void ic_shutdown_done(struct ic *ic) {
        if (ic->shutdown.timer)
                finish(ic, -ECANCELED);
        ic->shutdown.timer = io_timer_free(ic->shutdown.timer);
}
