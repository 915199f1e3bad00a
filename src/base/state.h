// SPDX-License-Identifier: MIT
/* The one saved form of every device: sections of {le32 tag, le16 version, le16 0, le32 length,
 * bytes}, written one after another and nested freely. A reader asks for the section that it
 * expects; a foreign tag, a version above its own or bytes left over are -EBADMSG. Saving the same
 * state twice gives the same bytes: nothing here depends on time, addresses or descriptors. */
#pragma once
#include <stdint.h>
#include "base/rd.h"
#include "base/wr.h"

/* STATE_TAG('V','P','R','G') reads as "VPRG" in a hex dump. */
#define STATE_TAG(a, b, c, d)                                                                      \
        ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum { STATE_HEADER_SIZE = 12 };

/* Opens a section and returns a mark for state_end(). */
size_t state_begin(struct wr *wr, uint32_t tag, uint16_t version);
void state_end(struct wr *wr, size_t mark);
/* The next section must be `tag` with version 1..max_version; *ret reads its bytes. */
_warn_unused_ int state_open(
        struct rd *rd, uint32_t tag, uint16_t max_version, uint16_t *ret_version, struct rd *ret);
