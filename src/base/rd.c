// SPDX-License-Identifier: MIT
#include "base/rd.h"
#include <errno.h>
#include <string.h>
#include "wire/le.h"

struct rd rd_make(const void *data, size_t size) {
        return (struct rd){.data = data, .size = size};
}

size_t rd_left(const struct rd *rd) {
        return rd->size - rd->pos;
}

int rd_view(struct rd *rd, size_t n, const uint8_t **ret) {
        if (n > rd_left(rd))
                return -EBADMSG;
        if (ret)
                *ret = rd->data + rd->pos;
        rd->pos += n;
        return 0;
}

int rd_bytes(struct rd *rd, void *ret, size_t n) {
        const uint8_t *p;
        int r = rd_view(rd, n, &p);
        if (r < 0)
                return r;
        if (ret && n)
                memcpy(ret, p, n);
        return 0;
}

int rd_skip(struct rd *rd, size_t n) {
        return rd_view(rd, n, NULL);
}

int rd_u8(struct rd *rd, uint8_t *ret) {
        return rd_bytes(rd, ret, 1);
}

int rd_le16(struct rd *rd, uint16_t *ret) {
        le16 v;
        int r = rd_bytes(rd, &v, sizeof v);
        if (r == 0 && ret)
                *ret = le16_get(v);
        return r;
}

int rd_le32(struct rd *rd, uint32_t *ret) {
        le32 v;
        int r = rd_bytes(rd, &v, sizeof v);
        if (r == 0 && ret)
                *ret = le32_get(v);
        return r;
}

int rd_le64(struct rd *rd, uint64_t *ret) {
        le64 v;
        int r = rd_bytes(rd, &v, sizeof v);
        if (r == 0 && ret)
                *ret = le64_get(v);
        return r;
}

int rd_sub(struct rd *rd, size_t n, struct rd *ret) {
        const uint8_t *p;
        int r = rd_view(rd, n, &p);
        if (r < 0)
                return r;
        *ret = rd_make(p, n);
        return 0;
}

int rd_end(const struct rd *rd) {
        return rd_left(rd) == 0 ? 0 : -EBADMSG;
}
