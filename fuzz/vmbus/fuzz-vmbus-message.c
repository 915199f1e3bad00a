// SPDX-License-Identifier: MIT
// covers: src/vmbus/message.c
/* A guest that posts anything, between the other things that can happen to a bus. The input is a
 * list of {u8 what, u8 size, size bytes}. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmbus/channel.h"

enum { MEMORY = 1 << 20, DEVICES = 4, SNAPSHOT_MAX = 4 << 20 };
enum { WHAT_MESSAGE, WHAT_MEMORY, WHAT_DOORBELL, WHAT_RESCIND, WHAT_FULL, WHAT_SAVE, WHATS_ };

struct host {
        int doorbells[0x3000];
        bool full;
        struct vmbus_channel *channels[DEVICES];
};

static int post(void *ctx, uint32_t vp, uint8_t sint, const void *payload, size_t size) {
        struct host *host = ctx;
        (void)vp, (void)sint, (void)payload, (void)size;
        return host->full ? VMBUS_E_FULL : 0;
}

static int signal_flag(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag) {
        (void)ctx, (void)vp, (void)sint, (void)flag;
        return 0;
}

static int bind_event(void *ctx, uint32_t connection_id, int eventfd) {
        ((struct host *)ctx)->doorbells[connection_id] = eventfd;
        return 0;
}

static void unbind_event(void *ctx, uint32_t connection_id) {
        ((struct host *)ctx)->doorbells[connection_id] = 0;
}

static uint32_t vps(void *ctx) {
        (void)ctx;
        return 2;
}

static const struct vmbus_host_ops host_ops = {
        post, signal_flag, bind_event, unbind_event, vps, NULL};

static uint32_t dev_open(
        void *ctx, struct vmbus_channel *channel, const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        (void)ctx, (void)channel;
        return user_data[0];
}

static void dev_ready(void *ctx, struct vmbus_channel *channel) {
        struct vmbus_packet p;
        (void)ctx;
        while (vmbus_receive(channel, &p) == 0)
                if (vmbus_send_completion(channel, p.transaction, p.payload, p.payload_size) != 0)
                        break;
}

static void dev_close(void *ctx, struct vmbus_channel *channel) {
        (void)ctx, (void)channel;
}

static void dev_released(void *ctx, struct vmbus_channel *channel) {
        struct host *host = ctx;
        for (int i = 0; i < DEVICES; i++)
                if (host->channels[i] == channel)
                        host->channels[i] = NULL;
}

static const struct vmbus_channel_ops dev_ops = {dev_open, dev_ready, dev_close, dev_released};

static void step(struct host *host, struct vmbus *vmbus, struct gmem *gm, uint8_t what,
        const uint8_t *data, size_t size) {
        uint64_t one = 1;
        uint8_t first = size > 0 ? data[0] : 0;
        switch (what % WHATS_) {
        case WHAT_MESSAGE:
                if (vmbus_message(vmbus, VMBUS_CONNECTION_MESSAGE, VMBUS_MESSAGE_TYPE, data, size))
                        return;
                break;
        case WHAT_MEMORY: /* {page number, offset / 8} and bytes */
                if (size > 2 && gmem_write(gm, (uint64_t)first * GMEM_PAGE_SIZE + data[1] * 8u,
                                        data + 2, size - 2) < 0)
                        return;
                break;
        case WHAT_DOORBELL: {
                int fd = host->doorbells[0x2000 + first];
                if (fd > 0 && write(fd, &one, sizeof one) < 0)
                        abort();
                break;
        }
        case WHAT_RESCIND:
                if (host->channels[first % DEVICES])
                        vmbus_rescind(host->channels[first % DEVICES]);
                break;
        case WHAT_FULL:
                host->full = !host->full;
                vmbus_slot_free(vmbus);
                break;
        case WHAT_SAVE: {
                struct wr wr = wr_new(SNAPSHOT_MAX);
                vmbus_pause(vmbus);
                if (vmbus_save(vmbus, &wr) < 0)
                        abort();
                vmbus_resume(vmbus);
                wr_done(&wr);
                break;
        }
        default:
                break;
        }
}

static int run(struct host *host, struct gmem *gm, struct io_loop *loop, const uint8_t *data,
        size_t size) {
        struct vmbus *vmbus;
        if (vmbus_new(gm, loop, &host_ops, host, &vmbus) < 0)
                return -1;
        for (uint8_t i = 0; i < DEVICES; i++) {
                struct vmbus_offer offer = {.instance = {{i}}, .name = "fuzz"};
                if (vmbus_offer(vmbus, &offer, &dev_ops, host, &host->channels[i]) != 0)
                        abort();
        }
        while (size >= 2) {
                size_t n = data[1] < size - 2 ? data[1] : size - 2;
                step(host, vmbus, gm, data[0], data + 2, n);
                if (io_loop_once(loop, 0) < 0)
                        abort();
                data += 2 + n;
                size -= 2 + n;
        }
        vmbus_free(vmbus);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct host *host = calloc(1, sizeof *host);
        struct gmem *gm = NULL;
        struct io_loop *loop = NULL;
        if (host && gmem_new(MEMORY, &gm) == 0 && gmem_add(gm, 0, MEMORY) == 0 &&
                io_loop_new(&loop) == 0 && run(host, gm, loop, data, size) < 0)
                abort();
        io_loop_free(loop);
        gmem_free(gm);
        free(host);
        return 0;
}
