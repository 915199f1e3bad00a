// SPDX-License-Identifier: MIT
// covers: src/ipc/ipc.c
/* A message as either side receives it. The first byte: bit 0 set for the worker, the rest the
 * count of descriptors. What is accepted has to be exactly what the encoder makes. */
#include <stdlib.h>
#include <string.h>
#include "base/wr.h"
#include "ipc/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0 || size > IO_CHAN_MESSAGE_MAX)
                return 0;
        struct ipc_message m;
        enum ipc_side side = data[0] & 1 ? IPC_WORKER : IPC_DAEMON;
        if (ipc_decode(side, data + 1, size - 1, data[0] >> 1, &m) < 0)
                return 0;
        struct wr wr = wr_new(IO_CHAN_MESSAGE_MAX);
        if (ipc_encode(&m, &wr) < 0 || wr.size != size - 1 ||
                memcmp(wr.data, data + 1, wr.size) != 0)
                abort();
        wr_done(&wr);
        ipc_message_done(&m);
        return 0;
}
