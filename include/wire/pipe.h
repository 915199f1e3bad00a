// SPDX-License-Identifier: MIT
/* The header in front of every packet of a VMBus pipe channel (integration services, hvsockets,
 * mouse, video). Source: Linux include/linux/hyperv.h (struct vmbuspipe_hdr). */
#pragma once
#include "wire/le.h"

enum {
        PIPE_DATA = 1,         /* the one type that hosts and guests send */
        PIPE_MODE_BYTE = 0,    /* of the offer's user_defined[0..3] */
        PIPE_MODE_MESSAGE = 4, /* the same */
};

struct pipe_header {
        le32 type;
        le32 size; /* bytes behind this header; the packet is padded to 8 */
};
static_assert(sizeof(struct pipe_header) == 8, "pipe header");
