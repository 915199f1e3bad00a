// SPDX-License-Identifier: MIT
/* hvsocket connects: passed to their owner, and refused on its behalf. */
#include "vmbus/internal.h"

static void tl_refuse(struct vmbus *vmbus, const struct guid *endpoint, const struct guid *service,
        uint32_t ntstatus) {
        if (vmbus->version < VMBUS_VERSION_4_1)
                return; /* such a guest knows no refusal: its connect times out */
        struct vmbus_msg_tl_result m = {
                .header.type = le32_make(VMBUS_MSG_TL_RESULT),
                .endpoint = *endpoint,
                .service = *service,
                .status = le32_make(ntstatus),
        };
        vmbus_answer(vmbus, &m, sizeof m);
        vmbus_pump(vmbus);
}

void vmbus_tl_connect(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        const struct guid *endpoint = &m->tl_connect.endpoint, *service = &m->tl_connect.service;
        if (!vmbus->tl_ops || vmbus->tl_pending >= VMBUS_TL_PENDING_MAX) {
                tl_refuse(vmbus, endpoint, service, VMBUS_STATUS_CONNECTION_REFUSED);
                return;
        }
        vmbus->tl_pending++;
        vmbus->tl_ops->connect(vmbus->tl_ctx, endpoint, service);
}

void vmbus_tl_result(struct vmbus *vmbus, const struct guid *endpoint, const struct guid *service,
        uint32_t ntstatus) {
        if (vmbus->tl_pending == 0)
                return; /* asked by a connection that is gone */
        vmbus->tl_pending--;
        tl_refuse(vmbus, endpoint, service, ntstatus);
}
