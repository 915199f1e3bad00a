// SPDX-License-Identifier: MIT
#include "base/guid.h"
#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

/* libuuid keeps all fields big-endian; the wire has the first three little-endian. */
static void guid_swap(const uint8_t in[16], uint8_t out[16]) {
        static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
        for (int i = 0; i < 16; i++)
                out[i] = in[order[i]];
}

bool guid_equal(const struct guid *a, const struct guid *b) {
        return memcmp(a, b, sizeof *a) == 0;
}

bool guid_is_null(const struct guid *g) {
        static const struct guid null;
        return guid_equal(g, &null);
}

int guid_parse(const char *text, struct guid *ret) {
        uuid_t uuid;
        if (strlen(text) != GUID_TEXT_SIZE - 1 || uuid_parse(text, uuid) < 0)
                return -EINVAL;
        guid_swap(uuid, ret->b);
        return 0;
}

void guid_format(const struct guid *g, char ret[GUID_TEXT_SIZE]) {
        uuid_t uuid;
        guid_swap(g->b, uuid);
        uuid_unparse_lower(uuid, ret);
}

void guid_random(struct guid *ret) {
        uuid_t uuid;
        uuid_generate_random(uuid);
        guid_swap(uuid, ret->b);
}

uint32_t guid_data1(const struct guid *g) {
        return (uint32_t)g->b[0] | (uint32_t)g->b[1] << 8 | (uint32_t)g->b[2] << 16 |
               (uint32_t)g->b[3] << 24;
}

void guid_set_data1(struct guid *g, uint32_t v) {
        for (int i = 0; i < 4; i++)
                g->b[i] = (uint8_t)(v >> (8 * i));
}
