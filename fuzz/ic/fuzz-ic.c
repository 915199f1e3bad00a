// SPDX-License-Identifier: MIT
// covers: src/ic/proto.c
/* A packet from the guest, read as an answer to each of our devices; what is read can be written
 * again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ic/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct ic_message *message) {
        uint8_t bytes[IC_BODY_MAX], packet[IC_PACKET_MAX];
        struct wr body = wr_make(bytes, sizeof bytes), wr = wr_make(packet, sizeof packet);
        struct ic_message again;
        uint64_t sequence = 0, got;
        if (message->type == IC_TYPE_HEARTBEAT && ic_parse_heartbeat(message->body, &sequence) == 0)
                ic_write_heartbeat(&body, sequence);
        else if (message->type == IC_TYPE_SHUTDOWN)
                ic_write_shutdown(&body, message->flags);
        else
                ic_write_timesync(&body, message->message.major, 1, 2, message->flags);
        ic_write(&wr, message, body.data, body.size);
        if (wr_error(&wr) < 0 || ic_parse(packet, wr.size, &again) < 0)
                abort();
        if (again.type != message->type || again.status != message->status ||
                again.transaction != message->transaction || again.flags != message->flags ||
                rd_left(&again.body) != body.size)
                abort();
        if (sequence != 0 && (ic_parse_heartbeat(again.body, &got) < 0 || got != sequence))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const struct ic_revision frameworks[] = {{3, 0}, {1, 0}};
        static const struct ic_revision messages[] = {{3, 2}, {3, 1}, {3, 0}, {1, 0}};
        static const struct ic_offered offered = {
                .framework = frameworks, .n_framework = 2, .message = messages, .n_message = 4};
        struct ic_message message;
        struct ic_revision framework = {0}, revision = {0};
        uint8_t bytes[64];
        struct wr wr = wr_make(bytes, sizeof bytes);
        if (ic_parse(data, size, &message) < 0)
                return 0;
        if (rd_left(&message.body) > size)
                abort();
        if (ic_parse_negotiate(message.body, &offered, &framework, &revision) == 0 &&
                framework.major != 3 && framework.major != 1)
                abort();
        /* Our own question is no answer. */
        ic_write_negotiate(&wr, &offered);
        if (ic_parse_negotiate(rd_make(wr.data, wr.size), &offered, &framework, &revision) !=
                -EBADMSG)
                abort();
        write_again(&message);
        return 0;
}
