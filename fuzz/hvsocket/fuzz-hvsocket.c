// SPDX-License-Identifier: MIT
// covers: src/hvsocket/proto.c
/* A packet from the guest: whatever it holds, the data lies inside it, and what is read can be
 * written again. */
#include <stdlib.h>
#include <string.h>
#include "hvsocket/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *view = NULL;
        size_t n = 0;
        uint8_t user_defined[VMBUS_USER_DATA_SIZE];
        if (hvsocket_parse(data, size, &view, &n) < 0)
                return 0;
        if (view < data || n > HVSOCKET_DATA_MAX || n > size - (size_t)(view - data))
                abort();
        const struct pipe_header header = hvsocket_header(n);
        if (memcmp(&header, data, sizeof header) != 0)
                abort();
        hvsocket_user_defined(n > 0, user_defined);
        if (user_defined[4] != (n > 0))
                abort();
        return 0;
}
