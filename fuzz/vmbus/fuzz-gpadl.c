// SPDX-License-Identifier: MIT
// covers: src/vmbus/gpadl.c
/* A guest that makes GPADLs of anything. The input is a list of {u8 what, u8 size, size bytes}, the
 * bytes being a message from its relid on, or {le32 relid, le32 handle}. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vmbus/gpadl.h"

enum { PAGES = 256, USES_MAX = 16 };
enum {
        STEP_HEADER,
        STEP_BODY,
        STEP_TEARDOWN,
        STEP_USE,
        STEP_UNUSE,
        STEP_FORGET,
        STEP_CLEAR,
        STEP_BACK,
        STEP_TEAR,
        STEPS_
};

/* Every whole GPADL names RAM only, from its first byte to its last. */
static void check_map(const struct gpadl *g) {
        size_t size = gmem_pages_size(g->map);
        if (g->got != g->pages || size != (size_t)g->pages * GMEM_PAGE_SIZE)
                abort();
        gmem_pages_store32(g->map, 0, 1);
        gmem_pages_store32(g->map, size - 4, 1);
}

static void step(struct gpadl_set *set, uint8_t what, const union vmbus_message *m, size_t size) {
        uint32_t status = 0, relid = le32_get(m->gpadl_teardown.relid);
        uint32_t handle = le32_get(m->gpadl_teardown.gpadl);
        struct gpadl *g = gpadl_set_find(set, relid, handle);
        if (g)
                check_map(g);
        switch (what % STEPS_) {
        case STEP_HEADER:
                gpadl_set_header(set, &m->gpadl_header, size, &status);
                break;
        case STEP_BODY:
                gpadl_set_body(set, &m->gpadl_body, size, &relid, &status);
                break;
        case STEP_TEARDOWN:
                gpadl_set_teardown(set, relid, handle);
                break;
        case STEP_USE:
                if (g && g->uses < USES_MAX)
                        gpadl_use(set, g);
                break;
        case STEP_UNUSE:
                if (g && g->uses > 0)
                        gpadl_unuse(set, g);
                break;
        case STEP_FORGET:
                if (!TAILQ_EMPTY(&set->due))
                        gpadl_set_forget(set, TAILQ_FIRST(&set->due));
                break;
        case STEP_CLEAR:
                gpadl_set_clear_relid(set, relid);
                break;
        case STEP_BACK: {
                struct gpadl head = {.relid = relid,
                        .handle = handle,
                        .pages = m->bytes[16],
                        .got = m->bytes[17] % 28};
                if (gpadl_set_put_back(set, &head, m->gpadl_body.pfns) == -EINVAL &&
                        head.got <= head.pages && head.pages > 0)
                        abort();
                break;
        }
        default:
                gpadl_set_tear(set, handle);
                break;
        }
        if (set->count.used > VMBUS_GPADLS_MAX || set->pages.used > VMBUS_GPADL_PAGES_MAX)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct gpadl_set set;
        struct gmem *gm;
        if (gmem_new(PAGES * GMEM_PAGE_SIZE, &gm) < 0)
                return 0;
        if (gmem_add(gm, 0, PAGES * GMEM_PAGE_SIZE) < 0)
                abort();
        gpadl_set_init(&set, gm);
        while (size >= 2) {
                union vmbus_message m = {0};
                size_t n = data[1] < size - 2 ? data[1] : size - 2, header = sizeof m.header;
                if (n > sizeof m - header)
                        n = sizeof m - header;
                memcpy(m.bytes + header, data + 2, n);
                step(&set, data[0], &m, n + header < 16 ? 16 : n + header);
                data += 2 + n;
                size -= 2 + n;
        }
        gpadl_set_clear(&set);
        if (set.count.used != 0 || set.pages.used != 0 || !TAILQ_EMPTY(&set.due))
                abort();
        gmem_free(gm);
        return 0;
}
