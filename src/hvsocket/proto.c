// SPDX-License-Identifier: MIT
#include "hvsocket/proto.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/rd.h"

int hvsocket_parse(
        const uint8_t *payload, size_t size, const uint8_t **ret_data, size_t *ret_size) {
        struct rd rd = rd_make(payload, size);
        uint32_t type, n;
        const uint8_t *data;
        int r = rd_le32(&rd, &type);
        if (r < 0)
                return r;
        r = rd_le32(&rd, &n);
        if (r < 0)
                return r;
        if (type != PIPE_DATA || n > HVSOCKET_DATA_MAX)
                return -EBADMSG;
        r = rd_view(&rd, n, &data);
        if (r < 0)
                return r;
        *ret_data = data;
        *ret_size = n;
        return 0;
}

struct pipe_header hvsocket_header(size_t size) {
        assert(size <= HVSOCKET_DATA_MAX);
        return (struct pipe_header){
                .type = le32_make(PIPE_DATA),
                .size = le32_make((uint32_t)size),
        };
}

void hvsocket_user_defined(bool from_host, uint8_t ret[VMBUS_USER_DATA_SIZE]) {
        const struct hvsocket_offer_data data = {
                .pipe_mode = le32_make(PIPE_MODE_BYTE),
                .from_host = from_host,
        };
        memset(ret, 0, VMBUS_USER_DATA_SIZE);
        memcpy(ret, &data, sizeof data);
}
