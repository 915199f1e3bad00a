// SPDX-License-Identifier: MIT
/* VMBus channel messages and ring packets as they stand in hypercall input, SynIC slots and rings.
 * Source: Linux include/linux/hyperv.h, drivers/hv; versions 2.4 to 5.3. */
#pragma once
#include "wire/guid.h"
#include "wire/le.h"

enum {
        VMBUS_MESSAGE_SIZE_MAX = 240, /* payload of one SynIC message */
        VMBUS_MESSAGE_TYPE = 1,       /* SynIC message type of all VMBus messages */
        VMBUS_SINT = 2,
        VMBUS_CONNECTION_MESSAGE = 1,    /* before 5.0 */
        VMBUS_CONNECTION_EVENT = 2,
        VMBUS_CONNECTION_MESSAGE_50 = 4, /* INITIATE_CONTACT since 5.0 */
        VMBUS_RELID_MAX = 2047,          /* bit 0 of the event flags is not a channel */
};

/* major << 16 | minor */
enum {
        VMBUS_VERSION_2_4 = 0x00020004,
        VMBUS_VERSION_3_0 = 0x00030000,
        VMBUS_VERSION_4_0 = 0x00040000,
        VMBUS_VERSION_4_1 = 0x00040001,
        VMBUS_VERSION_5_0 = 0x00050000,
        VMBUS_VERSION_5_1 = 0x00050001,
        VMBUS_VERSION_5_2 = 0x00050002,
        VMBUS_VERSION_5_3 = 0x00050003,
};
