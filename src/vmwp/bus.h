// SPDX-License-Identifier: MIT
/* Where the partition and VMBus meet: each knows the other only through this table and these two
 * calls. Threads: bus_ops is used on the loop's thread; bus_post_message() and bus_slot_free() come
 * on VP threads. */
#pragma once
#include "vmbus/vmbus.h"
#include "vmm/vmm.h"

/* VMBus's host side on a partition; the context is the struct vmm. */
extern const struct vmbus_host_ops bus_ops;

/* The fields of struct vmm_ops, for an owner whose VMBus may not be there yet (NULL). */
uint16_t bus_post_message(struct vmbus *vmbus, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size);
void bus_slot_free(struct vmbus *vmbus);
