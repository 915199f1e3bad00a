// SPDX-License-Identifier: MIT
#include "base/wr.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "wire/le.h"

enum { WR_FIRST_CAPACITY = 256 };

struct wr wr_make(void *data, size_t capacity) {
        return (struct wr){.data = data, .capacity = capacity, .limit = capacity};
}

struct wr wr_new(size_t limit) {
        return (struct wr){.limit = limit, .owned = true};
}

void wr_done(struct wr *wr) {
        if (wr->owned)
                free(wr->data);
        *wr = (struct wr){0};
}

int wr_error(const struct wr *wr) {
        return wr->error;
}

static int wr_grow(struct wr *wr, size_t want) {
        size_t capacity = wr->capacity ? wr->capacity : WR_FIRST_CAPACITY;
        while (capacity < want)
                capacity = capacity > wr->limit / 2 ? wr->limit : capacity * 2;
        if (capacity > wr->limit)
                capacity = wr->limit;
        uint8_t *data = fault_hit(FAULT_ALLOC) ? NULL : realloc(wr->data, capacity);
        if (!data)
                return -ENOMEM;
        wr->data = data;
        wr->capacity = capacity;
        return 0;
}

/* Room for n more bytes, or NULL with the failure recorded. */
static uint8_t *wr_room(struct wr *wr, size_t n) {
        if (wr->error)
                return NULL;
        if (n > wr->limit - wr->size) {
                wr->error = -ENOSPC;
                return NULL;
        }
        if (n > wr->capacity - wr->size) {
                wr->error = wr_grow(wr, wr->size + n);
                if (wr->error)
                        return NULL;
        }
        uint8_t *p = wr->data + wr->size;
        wr->size += n;
        return p;
}

void wr_bytes(struct wr *wr, const void *data, size_t n) {
        if (n == 0)
                return;
        uint8_t *p = wr_room(wr, n);
        if (p)
                memcpy(p, data, n);
}

void wr_zero(struct wr *wr, size_t n) {
        if (n == 0)
                return;
        uint8_t *p = wr_room(wr, n);
        if (p)
                memset(p, 0, n);
}

void wr_u8(struct wr *wr, uint8_t v) {
        wr_bytes(wr, &v, 1);
}

void wr_le16(struct wr *wr, uint16_t v) {
        le16 w = le16_make(v);
        wr_bytes(wr, &w, sizeof w);
}

void wr_le32(struct wr *wr, uint32_t v) {
        le32 w = le32_make(v);
        wr_bytes(wr, &w, sizeof w);
}

void wr_le64(struct wr *wr, uint64_t v) {
        le64 w = le64_make(v);
        wr_bytes(wr, &w, sizeof w);
}

void wr_pad(struct wr *wr, size_t alignment) {
        assert(alignment > 0);
        size_t rest = wr->size % alignment;
        if (rest)
                wr_zero(wr, alignment - rest);
}

void wr_patch_le32(struct wr *wr, size_t offset, uint32_t v) {
        if (wr->error)
                return;
        assert(offset <= wr->size && wr->size - offset >= 4);
        le32 w = le32_make(v);
        memcpy(wr->data + offset, &w, sizeof w);
}
