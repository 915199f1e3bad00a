// SPDX-License-Identifier: MIT
/* A number each period; the guest answers with the next one (facts 9.4). */
#include <errno.h>
#include "base/clock.h"
#include "ic/internal.h"

static void on_timer(void *ctx) {
        struct ic *ic = ctx;
        ic->heartbeat.due = true;
        ic_dev_poke(&ic->devs[IC_DEV_HEARTBEAT]);
}

static void on_ready(struct ic_dev *dev) {
        struct ic_heartbeats *heartbeat = &dev->ic->heartbeat;
        const uint64_t period = IC_HEARTBEAT_PERIOD_MS * CLOCK_NS_PER_MS;
        heartbeat->due = true;
        heartbeat->answered_ns = clock_now_ns();
        io_timer_arm(heartbeat->timer, period, period);
}

static void on_idle(struct ic_dev *dev) {
        struct ic_heartbeats *heartbeat = &dev->ic->heartbeat;
        uint8_t bytes[sizeof(struct ic_heartbeat_body)];
        struct wr body = wr_make(bytes, sizeof bytes);
        if (!heartbeat->due)
                return;
        ic_write_heartbeat(&body, heartbeat->sequence);
        heartbeat->due = !ic_dev_send(dev, &body);
}

static int on_answered(struct ic_dev *dev, const struct ic_message *message) {
        struct ic_heartbeats *heartbeat = &dev->ic->heartbeat;
        uint64_t sequence;
        int r = ic_parse_heartbeat(message->body, &sequence);
        if (r < 0)
                return r;
        if (sequence != heartbeat->sequence + 1)
                return -EBADMSG;
        heartbeat->sequence = sequence;
        heartbeat->answers++;
        heartbeat->answered_ns = clock_now_ns();
        return 0;
}

static void on_ended(struct ic_dev *dev, _unused_ int r) {
        io_timer_disarm(dev->ic->heartbeat.timer);
        dev->ic->heartbeat.answers = 0;
}

const struct ic_service ic_service_heartbeat = {
        .name = "heartbeat",
        .type = GUID_MAKE(0x57164f39u, 0x9115, 0x4e78, 0xab55, 0x382f3bd5422d),
        .instance = GUID_MAKE(0xfd149e91u, 0x82e0, 0x4a7d, 0xafa6, 0x2a4166cbd7c0),
        .message_type = IC_TYPE_HEARTBEAT,
        .versions = {{3, 0}, {1, 0}},
        .n_versions = 2,
        .ready = on_ready,
        .idle = on_idle,
        .answered = on_answered,
        .ended = on_ended,
};

enum ic_heartbeat ic_heartbeat(const struct ic *ic, uint64_t *ret_answers) {
        const struct ic_heartbeats *heartbeat = &ic->heartbeat;
        *ret_answers = heartbeat->answers;
        if (heartbeat->answers == 0)
                return IC_HEARTBEAT_NONE;
        return clock_now_ns() - heartbeat->answered_ns < IC_HEARTBEAT_LOST_MS * CLOCK_NS_PER_MS
                       ? IC_HEARTBEAT_OK
                       : IC_HEARTBEAT_LOST;
}

int ic_heartbeat_init(struct ic *ic) {
        return io_timer_new(ic->loop, on_timer, ic, &ic->heartbeat.timer);
}

void ic_heartbeat_done(struct ic *ic) {
        ic->heartbeat.timer = io_timer_free(ic->heartbeat.timer);
}
