// SPDX-License-Identifier: MIT
/* Contact, unload, and the end of a connection by either or by a reset. */
#include "vmbus/internal.h"

enum { SINTS = 16 };

static const uint32_t versions[] = {
        VMBUS_VERSION_2_4,
        VMBUS_VERSION_3_0,
        VMBUS_VERSION_4_0,
        VMBUS_VERSION_4_1,
        VMBUS_VERSION_5_0,
        VMBUS_VERSION_5_1,
        VMBUS_VERSION_5_2,
        VMBUS_VERSION_5_3,
};

bool vmbus_connection_version_supported(uint32_t version) {
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
                if (versions[i] == version)
                        return true;
        return false;
}

bool vmbus_connection_target_valid(const struct vmbus *vmbus, uint32_t vp, uint8_t sint) {
        return vp < vmbus->ops->vps(vmbus->ctx) && sint < SINTS;
}

/* One channel at the end of a connection, or of there being none (`had`). Dynamic ones go, but for
 * those that the guest of the next connection may still want: offered while there was no guest. A
 * callback may offer and rescind: nothing is kept across it but the relid. */
static void connection_drop(struct vmbus *vmbus, unsigned relid, bool had) {
        struct vmbus_channel *channel = vmbus->channels[relid];
        if (!channel)
                return;
        bool open = channel->doorbell || channel->close_due; /* open() came and close() did not */
        bool over = (had && vmbus_offer_is_dynamic(&channel->offer)) ||
                    channel->state == CHANNEL_RESCINDING || channel->state == CHANNEL_RESCINDED;
        if (channel->close_due)
                vmbus->closes_due--;
        channel->close_due = false;
        vmbus_channel_unplug(channel);
        if (vmbus_channel_state_waits(channel->state))
                TAILQ_REMOVE(&vmbus->notify, channel, notify);
        channel->state = CHANNEL_HIDDEN;
        if (open)
                channel->ops->close(channel->ctx, channel);
        if (over && vmbus->channels[relid] == channel)
                vmbus_offer_release(channel);
}

void vmbus_connection_end(struct vmbus *vmbus) {
        bool had = vmbus_connected(vmbus);
        vmbus->version = 0;
        vmbus->offers_requested = false;
        vmbus->delivered_due = false;
        vmbus->tl_pending = 0;
        vmbus->outbox_n = 0;
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                connection_drop(vmbus, relid, had);
        gpadl_set_clear(&vmbus->gpadls);
        if (had && vmbus->tl_ops)
                vmbus->tl_ops->reset(vmbus->tl_ctx);
}

/* While connected this is a guest that restarted without a word: all it had before is void. */
void vmbus_connection_initiate(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        uint32_t version = le32_get(m->initiate_contact.version);
        uint32_t vp = le32_get(m->initiate_contact.target_vp);
        bool since_5 = version >= VMBUS_VERSION_5_0;
        uint8_t sint = since_5 ? m->initiate_contact.sint : VMBUS_SINT;
        uint8_t vtl = since_5 ? m->initiate_contact.vtl : 0;
        if (!vmbus_connection_target_valid(vmbus, vp, sint) || vtl != 0) {
                vmbus_ignore(vmbus); /* nowhere to answer to */
                return;
        }
        vmbus_connection_end(vmbus);
        vmbus->target_vp = vp;
        vmbus->target_sint = sint;
        struct vmbus_msg_version_response answer = {
                .header.type = le32_make(VMBUS_MSG_VERSION_RESPONSE)};
        if (vmbus_connection_version_supported(version)) {
                vmbus->version = version;
                answer.supported = 1;
                answer.version_or_connection =
                        le32_make(since_5 ? (uint32_t)VMBUS_CONNECTION_MESSAGE_50 : version);
        }
        vmbus_answer(vmbus, &answer, sizeof answer);
}

void vmbus_connection_unload(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)m, (void)size;
        vmbus_connection_end(vmbus);
        struct vmbus_msg_header answer = {.type = le32_make(VMBUS_MSG_UNLOAD_RESPONSE)};
        vmbus_answer(vmbus, &answer, sizeof answer);
}
