// SPDX-License-Identifier: MIT
/* The bytes of one connection, in both directions. A direction moves until its source is empty or
 * its sink is full; what the sink did not take of the piece in hand waits in to_owner or to_guest,
 * and nothing is read until it is gone. That is the whole back-pressure: a full socket leaves the
 * guest's ring full, a full ring leaves the owner's socket full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fault.h"
#include "hvsocket/internal.h"

enum {
        BURST = 32, /* pieces in one direction before others have their turn */

        /* Room for this much is waited for before more is sent: a nearly full ring is not filled
         * with crumbs. Fits the smallest ring, which is one page. */
        PIECE_MIN = 2048 - (int)sizeof(struct pipe_header),
};

int hvsocket_bytes_add(struct hvsocket_bytes *bytes, const void *data, size_t size) {
        if (size == 0)
                return 0;
        size_t left = hvsocket_bytes_left(bytes);
        uint8_t *all = fault_hit(FAULT_ALLOC) ? NULL : malloc(left + size);
        if (!all)
                return -ENOMEM;
        if (left > 0)
                memcpy(all, bytes->data + bytes->begin, left);
        memcpy(all + left, data, size);
        free(bytes->data);
        *bytes = (struct hvsocket_bytes){.data = all, .size = left + size};
        return 0;
}

size_t hvsocket_bytes_left(const struct hvsocket_bytes *bytes) {
        return bytes->size - bytes->begin;
}

void hvsocket_bytes_taken(struct hvsocket_bytes *bytes, size_t n) {
        bytes->begin += n;
        if (bytes->begin == bytes->size)
                hvsocket_bytes_done(bytes);
}

void hvsocket_bytes_done(struct hvsocket_bytes *bytes) {
        free(bytes->data);
        *bytes = (struct hvsocket_bytes){0};
}

/* Guest to owner */

/* The count that the owner's socket took, 0 when it is full. What nobody will read is dropped: an
 * owner who is gone altogether is told by a hang-up, one who only reads no more may still write. */
static ssize_t write_owner(struct hvsocket_conn *conn, const uint8_t *data, size_t size) {
        ssize_t n = fault_hit(FAULT_IO) ? (errno = EIO, -1)
                                        : send(conn->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
                return n;
        if (errno == EAGAIN || errno == EINTR)
                return 0;
        return errno == EPIPE || errno == ECONNRESET ? (ssize_t)size : -errno;
}

static int flush_to_owner(struct hvsocket_conn *conn) {
        while (hvsocket_bytes_left(&conn->to_owner) > 0) {
                ssize_t n = write_owner(conn, conn->to_owner.data + conn->to_owner.begin,
                        hvsocket_bytes_left(&conn->to_owner));
                if (n <= 0)
                        return (int)n;
                hvsocket_bytes_taken(&conn->to_owner, (size_t)n);
        }
        if (conn->guest_fin && !conn->guest_fin_passed_on) {
                /* Fails only when the owner is gone, which the descriptor tells by itself. */
                (void)shutdown(conn->fd, SHUT_WR);
                conn->guest_fin_passed_on = true;
        }
        return 0;
}

static int take_packet(struct hvsocket_conn *conn, const struct vmbus_packet *packet) {
        const uint8_t *data;
        size_t size;
        if (packet->type != VMBUS_PACKET_INBAND || conn->guest_fin)
                return -EPROTO;
        int r = hvsocket_parse(packet->payload, packet->payload_size, &data, &size);
        if (r < 0)
                return r;
        if (size == 0) {
                conn->guest_fin = true;
                return 0;
        }
        ssize_t n = write_owner(conn, data, size);
        if (n < 0)
                return (int)n;
        return hvsocket_bytes_add(&conn->to_owner, data + n, size - (size_t)n);
}

/* A ring that is closed ends in the close() callback; nothing is to be done here. */
static int pump_to_owner(struct hvsocket_conn *conn) {
        struct vmbus_packet packet;
        conn->more_to_owner = false;
        for (int i = 0;; i++) {
                int r = flush_to_owner(conn);
                if (r < 0)
                        return r;
                if (hvsocket_bytes_left(&conn->to_owner) > 0)
                        return 0;
                if (i == BURST) {
                        conn->more_to_owner = true;
                        return 0;
                }
                if (vmbus_receive(conn->channel, &packet) != 0)
                        return 0;
                r = take_packet(conn, &packet);
                if (r < 0)
                        return r;
        }
}

/* Owner to guest */

/* 0 when sent, VMBUS_E_FULL, or VMBUS_E_CLOSED. */
static int write_guest(struct hvsocket_conn *conn, const uint8_t *data, size_t size) {
        struct pipe_header header = hvsocket_header(size);
        struct iovec pieces[] = {
                {.iov_base = &header, .iov_len = sizeof header},
                {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
        };
        return vmbus_send(conn->channel, VMBUS_PACKET_INBAND, 0, 0, pieces, size > 0 ? 2 : 1);
}

/* How much to send in one packet. When that does not fit, vmbus_send() refuses it and the guest
 * wakes us when it has made the room. */
static size_t piece_size(const struct hvsocket_conn *conn) {
        size_t room = vmbus_send_room(conn->channel);
        if (room < PIECE_MIN + sizeof(struct pipe_header))
                return PIECE_MIN;
        room -= sizeof(struct pipe_header);
        return room < HVSOCKET_DATA_MAX ? room : HVSOCKET_DATA_MAX;
}

/* The count read into the common buffer: 0 when there is nothing now, or never again. */
static ssize_t read_owner(struct hvsocket_conn *conn, size_t want) {
        ssize_t n = fault_hit(FAULT_IO) ? (errno = EIO, -1)
                                        : recv(conn->fd, conn->hvs->buffer, want, MSG_DONTWAIT);
        if (n > 0)
                return n;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return -errno;
        conn->owner_eof = true;
        return 0;
}

/* Sends what waits, if anything: 0 when it is gone. */
static int flush_to_guest(struct hvsocket_conn *conn) {
        while (hvsocket_bytes_left(&conn->to_guest) > 0) {
                size_t size = hvsocket_bytes_left(&conn->to_guest);
                if (size > piece_size(conn))
                        size = piece_size(conn);
                int r = write_guest(conn, conn->to_guest.data + conn->to_guest.begin, size);
                if (r != 0)
                        return r;
                hvsocket_bytes_taken(&conn->to_guest, size);
        }
        return 0;
}

/* One step towards the guest: 0 to go on, 1 when there is nothing to do now. */
static int step_to_guest(struct hvsocket_conn *conn) {
        int r = flush_to_guest(conn);
        if (r == 0 && conn->owner_eof && !conn->fin_sent) {
                r = write_guest(conn, NULL, 0);
                conn->fin_sent = r == 0;
        }
        conn->ring_full = r == VMBUS_E_FULL;
        if (r != 0 || conn->fin_sent)
                return r < 0 ? r : 1;
        ssize_t n = read_owner(conn, piece_size(conn));
        if (n < 0)
                return (int)n;
        if (n == 0)
                return conn->owner_eof ? 0 : 1;
        r = write_guest(conn, conn->hvs->buffer, (size_t)n);
        if (r == VMBUS_E_FULL)
                return hvsocket_bytes_add(&conn->to_guest, conn->hvs->buffer, (size_t)n);
        return r <= 0 ? r : 1;
}

static int pump_to_guest(struct hvsocket_conn *conn) {
        /* An owner who is gone has no descriptor that would call us again. */
        for (int i = 0; i < BURST || conn->owner_gone; i++) {
                int r = step_to_guest(conn);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return 0;
}

/* Both together */

static bool finished(const struct hvsocket_conn *conn) {
        return conn->fin_sent && (conn->owner_gone || conn->guest_fin_passed_on);
}

static int watch(struct hvsocket_conn *conn) {
        unsigned events = 0;
        if (!conn->source)
                return 0;
        if (!conn->owner_eof && !conn->ring_full)
                events |= IO_READ;
        if (hvsocket_bytes_left(&conn->to_owner) > 0 || conn->more_to_owner)
                events |= IO_WRITE;
        if (events == conn->watched)
                return 0;
        conn->watched = events;
        return io_source_watch(conn->source, events);
}

static void time_stall(struct hvsocket_conn *conn, bool moved) {
        if (!conn->guest_fin || !conn->ring_full)
                io_timer_disarm(conn->timer);
        else if (moved || !io_timer_armed(conn->timer))
                io_timer_arm(conn->timer, HVSOCKET_STALL_TIMEOUT_MS * CLOCK_NS_PER_MS, 0);
}

void hvsocket_conn_pump(struct hvsocket_conn *conn) {
        if (conn->state != HVSOCKET_OPEN)
                return;
        if (conn->detached)
                conn->owner_gone = conn->owner_eof = true;
        size_t room = vmbus_send_room(conn->channel);
        int r = conn->owner_gone ? 0 : pump_to_owner(conn);
        if (r >= 0)
                r = pump_to_guest(conn);
        if (r >= 0)
                r = watch(conn);
        if (r < 0)
                hvsocket_conn_fail(conn, r);
        else if (finished(conn))
                hvsocket_conn_end(conn, 0);
        else
                time_stall(conn, vmbus_send_room(conn->channel) != room);
}
