// SPDX-License-Identifier: MIT
/* Bytes of hvsocket packets and offers ↔ host values (facts 11). Pure: no state, no I/O. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "wire/hvsocket.h"
#include "wire/vmbus.h"

/* The data of a received packet: 0 with a view into `payload`; a size of 0 is FIN. -EBADMSG for
 * a packet shorter than its header, of a foreign type, whose header claims more than the packet
 * holds, or with more than HVSOCKET_DATA_MAX bytes. */
_warn_unused_ int hvsocket_parse(
        const uint8_t *payload, size_t size, const uint8_t **ret_data, size_t *ret_size);

/* What stands in front of `size` data bytes (at most HVSOCKET_DATA_MAX); 0 makes a FIN. */
struct pipe_header hvsocket_header(size_t size);

/* user_defined of a connection's offer. */
void hvsocket_user_defined(bool from_host, uint8_t ret[VMBUS_USER_DATA_SIZE]);
