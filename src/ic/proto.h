// SPDX-License-Identifier: MIT
/* Bytes of IC packets ↔ host values (facts 9.1 to 9.4). Pure: no state, no I/O. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "wire/ic.h"

enum {
        IC_BODY_MAX = sizeof(struct ic_shutdown_body),
        IC_PACKET_MAX = sizeof(struct pipe_header) + sizeof(struct ic_header) + IC_BODY_MAX,
        IC_VERSIONS_MAX = 4, /* that we offer of one kind */
};

/* Documented refusals (positive). */
enum {
        IC_E_NO_VERSION = 1, /* the guest knows none of ours */
};

struct ic_revision {
        uint16_t major, minor;
};

/* The header of a packet, and its body. */
struct ic_message {
        struct ic_revision framework, message;
        uint16_t type;
        uint32_t status;
        uint8_t transaction, flags;
        struct rd body; /* of a received one */
};

/* A received packet. -EBADMSG when a header is cut off, is of a foreign type, or claims more than
 * there is. The body borrows the payload. */
_warn_unused_ int ic_parse(const uint8_t *payload, size_t size, struct ic_message *ret);
/* A packet to send; message->body is not looked at. */
void ic_write(struct wr *wr, const struct ic_message *message, const void *body, size_t size);

/* Versions that are offered, and those that were chosen. */
struct ic_offered {
        const struct ic_revision *framework, *message;
        size_t n_framework, n_message;
};
/* The body of a negotiation. */
void ic_write_negotiate(struct wr *wr, const struct ic_offered *offered);
/* The guest's answer: 0 and one of the offered pairs, IC_E_NO_VERSION, or -EBADMSG. */
_warn_unused_ int ic_parse_negotiate(struct rd body, const struct ic_offered *offered,
        struct ic_revision *ret_framework, struct ic_revision *ret_message);

void ic_write_heartbeat(struct wr *wr, uint64_t sequence);
_warn_unused_ int ic_parse_heartbeat(struct rd body, uint64_t *ret_sequence);
void ic_write_shutdown(struct wr *wr, uint32_t flags);
void ic_write_timesync(
        struct wr *wr, uint16_t major, uint64_t filetime, uint64_t reference, uint8_t flags);
