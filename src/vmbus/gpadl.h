// SPDX-License-Identifier: MIT
/* GPADLs: lists of guest pages that a guest hands over in pieces (facts 3.5), by handle. Pure over
 * guest memory. Internal to src/vmbus. Not thread-safe.
 *
 * A GPADL is assembled from one header and any number of bodies, which may interleave with those of
 * others; it is whole when its last page number came. Its pages are charged when the header comes,
 * so a half-done one costs no less than a whole one. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "base/quota.h"
#include "vmbus/vmbus.h"

enum {
        GPADL_BUCKETS = 1024,
        /* Of one range: what u16 range_buffer_size can say. */
        GPADL_PAGES_MAX = (UINT16_MAX - 8) / 8,
};

struct gpadl {
        LIST_ENTRY(gpadl) chain;
        TAILQ_ENTRY(gpadl) due; /* in gpadls.due when torn and not used */
        uint32_t handle;
        uint32_t relid;
        struct gmem_pages *map; /* NULL until whole */
        unsigned uses;          /* a ring, and each vmbus_gpadl_get() */
        bool torn;              /* the guest asked for teardown */
        uint32_t pages;
        uint32_t got;
        uint64_t pfns[];
};

TAILQ_HEAD(gpadl_queue, gpadl);

struct gpadl_set {
        const struct gmem *gm;
        LIST_HEAD(, gpadl) bucket[GPADL_BUCKETS];
        struct gpadl_queue due; /* TORNDOWN is to be sent, in this order */
        struct quota count;
        struct quota pages;
};

void gpadl_set_init(struct gpadl_set *set, const struct gmem *gm);
/* Frees all GPADLs, used or not. */
void gpadl_set_clear(struct gpadl_set *set);
/* Frees those of a relid, used or not. */
void gpadl_set_clear_relid(struct gpadl_set *set, uint32_t relid);

enum gpadl_verdict {
        GPADL_IGNORED, /* makes no sense: no such handle, or whole already */
        GPADL_PENDING, /* more page numbers are to come; for a teardown: the answer comes later */
        GPADL_ANSWER,  /* GPADL_CREATED with *ret_status is due */
};

/* `size`: bytes of the message, at least up to `byte_count` for a header and `pfns` for a body. The
 * caller has checked that the relid is a channel. *ret_relid: whose body it was. */
enum gpadl_verdict gpadl_set_header(struct gpadl_set *set, const struct vmbus_msg_gpadl_header *m,
        size_t size, uint32_t *ret_status);
enum gpadl_verdict gpadl_set_body(struct gpadl_set *set, const struct vmbus_msg_gpadl_body *m,
        size_t size, uint32_t *ret_relid, uint32_t *ret_status);
/* PENDING: it is in set->due now or will be when its last use ends. ANSWER: there is none of that
 * handle, TORNDOWN may be said at once. IGNORED: another channel's, or asked before. */
enum gpadl_verdict gpadl_set_teardown(struct gpadl_set *set, uint32_t relid, uint32_t handle);

/* A GPADL of that channel, torn or not; NULL when there is none or it is not whole. */
struct gpadl *gpadl_set_find(struct gpadl_set *set, uint32_t relid, uint32_t handle);
void gpadl_use(struct gpadl_set *set, struct gpadl *gpadl);
void gpadl_unuse(struct gpadl_set *set, struct gpadl *gpadl);
/* Its TORNDOWN was sent. */
void gpadl_set_forget(struct gpadl_set *set, struct gpadl *gpadl);

/* For restore: makes a GPADL of head->pages pages, with head->got of their numbers. -EEXIST,
 * -ENOSPC, -ENOMEM, -EINVAL, -EFAULT. */
_warn_unused_ int gpadl_set_put_back(
        struct gpadl_set *set, const struct gpadl *head, const le64 *pfns);
/* For restore: as after its teardown. False when there is none of that handle, or torn already. */
bool gpadl_set_tear(struct gpadl_set *set, uint32_t handle);
