// SPDX-License-Identifier: MIT
/* What each message of the guest must look like and when it may come. */
#include "vmbus/internal.h"

enum {
        WHEN_APART = 1, /* no connection */
        WHEN_CONNECTED = 2,
        WHEN_EVER = 3,
};

struct message_rule {
        message_fn *fn; /* NULL: not for the guest to send, or not served */
        uint16_t min;   /* bytes, header included */
        uint16_t max;
        uint32_t since; /* version of the connection */
        unsigned when;
};

static const struct message_rule rules[VMBUS_MSG_TYPES_] = {
        [VMBUS_MSG_REQUEST_OFFERS] = {vmbus_offer_request, 8, 8, 0, WHEN_CONNECTED},
        [VMBUS_MSG_OPEN] = {vmbus_channel_open, 148, 148, 0, WHEN_CONNECTED},
        [VMBUS_MSG_CLOSE] = {vmbus_channel_close, 12, 12, 0, WHEN_CONNECTED},
        /* A header too short for its range still names a GPADL, and is answered. */
        [VMBUS_MSG_GPADL_HEADER] = {vmbus_channel_gpadl_header, 16, 240, 0, WHEN_CONNECTED},
        [VMBUS_MSG_GPADL_BODY] = {vmbus_channel_gpadl_body, 16, 240, 0, WHEN_CONNECTED},
        [VMBUS_MSG_GPADL_TEARDOWN] = {vmbus_channel_gpadl_teardown, 16, 16, 0, WHEN_CONNECTED},
        [VMBUS_MSG_RELID_RELEASED] = {vmbus_offer_released, 12, 12, 0, WHEN_CONNECTED},
        /* Versions that we do not know may add to it, and are answered. */
        [VMBUS_MSG_INITIATE_CONTACT] = {vmbus_connection_initiate, 40, 240, 0, WHEN_EVER},
        [VMBUS_MSG_UNLOAD] = {vmbus_connection_unload, 8, 8, 0, WHEN_EVER},
        [VMBUS_MSG_TL_CONNECT] = {vmbus_tl_connect, 40, 56, VMBUS_VERSION_4_0, WHEN_CONNECTED},
        [VMBUS_MSG_MODIFY_CHANNEL] = {vmbus_channel_modify, 16, 16, VMBUS_VERSION_4_1,
                WHEN_CONNECTED},
};

void vmbus_message_handle(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        uint32_t type = le32_get(m->header.type);
        const struct message_rule *rule = type < VMBUS_MSG_TYPES_ ? &rules[type] : NULL;
        unsigned now = vmbus_connected(vmbus) ? WHEN_CONNECTED : WHEN_APART;
        if (size >= sizeof m->header && rule && rule->fn && size >= rule->min &&
                size <= rule->max && vmbus->version >= rule->since && (rule->when & now))
                rule->fn(vmbus, m, size);
        else
                vmbus_ignore(vmbus);
}
