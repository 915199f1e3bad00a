// SPDX-License-Identifier: MIT
/* What payload-saved.c and test-saved.c say to each other. */
#pragma once
#include <stdint.h>
#include "wire/guid.h"

#define SAVED_DEVICE_TYPE GUID_MAKE(0x5a5a0001u, 0x1234, 0x5678, 0x9abc, 0x0123456789ab)

enum {
        SAVED_PORT = 5000,               /* of the hvsocket that the host listens on */
        SAVED_PACKETS = 300,             /* that each side sends on the device's channel */
        SAVED_PACKET_SIZE = 1000,        /* a multiple of 8 */
        SAVED_SOCKET_BYTES = 512 * 1024, /* that each side sends on the hvsocket */
};

enum saved_from { SAVED_FROM_GUEST, SAVED_FROM_HOST };

/* Byte number i of a stream. */
static inline uint8_t saved_byte(enum saved_from from, uint32_t i) {
        return (uint8_t)(i * 31 + i / 251 + from * 77u);
}

/* Packet number n. */
static inline void saved_fill(uint8_t ret[SAVED_PACKET_SIZE], enum saved_from from, uint32_t n) {
        for (uint32_t i = 0; i < SAVED_PACKET_SIZE; i++)
                ret[i] = saved_byte(from, n * 7919 + i);
}
