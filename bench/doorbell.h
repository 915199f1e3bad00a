// SPDX-License-Identifier: MIT
/* What bench-doorbell and its guest agree on. */
#pragma once

enum {
        DOORBELL_CONNECTION = 0x10001,
        DOORBELL_SINT = 2,
        DOORBELL_VECTOR = 0xf3,
        DOORBELL_SIGNAL_PORT = 0xe8, /* where the hypercall page's code writes the id */
        DOORBELL_PORT = 0xf9,
        DOORBELL_WARM_UP = 20, /* trips that do not count */
        DOORBELL_TRIPS_MAX = 1000,
};
