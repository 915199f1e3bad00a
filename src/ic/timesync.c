// SPDX-License-Identifier: MIT
/* The host's time: once to set the clock by, then samples (facts 9.3). Taken as late as possible,
 * when the packet is written. */
#include <errno.h>
#include "base/clock.h"
#include "ic/internal.h"

static void on_timer(void *ctx) {
        struct ic *ic = ctx;
        ic->timesync.sample_due = true;
        ic_dev_poke(&ic->devs[IC_DEV_TIMESYNC]);
}

static void on_ready(struct ic_dev *dev) {
        const uint64_t period = IC_TIMESYNC_PERIOD_MS * CLOCK_NS_PER_MS;
        dev->ic->timesync.sync_due = true;
        io_timer_arm(dev->ic->timesync.timer, period, period);
}

static void on_idle(struct ic_dev *dev) {
        struct ic *ic = dev->ic;
        struct ic_timesync *timesync = &ic->timesync;
        uint8_t bytes[sizeof(struct ic_timesync_body_v3)];
        struct wr body = wr_make(bytes, sizeof bytes);
        uint64_t filetime, reference;
        if (!timesync->sync_due && !timesync->sample_due)
                return;
        ic->ops->time(ic->ctx, &filetime, &reference);
        ic_write_timesync(&body, dev->message.major, filetime, reference,
                timesync->sync_due ? IC_TIMESYNC_SYNC : IC_TIMESYNC_SAMPLE);
        if (ic_dev_send(dev, &body))
                timesync->sync_due = timesync->sample_due = false;
}

static int on_answered(_unused_ struct ic_dev *dev, _unused_ const struct ic_message *message) {
        return 0;
}

static void on_ended(struct ic_dev *dev, _unused_ int r) {
        io_timer_disarm(dev->ic->timesync.timer);
        dev->ic->timesync.sync_due = dev->ic->timesync.sample_due = false;
}

const struct ic_service ic_service_timesync = {
        .name = "timesync",
        .type = GUID_MAKE(0x9527e630u, 0xd0ae, 0x497b, 0xadce, 0xe80ab0175caf),
        .instance = GUID_MAKE(0x2dd1ce17u, 0x079e, 0x403c, 0xb352, 0xa1921ee207ee),
        .message_type = IC_TYPE_TIMESYNC,
        .versions = {{4, 0}, {3, 0}, {1, 0}},
        .n_versions = 3,
        .ready = on_ready,
        .idle = on_idle,
        .answered = on_answered,
        .ended = on_ended,
};

void ic_timesync(struct ic *ic) {
        ic->timesync.sync_due = ic->devs[IC_DEV_TIMESYNC].state == IC_READY;
        ic_dev_poke(&ic->devs[IC_DEV_TIMESYNC]);
}

int ic_timesync_init(struct ic *ic) {
        return io_timer_new(ic->loop, on_timer, ic, &ic->timesync.timer);
}

void ic_timesync_done(struct ic *ic) {
        ic->timesync.timer = io_timer_free(ic->timesync.timer);
}
