// SPDX-License-Identifier: MIT
/* The channel of one device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "base/state.h"
#include "ic/internal.h"

static const struct ic_revision frameworks[] = {{3, 0}, {1, 0}};

static const struct ic_service *const services[IC_DEVS_] = {
        [IC_DEV_SHUTDOWN] = &ic_service_shutdown,
        [IC_DEV_HEARTBEAT] = &ic_service_heartbeat,
        [IC_DEV_TIMESYNC] = &ic_service_timesync,
};

static struct ic_offered offered(const struct ic_dev *dev) {
        return (struct ic_offered){
                .framework = frameworks,
                .n_framework = ARRAY_SIZE(frameworks),
                .message = dev->service->versions,
                .n_message = dev->service->n_versions,
        };
}

/* To the guest */

static bool send_message(struct ic_dev *dev, uint16_t type, const struct wr *body) {
        uint8_t packet[IC_PACKET_MAX];
        struct wr wr = wr_make(packet, sizeof packet);
        const struct ic_message message = {
                .framework = dev->framework,
                .message = dev->message,
                .type = type,
                .transaction = (uint8_t)(dev->transaction + 1),
                .flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
        };
        ic_write(&wr, &message, body->data, body->size);
        if (vmbus_send_inband(dev->channel, 0, wr.data, wr.size) != 0)
                return false;
        dev->transaction = message.transaction;
        dev->in_flight = true;
        return true;
}

bool ic_dev_send(struct ic_dev *dev, const struct wr *body) {
        return send_message(dev, dev->service->message_type, body);
}

static void send_negotiate(struct ic_dev *dev) {
        uint8_t bytes[sizeof(struct ic_negotiate) +
                      (ARRAY_SIZE(frameworks) + IC_VERSIONS_MAX) * sizeof(struct ic_version)];
        struct wr body = wr_make(bytes, sizeof bytes);
        const struct ic_offered o = offered(dev);
        dev->framework = dev->message = (struct ic_revision){0};
        ic_write_negotiate(&body, &o);
        if (send_message(dev, IC_TYPE_NEGOTIATE, &body))
                dev->state = IC_NEGOTIATING;
}

void ic_dev_poke(struct ic_dev *dev) {
        if (dev->state == IC_OPEN)
                send_negotiate(dev);
        else if (dev->state == IC_READY && !dev->in_flight)
                dev->service->idle(dev);
}

/* From the guest */

static void end(struct ic_dev *dev, enum ic_state state, int r) {
        bool was_open = dev->state != IC_CLOSED && dev->state != IC_FAILED;
        dev->state = state;
        dev->in_flight = false;
        io_timer_disarm(dev->start);
        if (was_open)
                dev->service->ended(dev, r);
}

static void fail(struct ic_dev *dev, const char *what) {
        struct ic *ic = dev->ic;
        if (ic->ops->problem)
                ic->ops->problem(ic->ctx, dev->service->name, what);
        end(dev, IC_FAILED, -EPROTO);
}

static void take_negotiate(struct ic_dev *dev, const struct ic_message *message) {
        const struct ic_offered o = offered(dev);
        int r = ic_parse_negotiate(message->body, &o, &dev->framework, &dev->message);
        if (r == IC_E_NO_VERSION) {
                fail(dev, "the guest knows none of the versions that we offer");
        } else if (r < 0) {
                fail(dev, "the guest chose versions that were not offered");
        } else {
                dev->state = IC_READY;
                dev->service->ready(dev);
        }
}

static void take_packet(struct ic_dev *dev, const struct vmbus_packet *packet) {
        struct ic_message message;
        bool negotiating = dev->state == IC_NEGOTIATING;
        uint16_t expected = negotiating ? IC_TYPE_NEGOTIATE : dev->service->message_type;
        if (packet->type != VMBUS_PACKET_INBAND ||
                ic_parse(packet->payload, packet->payload_size, &message) < 0) {
                fail(dev, "a malformed packet from the guest");
        } else if (!dev->in_flight || message.type != expected ||
                   message.transaction != dev->transaction || !(message.flags & IC_FLAG_RESPONSE)) {
                fail(dev, "a packet from the guest that answers nothing");
        } else {
                dev->in_flight = false;
                if (negotiating)
                        take_negotiate(dev, &message);
                else if (dev->service->answered(dev, &message) < 0)
                        fail(dev, "a wrong answer from the guest");
        }
}

/* Channel callbacks */

/* The guest takes packets once it has our answer to its open: we speak in the loop's next round. */
static uint32_t on_open(void *ctx, _unused_ struct vmbus_channel *channel,
        _unused_ const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct ic_dev *dev = ctx;
        dev->state = IC_OPEN;
        io_timer_arm(dev->start, 0, 0);
        return VMBUS_STATUS_SUCCESS;
}

static void on_start(void *ctx) {
        ic_dev_poke(ctx);
}

static void on_ready(void *ctx, struct vmbus_channel *channel) {
        struct ic_dev *dev = ctx;
        struct vmbus_packet packet;
        while (vmbus_receive(channel, &packet) == 0)
                if (dev->state != IC_FAILED)
                        take_packet(dev, &packet);
        ic_dev_poke(dev);
}

static void on_close(void *ctx, _unused_ struct vmbus_channel *channel) {
        end(ctx, IC_CLOSED, -ECONNRESET);
}

static void on_released(void *ctx, _unused_ struct vmbus_channel *channel) {
        struct ic_dev *dev = ctx;
        dev->channel = NULL;
        end(dev, IC_CLOSED, -ECONNRESET);
}

static const struct vmbus_channel_ops channel_ops = {
        .open = on_open,
        .ready = on_ready,
        .close = on_close,
        .released = on_released,
};

/* The module */

static int offer(struct ic_dev *dev) {
        struct vmbus_offer offer = {
                .type = dev->service->type,
                .instance = dev->service->instance,
                .flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE,
                .name = dev->service->name,
        };
        const le32 mode = le32_make(PIPE_MODE_MESSAGE);
        memcpy(offer.user_defined, &mode, sizeof mode);
        return vmbus_offer(dev->ic->vmbus, &offer, &channel_ops, dev, &dev->channel);
}

static int init(struct ic *ic) {
        int r = ic_shutdown_init(ic);
        if (r >= 0)
                r = ic_heartbeat_init(ic);
        if (r >= 0)
                r = ic_timesync_init(ic);
        for (int i = 0; i < IC_DEVS_ && r >= 0; i++) {
                ic->devs[i] = (struct ic_dev){.ic = ic, .service = services[i]};
                r = io_timer_new(ic->loop, on_start, &ic->devs[i], &ic->devs[i].start);
        }
        return r;
}

int ic_new(struct vmbus *vmbus, struct io_loop *loop, const struct ic_ops *ops, void *ctx,
        struct ic **ret) {
        _cleanup_(ic_freep) struct ic *ic = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *ic);
        if (!ic)
                return -ENOMEM;
        ic->vmbus = vmbus;
        ic->loop = loop;
        ic->ops = ops;
        ic->ctx = ctx;
        int r = init(ic);
        for (int i = 0; i < IC_DEVS_ && r == 0; i++)
                r = offer(&ic->devs[i]);
        if (r != 0) {
                for (int i = 0; i < IC_DEVS_; i++)
                        if (ic->devs[i].channel)
                                vmbus_rescind(ic->devs[i].channel);
                return r;
        }
        *ret = TAKE_PTR(ic);
        return 0;
}

struct ic *ic_free(struct ic *ic) {
        if (!ic)
                return NULL;
        for (int i = 0; i < IC_DEVS_; i++)
                ic->devs[i].start = io_timer_free(ic->devs[i].start);
        ic_shutdown_done(ic);
        ic_heartbeat_done(ic);
        ic_timesync_done(ic);
        free(ic);
        return NULL;
}

/* Saved state. What a timer makes due is not in it, as timers go on while the machine stands still;
 * a restored device owes a heartbeat and the time at once. */

#define IC_TAG STATE_TAG('I', 'C', 'S', ' ')
enum { STATE_VERSION = 1 };

int ic_save(struct ic *ic, struct wr *wr) {
        size_t mark = state_begin(wr, IC_TAG, STATE_VERSION);
        for (int i = 0; i < IC_DEVS_; i++) {
                const struct ic_dev *dev = &ic->devs[i];
                wr_u8(wr, (uint8_t)dev->state);
                wr_le16(wr, dev->framework.major);
                wr_le16(wr, dev->framework.minor);
                wr_le16(wr, dev->message.major);
                wr_le16(wr, dev->message.minor);
                wr_u8(wr, dev->in_flight);
                wr_u8(wr, dev->transaction);
        }
        wr_le64(wr, ic->heartbeat.sequence);
        wr_le64(wr, ic->heartbeat.answers);
        state_end(wr, mark);
        return wr_error(wr);
}

static int restore_dev(struct ic_dev *dev, struct rd *rd) {
        uint8_t state, in_flight, transaction;
        struct ic_revision framework, message;
        if (rd_u8(rd, &state) < 0 || rd_le16(rd, &framework.major) < 0 ||
                rd_le16(rd, &framework.minor) < 0 || rd_le16(rd, &message.major) < 0 ||
                rd_le16(rd, &message.minor) < 0 || rd_u8(rd, &in_flight) < 0 ||
                rd_u8(rd, &transaction) < 0)
                return -EBADMSG;
        bool open = vmbus_channel_is_open(dev->channel);
        if (state >= IC_STATES_ || in_flight > 1 || (state == IC_CLOSED && open))
                return -EBADMSG;
        /* A device that was open may be closed now: the guest had spoilt its rings by then. */
        dev->state = open ? state : IC_CLOSED;
        dev->framework = framework;
        dev->message = message;
        dev->in_flight = open && in_flight;
        dev->transaction = transaction;
        if (dev->state == IC_READY)
                dev->service->ready(dev);
        return 0;
}

int ic_restore(struct ic *ic, struct rd *rd) {
        struct rd section;
        int r = state_open(rd, IC_TAG, STATE_VERSION, NULL, &section);
        for (int i = 0; i < IC_DEVS_ && r >= 0; i++)
                r = restore_dev(&ic->devs[i], &section);
        if (r < 0)
                return r;
        if (rd_le64(&section, &ic->heartbeat.sequence) < 0 ||
                rd_le64(&section, &ic->heartbeat.answers) < 0)
                return -EBADMSG;
        return rd_end(&section);
}
