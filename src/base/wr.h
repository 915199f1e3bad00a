// SPDX-License-Identifier: MIT
/* A bounded write buffer: either over the caller's array (wr_make) or growing up to a limit
 * (wr_new). A write that does not fit stores nothing and makes the buffer fail for good: callers
 * may write a whole structure and look at wr_error() once. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"

struct wr {
        uint8_t *data;
        size_t size; /* bytes written */
        size_t capacity;
        size_t limit; /* growing buffers: never more than this */
        bool owned;
        int error; /* 0, -ENOSPC past the limit, -ENOMEM */
};

/* Over an array that the caller keeps. */
struct wr wr_make(void *data, size_t capacity);
/* Growing, up to limit bytes. Free with wr_done(). */
struct wr wr_new(size_t limit);
/* Frees the bytes of a growing buffer. Accepts a zeroed struct. */
void wr_done(struct wr *wr);
/* 0, or the first failure. */
_warn_unused_ int wr_error(const struct wr *wr);

void wr_u8(struct wr *wr, uint8_t v);
void wr_le16(struct wr *wr, uint16_t v);
void wr_le32(struct wr *wr, uint32_t v);
void wr_le64(struct wr *wr, uint64_t v);
void wr_bytes(struct wr *wr, const void *data, size_t n);
void wr_zero(struct wr *wr, size_t n);
/* Zeroes up to the next multiple of `alignment`, counted from the start of the buffer. */
void wr_pad(struct wr *wr, size_t alignment);
/* Sets a 32-bit value at an offset that was written before (a length known only afterwards). */
void wr_patch_le32(struct wr *wr, size_t offset, uint32_t v);
