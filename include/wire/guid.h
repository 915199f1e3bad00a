// SPDX-License-Identifier: MIT
/* A GUID as it stands on the wire (MS-DTYP 2.3.4.2). */
#pragma once
#include <assert.h>
#include <stdint.h>

struct guid {
        uint8_t b[16];
};
static_assert(sizeof(struct guid) == 16, "no padding");

/* GUID_MAKE(0xba6163d9, 0x04a1, 0x4d29, 0xb605, 0x72e2ffb1dc7f) as in the text form. */
#define GUID_MAKE(d1, d2, d3, d4, d5)                                                              \
        {                                                                                          \
                {                                                                                  \
                        (uint8_t)((d1)&0xff), (uint8_t)((d1) >> 8 & 0xff),                         \
                                (uint8_t)((d1) >> 16 & 0xff), (uint8_t)((d1) >> 24 & 0xff),        \
                                (uint8_t)((d2)&0xff), (uint8_t)((d2) >> 8 & 0xff),                 \
                                (uint8_t)((d3)&0xff), (uint8_t)((d3) >> 8 & 0xff),                 \
                                (uint8_t)((d4) >> 8 & 0xff), (uint8_t)((d4)&0xff),                 \
                                (uint8_t)((d5) >> 40 & 0xff), (uint8_t)((d5) >> 32 & 0xff),        \
                                (uint8_t)((d5) >> 24 & 0xff), (uint8_t)((d5) >> 16 & 0xff),        \
                                (uint8_t)((d5) >> 8 & 0xff), (uint8_t)((d5)&0xff)                  \
                }                                                                                  \
        }
