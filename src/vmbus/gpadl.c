// SPDX-License-Identifier: MIT
#include "vmbus/gpadl.h"
#include <errno.h>
#include "base/fault.h"

void gpadl_set_init(struct gpadl_set *set, const struct gmem *gm) {
        *set = (struct gpadl_set){
                .gm = gm,
                .count = {.limit = VMBUS_GPADLS_MAX},
                .pages = {.limit = VMBUS_GPADL_PAGES_MAX},
        };
        TAILQ_INIT(&set->due);
}

/* Handles count up from a start that the guest chooses. */
static size_t gpadl_bucket(uint32_t handle) {
        return (handle ^ handle >> 10 ^ handle >> 20) % GPADL_BUCKETS;
}

static struct gpadl *gpadl_set_lookup(struct gpadl_set *set, uint32_t handle) {
        struct gpadl *gpadl;
        LIST_FOREACH(gpadl, &set->bucket[gpadl_bucket(handle)], chain)
        if (gpadl->handle == handle)
                return gpadl;
        return NULL;
}

/* An empty GPADL, charged. 0, -EEXIST, -ENOSPC, -ENOMEM. */
static int gpadl_set_add(struct gpadl_set *set, uint32_t relid, uint32_t handle, uint32_t pages,
        struct gpadl **ret) {
        if (gpadl_set_lookup(set, handle))
                return -EEXIST;
        if (!quota_charge(&set->count, 1))
                return -ENOSPC;
        if (!quota_charge(&set->pages, pages)) {
                quota_release(&set->count, 1);
                return -ENOSPC;
        }
        struct gpadl *gpadl =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *gpadl + pages * sizeof(uint64_t));
        if (!gpadl) {
                quota_release(&set->count, 1);
                quota_release(&set->pages, pages);
                return -ENOMEM;
        }
        gpadl->handle = handle;
        gpadl->relid = relid;
        gpadl->pages = pages;
        LIST_INSERT_HEAD(&set->bucket[gpadl_bucket(handle)], gpadl, chain);
        *ret = gpadl;
        return 0;
}

void gpadl_set_forget(struct gpadl_set *set, struct gpadl *gpadl) {
        if (gpadl->torn && gpadl->uses == 0)
                TAILQ_REMOVE(&set->due, gpadl, due);
        LIST_REMOVE(gpadl, chain);
        quota_release(&set->count, 1);
        quota_release(&set->pages, gpadl->pages);
        gmem_pages_free(gpadl->map);
        free(gpadl);
}

static void gpadl_set_clear_if(struct gpadl_set *set, bool all, uint32_t relid) {
        for (size_t i = 0; i < GPADL_BUCKETS; i++) {
                struct gpadl *next;
                for (struct gpadl *g = LIST_FIRST(&set->bucket[i]); g; g = next) {
                        next = LIST_NEXT(g, chain);
                        if (all || g->relid == relid)
                                gpadl_set_forget(set, g);
                }
        }
}

void gpadl_set_clear(struct gpadl_set *set) {
        gpadl_set_clear_if(set, true, 0);
}

void gpadl_set_clear_relid(struct gpadl_set *set, uint32_t relid) {
        gpadl_set_clear_if(set, false, relid);
}

static uint32_t gpadl_status(int r) {
        return r == -ENOSPC || r == -ENOMEM ? VMBUS_STATUS_INSUFFICIENT_RESOURCES
                                            : VMBUS_STATUS_UNSUCCESSFUL;
}

/* Takes in the next n page numbers; with the last of them the GPADL becomes whole. 0, 1 when whole,
 * or negative errno: too many, or not RAM. */
static int gpadl_append(
        const struct gpadl_set *set, struct gpadl *gpadl, const le64 *pfns, size_t n) {
        if (n > gpadl->pages - gpadl->got)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++)
                gpadl->pfns[gpadl->got++] = le64_get(pfns[i]);
        if (gpadl->got < gpadl->pages)
                return 0;
        int r = gmem_pages_new(set->gm, gpadl->pfns, gpadl->pages, &gpadl->map);
        return r < 0 ? r : 1;
}

static enum gpadl_verdict gpadl_set_take(struct gpadl_set *set, struct gpadl *gpadl,
        const le64 *pfns, size_t n, uint32_t *ret_status) {
        int r = gpadl_append(set, gpadl, pfns, n);
        if (r == 0)
                return GPADL_PENDING;
        *ret_status = r > 0 ? VMBUS_STATUS_SUCCESS : gpadl_status(r);
        if (r < 0)
                gpadl_set_forget(set, gpadl);
        return GPADL_ANSWER;
}

/* The pages that a header announces, or 0: one range of whole pages, neither more nor less. */
static uint32_t gpadl_header_pages(const struct vmbus_msg_gpadl_header *m) {
        uint32_t bytes = le32_get(m->byte_count), pages = bytes / GMEM_PAGE_SIZE;
        if (le16_get(m->range_count) != 1 || le32_get(m->byte_offset) != 0)
                return 0;
        if (bytes % GMEM_PAGE_SIZE || pages > GPADL_PAGES_MAX)
                return 0;
        if (le16_get(m->range_buffer_size) != sizeof(struct vmbus_gpa_range) + 8 * pages)
                return 0;
        return pages;
}

enum gpadl_verdict gpadl_set_header(struct gpadl_set *set, const struct vmbus_msg_gpadl_header *m,
        size_t size, uint32_t *ret_status) {
        *ret_status = VMBUS_STATUS_UNSUCCESSFUL;
        size_t fixed = offsetof(struct vmbus_msg_gpadl_header, pfns);
        if (size < fixed || (size - fixed) % sizeof(le64))
                return GPADL_ANSWER;
        uint32_t pages = gpadl_header_pages(m);
        if (pages == 0)
                return GPADL_ANSWER;
        struct gpadl *gpadl;
        int r = gpadl_set_add(set, le32_get(m->relid), le32_get(m->gpadl), pages, &gpadl);
        if (r < 0) {
                *ret_status = gpadl_status(r);
                return GPADL_ANSWER;
        }
        return gpadl_set_take(set, gpadl, m->pfns, (size - fixed) / sizeof(le64), ret_status);
}

enum gpadl_verdict gpadl_set_body(struct gpadl_set *set, const struct vmbus_msg_gpadl_body *m,
        size_t size, uint32_t *ret_relid, uint32_t *ret_status) {
        size_t fixed = offsetof(struct vmbus_msg_gpadl_body, pfns);
        struct gpadl *gpadl = gpadl_set_lookup(set, le32_get(m->gpadl));
        if (!gpadl || gpadl->map || gpadl->torn)
                return GPADL_IGNORED;
        *ret_relid = gpadl->relid;
        if ((size - fixed) % sizeof(le64)) {
                gpadl_set_forget(set, gpadl);
                *ret_status = VMBUS_STATUS_UNSUCCESSFUL;
                return GPADL_ANSWER;
        }
        return gpadl_set_take(set, gpadl, m->pfns, (size - fixed) / sizeof(le64), ret_status);
}

static void gpadl_tear(struct gpadl_set *set, struct gpadl *gpadl) {
        gpadl->torn = true;
        if (gpadl->uses == 0)
                TAILQ_INSERT_TAIL(&set->due, gpadl, due);
}

enum gpadl_verdict gpadl_set_teardown(struct gpadl_set *set, uint32_t relid, uint32_t handle) {
        struct gpadl *gpadl = gpadl_set_lookup(set, handle);
        if (!gpadl)
                return GPADL_ANSWER;
        if (gpadl->relid != relid || gpadl->torn)
                return GPADL_IGNORED;
        gpadl_tear(set, gpadl);
        return GPADL_PENDING;
}

struct gpadl *gpadl_set_find(struct gpadl_set *set, uint32_t relid, uint32_t handle) {
        struct gpadl *gpadl = gpadl_set_lookup(set, handle);
        return gpadl && gpadl->relid == relid && gpadl->map ? gpadl : NULL;
}

void gpadl_use(struct gpadl_set *set, struct gpadl *gpadl) {
        if (gpadl->uses++ == 0 && gpadl->torn)
                TAILQ_REMOVE(&set->due, gpadl, due);
}

void gpadl_unuse(struct gpadl_set *set, struct gpadl *gpadl) {
        if (--gpadl->uses == 0 && gpadl->torn)
                TAILQ_INSERT_TAIL(&set->due, gpadl, due);
}

int gpadl_set_put_back(struct gpadl_set *set, const struct gpadl *head, const le64 *pfns) {
        if (head->pages == 0 || head->pages > GPADL_PAGES_MAX || head->got > head->pages)
                return -EINVAL;
        struct gpadl *gpadl;
        int r = gpadl_set_add(set, head->relid, head->handle, head->pages, &gpadl);
        if (r < 0)
                return r;
        r = gpadl_append(set, gpadl, pfns, head->got);
        if (r < 0)
                gpadl_set_forget(set, gpadl);
        return r < 0 ? r : 0;
}

bool gpadl_set_tear(struct gpadl_set *set, uint32_t handle) {
        struct gpadl *gpadl = gpadl_set_lookup(set, handle);
        if (!gpadl || gpadl->torn)
                return false;
        gpadl_tear(set, gpadl);
        return true;
}
