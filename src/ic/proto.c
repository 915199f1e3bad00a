// SPDX-License-Identifier: MIT
#include "ic/proto.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

/* Packets */

static int read_revision(struct rd *rd, struct ic_revision *ret) {
        struct ic_version v;
        int r = rd_bytes(rd, &v, sizeof v);
        if (r >= 0)
                *ret = (struct ic_revision){le16_get(v.major), le16_get(v.minor)};
        return r;
}

static struct ic_version make_revision(struct ic_revision v) {
        return (struct ic_version){le16_make(v.major), le16_make(v.minor)};
}

int ic_parse(const uint8_t *payload, size_t size, struct ic_message *ret) {
        struct rd rd = rd_make(payload, size), rest, body;
        struct pipe_header pipe;
        struct ic_header header;
        int r = rd_bytes(&rd, &pipe, sizeof pipe);
        if (r < 0)
                return r;
        if (le32_get(pipe.type) != PIPE_DATA)
                return -EBADMSG;
        r = rd_sub(&rd, le32_get(pipe.size), &rest);
        if (r < 0)
                return r;
        r = rd_bytes(&rest, &header, sizeof header);
        if (r < 0)
                return r;
        r = rd_sub(&rest, le16_get(header.size), &body);
        if (r < 0)
                return r;
        *ret = (struct ic_message){
                .framework = {le16_get(header.framework.major), le16_get(header.framework.minor)},
                .message = {le16_get(header.message.major), le16_get(header.message.minor)},
                .type = le16_get(header.type),
                .status = le32_get(header.status),
                .transaction = header.transaction,
                .flags = header.flags,
                .body = body,
        };
        return 0;
}

void ic_write(struct wr *wr, const struct ic_message *message, const void *body, size_t size) {
        assert(size <= IC_BODY_MAX);
        const struct pipe_header pipe = {
                .type = le32_make(PIPE_DATA),
                .size = le32_make((uint32_t)(sizeof(struct ic_header) + size)),
        };
        const struct ic_header header = {
                .framework = make_revision(message->framework),
                .type = le16_make(message->type),
                .message = make_revision(message->message),
                .size = le16_make((uint16_t)size),
                .status = le32_make(message->status),
                .transaction = message->transaction,
                .flags = message->flags,
        };
        wr_bytes(wr, &pipe, sizeof pipe);
        wr_bytes(wr, &header, sizeof header);
        wr_bytes(wr, body, size);
}

/* Negotiation */

static void write_revisions(struct wr *wr, const struct ic_revision *versions, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const struct ic_version v = make_revision(versions[i]);
                wr_bytes(wr, &v, sizeof v);
        }
}

void ic_write_negotiate(struct wr *wr, const struct ic_offered *offered) {
        const struct ic_negotiate body = {
                .framework_count = le16_make((uint16_t)offered->n_framework),
                .message_count = le16_make((uint16_t)offered->n_message),
        };
        wr_bytes(wr, &body, sizeof body);
        write_revisions(wr, offered->framework, offered->n_framework);
        write_revisions(wr, offered->message, offered->n_message);
}

static bool contains(const struct ic_revision *versions, size_t n, struct ic_revision v) {
        for (size_t i = 0; i < n; i++)
                if (versions[i].major == v.major && versions[i].minor == v.minor)
                        return true;
        return false;
}

int ic_parse_negotiate(struct rd body, const struct ic_offered *offered,
        struct ic_revision *ret_framework, struct ic_revision *ret_message) {
        struct ic_negotiate negotiate;
        struct ic_revision framework, message;
        int r = rd_bytes(&body, &negotiate, sizeof negotiate);
        if (r < 0)
                return r;
        uint16_t n_framework = le16_get(negotiate.framework_count);
        uint16_t n_message = le16_get(negotiate.message_count);
        if (n_framework == 0 && n_message == 0)
                return IC_E_NO_VERSION;
        if (n_framework != 1 || n_message != 1)
                return -EBADMSG;
        r = read_revision(&body, &framework);
        if (r < 0)
                return r;
        r = read_revision(&body, &message);
        if (r < 0)
                return r;
        if (!contains(offered->framework, offered->n_framework, framework) ||
                !contains(offered->message, offered->n_message, message))
                return -EBADMSG;
        *ret_framework = framework;
        *ret_message = message;
        return 0;
}

/* Bodies */

void ic_write_heartbeat(struct wr *wr, uint64_t sequence) {
        const struct ic_heartbeat_body body = {.sequence = le64_make(sequence)};
        wr_bytes(wr, &body, sizeof body);
}

int ic_parse_heartbeat(struct rd body, uint64_t *ret_sequence) {
        struct ic_heartbeat_body heartbeat;
        int r = rd_bytes(&body, &heartbeat, sizeof heartbeat);
        if (r >= 0)
                *ret_sequence = le64_get(heartbeat.sequence);
        return r;
}

void ic_write_shutdown(struct wr *wr, uint32_t flags) {
        const struct ic_shutdown_body body = {
                .reason = le32_make(IC_SHUTDOWN_REASON_PLANNED),
                .flags = le32_make(flags),
        };
        wr_bytes(wr, &body, sizeof body);
}

void ic_write_timesync(
        struct wr *wr, uint16_t major, uint64_t filetime, uint64_t reference, uint8_t flags) {
        if (major >= 4) {
                const struct ic_timesync_body body = {
                        .host_time = le64_make(filetime),
                        .reference_time = le64_make(reference),
                        .flags = flags,
                };
                wr_bytes(wr, &body, sizeof body);
        } else {
                const struct ic_timesync_body_v3 body = {
                        .host_time = le64_make(filetime),
                        .flags = flags,
                };
                wr_bytes(wr, &body, sizeof body);
        }
}
