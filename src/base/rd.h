// SPDX-License-Identifier: MIT
/* A bounded read cursor over bytes that somebody else wrote. Every read checks first: on success
 * it stores the value and moves, on failure it returns -EBADMSG and neither moves nor stores.
 * A NULL destination skips. The cursor borrows the bytes; it owns nothing and is freely copied. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"

struct rd {
        const uint8_t *data;
        size_t size;
        size_t pos;
};

struct rd rd_make(const void *data, size_t size);
size_t rd_left(const struct rd *rd);

_warn_unused_ int rd_u8(struct rd *rd, uint8_t *ret);
_warn_unused_ int rd_le16(struct rd *rd, uint16_t *ret);
_warn_unused_ int rd_le32(struct rd *rd, uint32_t *ret);
_warn_unused_ int rd_le64(struct rd *rd, uint64_t *ret);
_warn_unused_ int rd_bytes(struct rd *rd, void *ret, size_t n);
_warn_unused_ int rd_skip(struct rd *rd, size_t n);
/* A child cursor over the next n bytes; the parent moves past them. */
_warn_unused_ int rd_sub(struct rd *rd, size_t n, struct rd *ret);
/* A pointer to the next n bytes, which live as long as the underlying buffer. */
_warn_unused_ int rd_view(struct rd *rd, size_t n, const uint8_t **ret);
/* 0 when everything was consumed, else -EBADMSG. */
_warn_unused_ int rd_end(const struct rd *rd);
