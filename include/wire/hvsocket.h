// SPDX-License-Identifier: MIT
/* Hyper-V sockets: one VMBus channel for each stream connection, packets with a pipe header.
 * Source: Linux net/vmw_vsock/hyperv_transport.c, include/linux/hyperv.h. Meaning and deviations:
 * docs/protocols/hvsocket.md. */
#pragma once
#include <stddef.h>
#include "wire/guid.h"
#include "wire/le.h"
#include "wire/pipe.h"

enum {
        HVSOCKET_DATA_MAX = 16384,             /* data bytes of one packet, either way */
        HVSOCKET_LISTEN_PORT_MAX = 0x7FFFFFFF, /* Linux listens and dials below */
};

/* Ids of services that Linux can name: data1 is the vsock port. */
#define HVSOCKET_SERVICE_TEMPLATE GUID_MAKE(0u, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3)

/* user_defined of the offer; zero to its end. */
struct hvsocket_offer_data {
        le32 pipe_mode;
        uint8_t from_host;     /* 1: the host dials, type = service, instance = a new id */
        uint8_t for_container; /* 1: silo holds an id */
        le32 version;
        struct guid silo;
};
static_assert(sizeof(struct hvsocket_offer_data) == 26, "hvsocket user_defined");
static_assert(offsetof(struct hvsocket_offer_data, from_host) == 4, "hvsocket user_defined");
