// SPDX-License-Identifier: MIT
#include "vmwp/bus.h"
#include "base/log.h"
#include "wire/hv.h"

static int bus_post(void *ctx, uint32_t vp, uint8_t sint, const void *payload, size_t size) {
        return vmm_post(ctx, vp, sint, VMBUS_MESSAGE_TYPE, payload, size);
}

static int bus_signal(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag) {
        return vmm_signal(ctx, vp, sint, flag);
}

static int bus_bind_event(void *ctx, uint32_t connection_id, int eventfd) {
        return vmm_bind_event(ctx, connection_id, eventfd);
}

static void bus_unbind_event(void *ctx, uint32_t connection_id) {
        vmm_unbind_event(ctx, connection_id);
}

static uint32_t bus_vps(void *ctx) {
        return vmm_vps(ctx);
}

/* The guest spoilt a ring; its channel is closed. */
static void bus_problem(
        void *ctx _unused_, const char *channel_name, uint16_t relid, const char *what) {
        static struct log_limit limit;
        if (log_allow(&limit))
                log_warning("vmbus: %s, relid %u: %s", channel_name, relid, what);
}

const struct vmbus_host_ops bus_ops = {
        .post = bus_post,
        .signal = bus_signal,
        .bind_event = bus_bind_event,
        .unbind_event = bus_unbind_event,
        .vps = bus_vps,
        .problem = bus_problem,
};

uint16_t bus_post_message(struct vmbus *vmbus, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        if (!vmbus)
                return HV_STATUS_INVALID_CONNECTION_ID;
        return vmbus_message(vmbus, connection_id, type, payload, size);
}

void bus_slot_free(struct vmbus *vmbus) {
        if (vmbus)
                vmbus_slot_free(vmbus);
}
