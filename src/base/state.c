// SPDX-License-Identifier: MIT
#include "base/state.h"
#include <errno.h>

size_t state_begin(struct wr *wr, uint32_t tag, uint16_t version) {
        wr_le32(wr, tag);
        wr_le16(wr, version);
        wr_le16(wr, 0);
        wr_le32(wr, 0);
        return wr->size;
}

void state_end(struct wr *wr, size_t mark) {
        if (wr_error(wr) == 0)
                wr_patch_le32(wr, mark - 4, (uint32_t)(wr->size - mark));
}

int state_open(
        struct rd *rd, uint32_t tag, uint16_t max_version, uint16_t *ret_version, struct rd *ret) {
        struct rd r = *rd;
        uint32_t got_tag, length;
        uint16_t version, zero;
        if (rd_le32(&r, &got_tag) < 0 || rd_le16(&r, &version) < 0 || rd_le16(&r, &zero) < 0 ||
                rd_le32(&r, &length) < 0)
                return -EBADMSG;
        if (got_tag != tag || version == 0 || version > max_version || zero != 0)
                return -EBADMSG;
        struct rd body;
        if (rd_sub(&r, length, &body) < 0)
                return -EBADMSG;
        *rd = r;
        *ret = body;
        if (ret_version)
                *ret_version = version;
        return 0;
}
