// SPDX-License-Identifier: MIT
/* The life of a channel: states, opening and closing, GPADL messages. */
#include <errno.h>
#include <string.h>
#include "vmbus/internal.h"

/* What an event makes of a state; 0 stands for "cannot happen", FREE for "and then it is freed"
 * (the state itself does not matter any more), otherwise the new state plus one. */
#define TO(state) ((state) + 1)
#define FREE      (CHANNEL_STATES_ + 1)

static const uint8_t transitions[CHANNEL_EVENTS_][CHANNEL_STATES_] = {
        [CHANNEL_ASKED_FOR] = {[CHANNEL_HIDDEN] = TO(CHANNEL_OFFERING)},
        [CHANNEL_TOLD] = {[CHANNEL_OFFERING] = TO(CHANNEL_CLOSED),
                [CHANNEL_RESCINDING] = TO(CHANNEL_RESCINDED)},
        [CHANNEL_DO_OPEN] = {[CHANNEL_CLOSED] = TO(CHANNEL_OPEN)},
        [CHANNEL_DO_CLOSE] = {[CHANNEL_OPEN] = TO(CHANNEL_CLOSED),
                [CHANNEL_FAILED] = TO(CHANNEL_CLOSED),
                /* The guest's driver on its way out. */
                [CHANNEL_RESCINDING] = TO(CHANNEL_RESCINDING),
                [CHANNEL_RESCINDED] = TO(CHANNEL_RESCINDED)},
        [CHANNEL_DO_FAIL] = {[CHANNEL_OPEN] = TO(CHANNEL_FAILED)},
        [CHANNEL_DO_RESCIND] = {[CHANNEL_HIDDEN] = FREE,
                [CHANNEL_OFFERING] = FREE,
                [CHANNEL_CLOSED] = TO(CHANNEL_RESCINDING),
                [CHANNEL_OPEN] = TO(CHANNEL_RESCINDING),
                [CHANNEL_FAILED] = TO(CHANNEL_RESCINDING),
                [CHANNEL_GONE] = FREE},
        [CHANNEL_RELEASED] = {[CHANNEL_CLOSED] = TO(CHANNEL_GONE),
                [CHANNEL_RESCINDING] = FREE,
                [CHANNEL_RESCINDED] = FREE},
};

bool vmbus_channel_state_waits(enum channel_state state) {
        return state == CHANNEL_OFFERING || state == CHANNEL_RESCINDING;
}

bool vmbus_channel_step(struct vmbus_channel *channel, enum channel_event event) {
        uint8_t to = transitions[event][channel->state];
        if (to == 0)
                return false;
        enum channel_state was = channel->state;
        channel->state = to == FREE ? CHANNEL_HIDDEN : (enum channel_state)(to - 1);
        if (channel->state == was)
                return true;
        if (vmbus_channel_state_waits(was))
                TAILQ_REMOVE(&channel->vmbus->notify, channel, notify);
        if (vmbus_channel_state_waits(channel->state))
                TAILQ_INSERT_TAIL(&channel->vmbus->notify, channel, notify);
        return true;
}

static void channel_doorbell(void *ctx) {
        struct vmbus_channel *channel = ctx;
        if (!channel->vmbus->paused && channel->state == CHANNEL_OPEN)
                channel->ops->ready(channel->ctx, channel);
}

/* The upstream ring is what precedes the downstream page, the downstream ring is the rest. */
static int channel_plug_rings(struct vmbus_channel *channel) {
        struct gmem_pages *pages = channel->gpadl->map;
        size_t all = gmem_pages_size(pages) / GMEM_PAGE_SIZE, first = channel->downstream_page;
        if (first > all)
                return -EBADMSG;
        int r = ring_open_incoming(&channel->in, pages, 0, first);
        if (r < 0)
                return r;
        return ring_open_outgoing(&channel->out, pages, first, all - first);
}

uint32_t vmbus_channel_plug(struct vmbus_channel *channel) {
        struct vmbus *vmbus = channel->vmbus;
        if (channel_plug_rings(channel) < 0)
                return VMBUS_STATUS_INVALID_PARAMETER;
        if (io_event_new(vmbus->loop, channel_doorbell, channel, &channel->doorbell) < 0)
                return VMBUS_STATUS_INSUFFICIENT_RESOURCES;
        int r = vmbus->ops->bind_event(
                vmbus->ctx, vmbus_offer_connection_id(channel), io_event_fd(channel->doorbell));
        if (r < 0) {
                channel->doorbell = io_event_free(channel->doorbell);
                return VMBUS_STATUS_INSUFFICIENT_RESOURCES;
        }
        gpadl_use(&vmbus->gpadls, channel->gpadl);
        return VMBUS_STATUS_SUCCESS;
}

void vmbus_channel_unplug(struct vmbus_channel *channel) {
        struct vmbus *vmbus = channel->vmbus;
        if (!channel->doorbell)
                return;
        vmbus->ops->unbind_event(vmbus->ctx, vmbus_offer_connection_id(channel));
        channel->doorbell = io_event_free(channel->doorbell);
        gpadl_unuse(&vmbus->gpadls, channel->gpadl);
        channel->gpadl = NULL;
}

void vmbus_channel_fail(struct vmbus_channel *channel, const char *what) {
        struct vmbus *vmbus = channel->vmbus;
        if (!vmbus_channel_step(channel, CHANNEL_DO_FAIL))
                return;
        vmbus_channel_unplug(channel);
        channel->close_due = true;
        vmbus->closes_due++;
        io_event_set(vmbus->event);
        if (vmbus->ops->problem)
                vmbus->ops->problem(vmbus->ctx, channel->offer.name, channel->relid, what);
}

static void channel_close_now(struct vmbus_channel *channel) {
        channel->close_due = false;
        channel->vmbus->closes_due--;
        channel->ops->close(channel->ctx, channel);
}

void vmbus_channel_close_failed(struct vmbus *vmbus) {
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX && vmbus->closes_due > 0; relid++)
                if (vmbus->channels[relid] && vmbus->channels[relid]->close_due)
                        channel_close_now(vmbus->channels[relid]);
}

bool vmbus_channel_vp_valid(const struct vmbus *vmbus, uint32_t vp) {
        return vp == VMBUS_VP_NO_INTERRUPT || vp < vmbus->ops->vps(vmbus->ctx);
}

static uint32_t channel_try_open(struct vmbus_channel *channel, const struct vmbus_msg_open *m) {
        struct vmbus *vmbus = channel->vmbus;
        if (channel->state != CHANNEL_CLOSED)
                return VMBUS_STATUS_UNSUCCESSFUL;
        struct gpadl *gpadl =
                gpadl_set_find(&vmbus->gpadls, channel->relid, le32_get(m->ring_gpadl));
        if (!gpadl || gpadl->torn || !vmbus_channel_vp_valid(vmbus, le32_get(m->target_vp)))
                return VMBUS_STATUS_INVALID_PARAMETER;
        channel->gpadl = gpadl;
        channel->target_vp = le32_get(m->target_vp);
        channel->downstream_page = le32_get(m->downstream_page);
        memcpy(channel->user_data, m->user_data, sizeof channel->user_data);
        uint32_t status = vmbus_channel_plug(channel);
        if (status != VMBUS_STATUS_SUCCESS)
                return status;
        ring_unmask(&channel->in);
        (void)vmbus_channel_step(channel, CHANNEL_DO_OPEN);
        return VMBUS_STATUS_SUCCESS;
}

static void channel_answer_open(
        struct vmbus *vmbus, const struct vmbus_msg_open *m, uint32_t status) {
        struct vmbus_msg_open_result answer = {
                .header.type = le32_make(VMBUS_MSG_OPEN_RESULT),
                .relid = m->relid,
                .open_id = m->open_id,
                .status = le32_make(status),
        };
        vmbus_answer(vmbus, &answer, sizeof answer);
}

void vmbus_channel_open(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        struct vmbus_channel *channel = vmbus_offer_lookup(vmbus, le32_get(m->open.relid));
        uint32_t status = channel ? channel_try_open(channel, &m->open) : VMBUS_STATUS_UNSUCCESSFUL;
        if (status == VMBUS_STATUS_SUCCESS) {
                status = channel->ops->open(channel->ctx, channel, channel->user_data);
                if (status != VMBUS_STATUS_SUCCESS && vmbus_channel_step(channel, CHANNEL_DO_CLOSE))
                        vmbus_channel_unplug(channel);
        }
        channel_answer_open(vmbus, &m->open, status);
}

void vmbus_channel_close(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        struct vmbus_channel *channel = vmbus_offer_lookup(vmbus, le32_get(m->relid.relid));
        bool open = channel && channel->state == CHANNEL_OPEN;
        if (!channel || !vmbus_channel_step(channel, CHANNEL_DO_CLOSE)) {
                vmbus_ignore(vmbus);
                return;
        }
        vmbus_channel_unplug(channel);
        if (channel->close_due)
                channel_close_now(channel);
        else if (open)
                channel->ops->close(channel->ctx, channel);
}

void vmbus_channel_modify(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        struct vmbus_channel *channel =
                vmbus_offer_lookup(vmbus, le32_get(m->modify_channel.relid));
        uint32_t vp = le32_get(m->modify_channel.target_vp);
        uint32_t status = VMBUS_STATUS_SUCCESS;
        if (channel && channel->state == CHANNEL_OPEN && vmbus_channel_vp_valid(vmbus, vp))
                channel->target_vp = vp;
        else
                status = VMBUS_STATUS_INVALID_PARAMETER;
        if (vmbus->version < VMBUS_VERSION_5_3) {
                if (status != VMBUS_STATUS_SUCCESS)
                        vmbus_ignore(vmbus);
                return;
        }
        struct vmbus_msg_modify_response answer = {
                .header.type = le32_make(VMBUS_MSG_MODIFY_RESPONSE),
                .relid = m->modify_channel.relid,
                .status = le32_make(status),
        };
        vmbus_answer(vmbus, &answer, sizeof answer);
}

static void channel_answer_gpadl(
        struct vmbus *vmbus, uint32_t relid, le32 handle, uint32_t status) {
        struct vmbus_msg_gpadl_created answer = {
                .header.type = le32_make(VMBUS_MSG_GPADL_CREATED),
                .relid = le32_make(relid),
                .gpadl = handle,
                .status = le32_make(status),
        };
        vmbus_answer(vmbus, &answer, sizeof answer);
}

/* GPADLs belong to channels that the guest knows and may still use. */
static bool channel_takes_gpadls(const struct vmbus_channel *channel) {
        return channel && (channel->state == CHANNEL_CLOSED || channel->state == CHANNEL_OPEN ||
                                  channel->state == CHANNEL_FAILED);
}

void vmbus_channel_gpadl_header(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        uint32_t relid = le32_get(m->gpadl_header.relid), status = VMBUS_STATUS_UNSUCCESSFUL;
        if (channel_takes_gpadls(vmbus_offer_lookup(vmbus, relid)) &&
                gpadl_set_header(&vmbus->gpadls, &m->gpadl_header, size, &status) == GPADL_PENDING)
                return;
        channel_answer_gpadl(vmbus, relid, m->gpadl_header.gpadl, status);
}

void vmbus_channel_gpadl_body(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        uint32_t relid, status;
        switch (gpadl_set_body(&vmbus->gpadls, &m->gpadl_body, size, &relid, &status)) {
        case GPADL_IGNORED:
                vmbus_ignore(vmbus);
                break;
        case GPADL_ANSWER:
                channel_answer_gpadl(vmbus, relid, m->gpadl_body.gpadl, status);
                break;
        case GPADL_PENDING:
                break;
        }
}

void vmbus_channel_gpadl_teardown(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        uint32_t relid = le32_get(m->gpadl_teardown.relid);
        struct vmbus_msg_gpadl_torndown answer = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TORNDOWN),
                .gpadl = m->gpadl_teardown.gpadl,
        };
        switch (gpadl_set_teardown(&vmbus->gpadls, relid, le32_get(m->gpadl_teardown.gpadl))) {
        case GPADL_IGNORED:
                vmbus_ignore(vmbus);
                break;
        case GPADL_ANSWER:
                vmbus_answer(vmbus, &answer, sizeof answer);
                break;
        case GPADL_PENDING: /* vmbus_pump() */
                break;
        }
}
