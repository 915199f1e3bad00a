// SPDX-License-Identifier: MIT
#include "vmbus/ring.h"
#include <errno.h>
#include <string.h>

enum {
        RING_UNIT = 8, /* packets and indices are multiples of this */
        RING_DESCRIPTOR = sizeof(struct vmbus_packet_descriptor),
        RING_TRAILER = sizeof(struct vmbus_packet_trailer),
};

static uint32_t ring_load(const struct ring *ring, size_t field) {
        return gmem_pages_load32(ring->pages, ring->control + field);
}

static void ring_store(const struct ring *ring, size_t field, uint32_t v) {
        gmem_pages_store32(ring->pages, ring->control + field, v);
}

/* An index as it stands in the ring this moment, checked. */
static int ring_index(const struct ring *ring, size_t field, uint32_t *ret) {
        uint32_t v = ring_load(ring, field);
        if (v >= ring->size || v % RING_UNIT)
                return -EBADMSG;
        *ret = v;
        return 0;
}

static uint32_t ring_used(const struct ring *ring, uint32_t write, uint32_t read) {
        return write >= read ? write - read : ring->size - read + write;
}

static uint32_t ring_advance(const struct ring *ring, uint32_t index, uint32_t n) {
        uint32_t left = ring->size - index;
        return n < left ? index + n : n - left;
}

/* Data bytes from `index` on, which may wrap once. */
static void ring_read(const struct ring *ring, uint32_t index, void *buf, size_t n) {
        size_t data = ring->control + VMBUS_RING_CONTROL_SIZE, straight = ring->size - index;
        if (straight > n)
                straight = n;
        gmem_pages_read(ring->pages, data + index, buf, straight);
        gmem_pages_read(ring->pages, data, (uint8_t *)buf + straight, n - straight);
}

static void ring_write(const struct ring *ring, uint32_t index, const void *buf, size_t n) {
        size_t data = ring->control + VMBUS_RING_CONTROL_SIZE, straight = ring->size - index;
        if (straight > n)
                straight = n;
        gmem_pages_write(ring->pages, data + index, buf, straight);
        gmem_pages_write(ring->pages, data, (const uint8_t *)buf + straight, n - straight);
}

static int ring_open(struct ring *ring, struct gmem_pages *pages, size_t first, size_t n) {
        size_t all = gmem_pages_size(pages) / GMEM_PAGE_SIZE;
        if (n < RING_PAGES_MIN || first > all || n > all - first)
                return -EBADMSG;
        if (n - 1 > UINT32_MAX / GMEM_PAGE_SIZE)
                return -EBADMSG;
        *ring = (struct ring){
                .pages = pages,
                .control = first * GMEM_PAGE_SIZE,
                .size = (uint32_t)(n - 1) * GMEM_PAGE_SIZE,
        };
        return 0;
}

int ring_open_incoming(struct ring *ring, struct gmem_pages *pages, size_t first, size_t n) {
        int r = ring_open(ring, pages, first, n);
        if (r < 0)
                return r;
        ring->masked = true;
        return ring_index(ring, VMBUS_RING_READ_INDEX, &ring->mine);
}

int ring_open_outgoing(struct ring *ring, struct gmem_pages *pages, size_t first, size_t n) {
        int r = ring_open(ring, pages, first, n);
        if (r < 0)
                return r;
        ring->waiting = true;
        return ring_index(ring, VMBUS_RING_WRITE_INDEX, &ring->mine);
}

void ring_unmask(struct ring *ring) {
        ring_store(ring, VMBUS_RING_INTERRUPT_MASK, 0);
        ring->masked = false;
}

/* How many bytes the guest has written that we have not read. On empty, asks for doorbells and
 * looks once more: the guest may have written before it could see that we ask (facts 4.2). */
static int ring_available(struct ring *ring, uint32_t *ret) {
        uint32_t write;
        int r = ring_index(ring, VMBUS_RING_WRITE_INDEX, &write);
        if (r < 0)
                return r;
        if (write == ring->mine && ring->masked) {
                ring_unmask(ring);
                r = ring_index(ring, VMBUS_RING_WRITE_INDEX, &write);
                if (r < 0)
                        return r;
        }
        if (write == ring->mine)
                return VMBUS_E_EMPTY;
        *ret = ring_used(ring, write, ring->mine);
        return 0;
}

/* True when the n bytes just freed are what the guest waits for: its room was too little before
 * and is enough now. */
static bool ring_frees_writer(const struct ring *ring, uint32_t n) {
        uint32_t pending = ring_load(ring, VMBUS_RING_PENDING_SEND_SIZE), write;
        if (pending == 0)
                return false;
        if (!(ring_load(ring, VMBUS_RING_FEATURE_BITS) & VMBUS_RING_FEATURE_PENDING_SEND))
                return false;
        if (ring_index(ring, VMBUS_RING_WRITE_INDEX, &write) < 0)
                return false; /* found again by the next receive */
        int64_t room = (int64_t)ring->size - ring_used(ring, write, ring->mine);
        return room > pending && room - n <= pending;
}

int ring_receive(struct ring *ring, uint8_t buf[VMBUS_PACKET_SIZE_MAX], struct vmbus_packet *ret,
        bool *ret_signal) {
        uint32_t available;
        int r = ring_available(ring, &available);
        if (r != 0)
                return r;
        if (!ring->masked) {
                ring_store(ring, VMBUS_RING_INTERRUPT_MASK, 1);
                ring->masked = true;
        }
        if (available < RING_DESCRIPTOR + RING_TRAILER)
                return -EBADMSG;

        struct vmbus_packet_descriptor d;
        ring_read(ring, ring->mine, &d, sizeof d);
        uint32_t offset = (uint32_t)le16_get(d.offset8) * RING_UNIT;
        uint32_t length = (uint32_t)le16_get(d.length8) * RING_UNIT;
        if (offset < RING_DESCRIPTOR || offset > length || length > VMBUS_PACKET_SIZE_MAX ||
                length + RING_TRAILER > available)
                return -EBADMSG;
        /* The descriptor as it was checked, whatever the guest made of it since. */
        memcpy(buf, &d, sizeof d);
        ring_read(ring, ring_advance(ring, ring->mine, RING_DESCRIPTOR), buf + RING_DESCRIPTOR,
                length - RING_DESCRIPTOR);

        ring->mine = ring_advance(ring, ring->mine, length + RING_TRAILER);
        ring_store(ring, VMBUS_RING_READ_INDEX, ring->mine);
        *ret_signal = ring_frees_writer(ring, length + RING_TRAILER);
        *ret = (struct vmbus_packet){
                .type = le16_get(d.type),
                .flags = le16_get(d.flags),
                .transaction = le64_get(d.transaction),
                .header = buf + RING_DESCRIPTOR,
                .header_size = offset - RING_DESCRIPTOR,
                .payload = buf + offset,
                .payload_size = length - offset,
        };
        return 0;
}

/* Bytes that may be written; a full ring keeps one unit, so this is never 0 in a sound ring. */
static int ring_room(const struct ring *ring, uint32_t *ret) {
        uint32_t read;
        int r = ring_index(ring, VMBUS_RING_READ_INDEX, &read);
        if (r < 0)
                return r;
        *ret = ring->size - ring_used(ring, ring->mine, read);
        return 0;
}

static uint32_t ring_pad(uint32_t n) {
        return (n + RING_UNIT - 1) / RING_UNIT * RING_UNIT;
}

/* Sizes of a packet: payload offset and length in bytes, padding included. */
static int ring_layout(const struct ring_packet *packet, uint32_t *ret_offset, uint32_t *ret_size) {
        size_t offset = RING_DESCRIPTOR, size = RING_DESCRIPTOR;
        for (int i = 0; i < packet->n_pieces; i++) {
                if (packet->pieces[i].iov_len > VMBUS_PACKET_SIZE_MAX - size)
                        return -EMSGSIZE;
                size += packet->pieces[i].iov_len;
        }
        if (packet->type == VMBUS_PACKET_XFER_PAGES || packet->type == VMBUS_PACKET_GPA_DIRECT) {
                if (packet->n_pieces < 1 || packet->pieces[0].iov_len % RING_UNIT)
                        return -EINVAL;
                offset += packet->pieces[0].iov_len;
        }
        *ret_offset = (uint32_t)offset;
        *ret_size = ring_pad((uint32_t)size);
        return 0;
}

/* 0 when the ring has room for more than n bytes, else leaves word that we wait for them. */
static int ring_reserve(struct ring *ring, uint32_t n) {
        uint32_t room;
        int r = ring_room(ring, &room);
        if (r < 0)
                return r;
        if (room <= n) {
                ring_store(ring, VMBUS_RING_PENDING_SEND_SIZE, n);
                ring->waiting = true;
                r = ring_room(ring, &room);
                if (r < 0)
                        return r;
                if (room <= n)
                        return VMBUS_E_FULL;
        }
        if (ring->waiting) {
                ring_store(ring, VMBUS_RING_PENDING_SEND_SIZE, 0);
                ring->waiting = false;
        }
        return 0;
}

int ring_send(struct ring *ring, const struct ring_packet *packet, bool *ret_signal) {
        static const uint8_t zeros[RING_UNIT];
        uint32_t offset, size;
        int r = ring_layout(packet, &offset, &size);
        if (r < 0)
                return r;
        if (size + RING_TRAILER >= ring->size)
                return -EMSGSIZE;
        r = ring_reserve(ring, size + RING_TRAILER);
        if (r != 0)
                return r;

        uint32_t start = ring->mine, at = start, end = ring_advance(ring, start, size);
        struct vmbus_packet_descriptor d = {
                .type = le16_make(packet->type),
                .offset8 = le16_make((uint16_t)(offset / RING_UNIT)),
                .length8 = le16_make((uint16_t)(size / RING_UNIT)),
                .flags = le16_make(packet->flags),
                .transaction = le64_make(packet->transaction),
        };
        ring_write(ring, at, &d, sizeof d);
        at = ring_advance(ring, at, sizeof d);
        for (int i = 0; i < packet->n_pieces; i++) {
                uint32_t n = (uint32_t)packet->pieces[i].iov_len;
                ring_write(ring, at, packet->pieces[i].iov_base, n);
                at = ring_advance(ring, at, n);
        }
        ring_write(ring, at, zeros, ring_used(ring, end, at));
        struct vmbus_packet_trailer t = {.write_index = le32_make(start)};
        ring_write(ring, end, &t, sizeof t);

        ring->mine = ring_advance(ring, end, sizeof t);
        ring_store(ring, VMBUS_RING_WRITE_INDEX, ring->mine);
        /* The guest sees an empty ring turn non-empty, unless it looks by itself anyway. */
        *ret_signal = ring_load(ring, VMBUS_RING_INTERRUPT_MASK) == 0 &&
                      ring_load(ring, VMBUS_RING_READ_INDEX) == start;
        return 0;
}

size_t ring_send_room(const struct ring *ring) {
        uint32_t room, least = RING_DESCRIPTOR + RING_TRAILER + RING_UNIT;
        if (ring_room(ring, &room) < 0 || room < least)
                return 0;
        size_t most = VMBUS_PACKET_SIZE_MAX - RING_DESCRIPTOR;
        return room - least < most ? room - least : most;
}
