// SPDX-License-Identifier: MIT
// covers: src/vmbus/ring.c
/* A guest that writes anything into its rings. The input: {u8 pages up, u8 pages down, le32 of the
 * first four control words and the feature bits, twice}, then {u8 what, u8 n} steps whose data are
 * what follows. */
#include <stdlib.h>
#include <string.h>
#include "base/rd.h"
#include "vmbus/ring.h"

enum { PAGES_MAX = 20, STEPS_MAX = 200 };
enum { STEP_RECEIVE, STEP_SEND, STEP_GUEST_INDEX, STEP_GUEST_DATA, STEP_UNMASK, STEPS_ };

struct world {
        struct gmem_pages *pages;
        struct ring in, out;
        uint8_t buf[VMBUS_PACKET_SIZE_MAX];
};

static void control(struct world *w, size_t page, struct rd *rd) {
        const size_t fields[] = {VMBUS_RING_WRITE_INDEX, VMBUS_RING_READ_INDEX,
                VMBUS_RING_INTERRUPT_MASK, VMBUS_RING_PENDING_SEND_SIZE, VMBUS_RING_FEATURE_BITS};
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                uint32_t v = 0;
                if (rd_le32(rd, &v) == 0)
                        gmem_pages_store32(w->pages, page * GMEM_PAGE_SIZE + fields[i], v);
        }
}

static void check_packet(const struct world *w, const struct vmbus_packet *p) {
        if (p->header != w->buf + 16 || p->payload != p->header + p->header_size ||
                p->payload + p->payload_size > w->buf + VMBUS_PACKET_SIZE_MAX)
                abort();
        volatile uint8_t last = 0; /* the sanitizer sees a wrong size */
        if (p->payload_size > 0)
                last = p->payload[p->payload_size - 1];
        (void)last;
}

static void step(struct world *w, uint8_t what, uint8_t n, struct rd *rd) {
        bool signal = false;
        struct vmbus_packet p;
        uint32_t v = 0;
        const uint8_t *data;
        switch (what % STEPS_) {
        case STEP_RECEIVE:
                if (ring_receive(&w->in, w->buf, &p, &signal) == 0)
                        check_packet(w, &p);
                break;
        case STEP_SEND: {
                struct iovec pieces[] = {{w->buf, n / 16 * 8u}, {w->buf, (size_t)n * n}};
                struct ring_packet packet = {what / STEPS_, n, n, pieces, n % 3};
                size_t room = ring_send_room(&w->out);
                int r = ring_send(&w->out, &packet, &signal);
                if (r == 0 && room == 0 && n % 3 == 2)
                        abort();
                break;
        }
        case STEP_GUEST_INDEX: /* one of the guest's words, anywhere in the control pages */
                if (rd_le32(rd, &v) == 0)
                        gmem_pages_store32(w->pages,
                                (n % 2 ? w->out.control : w->in.control) + n / 2 % 20 * 4u, v);
                break;
        case STEP_GUEST_DATA:
                if (rd_view(rd, n, &data) == 0)
                        gmem_pages_write(w->pages,
                                w->in.control + VMBUS_RING_CONTROL_SIZE + what / STEPS_ * 64u, data,
                                n);
                break;
        default:
                ring_unmask(&w->in);
                break;
        }
        if (w->in.mine >= w->in.size || w->out.mine >= w->out.size || w->in.mine % 8 ||
                w->out.mine % 8)
                abort();
}

static void run(struct world *w, struct rd *rd) {
        uint8_t up = 0, down = 0, what, n;
        if (rd_u8(rd, &up) < 0 || rd_u8(rd, &down) < 0)
                return;
        up %= PAGES_MAX;
        down %= PAGES_MAX;
        control(w, 0, rd);
        control(w, up, rd);
        if (ring_open_incoming(&w->in, w->pages, 0, up) < 0 ||
                ring_open_outgoing(&w->out, w->pages, up, down) < 0)
                return;
        for (int i = 0; i < STEPS_MAX && rd_u8(rd, &what) == 0 && rd_u8(rd, &n) == 0; i++)
                step(w, what, n, rd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        enum { PAGES = 2 * PAGES_MAX };
        uint64_t pfns[PAGES];
        struct gmem *gm = NULL;
        struct world *w = calloc(1, sizeof *w);
        for (size_t i = 0; i < PAGES; i++)
                pfns[i] = PAGES - 1 - i;
        struct rd rd = rd_make(data, size);
        if (w && gmem_new(PAGES * GMEM_PAGE_SIZE, &gm) == 0 &&
                gmem_add(gm, 0, PAGES * GMEM_PAGE_SIZE) == 0 &&
                gmem_pages_new(gm, pfns, PAGES, &w->pages) == 0)
                run(w, &rd);
        if (w)
                gmem_pages_free(w->pages);
        free(w);
        gmem_free(gm);
        return 0;
}
