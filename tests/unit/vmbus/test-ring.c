// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <stdatomic.h>
#include "base/clock.h"
#include "fake-guest.h"
#include "vmbus/ring.h"

/* The ring under test stores through a hook, so that a guest can act at that very moment. */
static void hooked_store32(const struct gmem_pages *pages, size_t offset, uint32_t v);
#define gmem_pages_store32 hooked_store32
#include "vmbus/ring.c"
#undef gmem_pages_store32

static struct {
        size_t offset; /* of the word whose next store calls fn first; fn NULL: none */
        void (*fn)(void *ctx);
        void *ctx;
} hook;

static void hooked_store32(const struct gmem_pages *pages, size_t offset, uint32_t v) {
        if (hook.fn && hook.offset == offset) {
                void (*fn)(void *ctx) = hook.fn;
                hook.fn = NULL;
                fn(hook.ctx);
        }
        gmem_pages_store32(pages, offset, v);
}

enum { PAGES = 4, SIZE = (PAGES - 1) * GMEM_PAGE_SIZE };

/* Two rings in one page list, and the guest's ends of them. */
struct pair {
        struct fake_guest *g;
        struct fake_channel ch; /* only its rings; no bus */
        uint64_t pfns[64];
        struct gmem_pages *pages;
        struct ring in, out;
        uint8_t buf[VMBUS_PACKET_SIZE_MAX];
};

static struct pair *pair_new_of(uint32_t up, uint32_t down) {
        struct pair *p = calloc(1, sizeof *p);
        ck_assert_ptr_nonnull(p);
        p->g = fake_guest_without_bus(1);
        fake_pages(p->g, p->pfns, up + down);
        p->ch = (struct fake_channel){.g = p->g};
        p->ch.up = (struct fake_ring){p->g, p->pfns, (up - 1) * GMEM_PAGE_SIZE};
        p->ch.down = (struct fake_ring){p->g, p->pfns + up, (down - 1) * GMEM_PAGE_SIZE};
        fake_rings_init(&p->ch);
        assert_ok(gmem_pages_new(p->g->gm, p->pfns, up + down, &p->pages));
        assert_ok(ring_open_incoming(&p->in, p->pages, 0, up));
        assert_ok(ring_open_outgoing(&p->out, p->pages, up, down));
        ring_unmask(&p->in);
        return p;
}

static struct pair *pair_new(void) {
        return pair_new_of(PAGES, PAGES);
}

static void pair_free(struct pair *p) {
        gmem_pages_free(p->pages);
        fake_guest_free(p->g);
        free(p);
}

static int receive(struct pair *p, struct vmbus_packet *packet, bool *signal) {
        *signal = false;
        return ring_receive(&p->in, p->buf, packet, signal);
}

static int send(struct pair *p, const void *payload, size_t size, bool *signal) {
        struct iovec piece = {(void *)(uintptr_t)payload, size};
        struct ring_packet packet = {VMBUS_PACKET_INBAND, 0, 5, &piece, 1};
        *signal = false;
        return ring_send(&p->out, &packet, signal);
}

static const uint32_t bad_indices[] = {SIZE, SIZE + 1, SIZE + 8, UINT32_MAX, UINT32_MAX - 7, 1, 4,
        7, SIZE - 1, SIZE - 4, 0x80000000};

START_TEST(receives_every_size_across_the_wrap) {
        struct pair *p = pair_new();
        uint8_t bytes[SIZE], header[24];
        bool signal;
        struct vmbus_packet packet;
        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)(i * 7);
        memset(header, 0xab, sizeof header);
        for (uint32_t n = 0; n < 3000; n++) {
                uint32_t size = n * 5 % (SIZE - 64), h = n % 4 * 8;
                ck_assert(fake_send(&p->ch, VMBUS_PACKET_GPA_DIRECT, 1, n, header, h, bytes, size));
                assert_ok(receive(p, &packet, &signal));
                ck_assert_uint_eq(packet.type, VMBUS_PACKET_GPA_DIRECT);
                ck_assert_uint_eq(packet.flags, VMBUS_PACKET_FLAG_COMPLETE);
                ck_assert_uint_eq(packet.transaction, n);
                ck_assert_uint_eq(packet.header_size, h);
                ck_assert_uint_eq(packet.payload_size, (size + 7) / 8 * 8);
                ck_assert_int_eq(memcmp(packet.header, header, h), 0);
                ck_assert_int_eq(memcmp(packet.payload, bytes, size), 0);
                ck_assert(!signal);
                ck_assert_int_eq(receive(p, &packet, &signal), VMBUS_E_EMPTY);
        }
        pair_free(p);
}
END_TEST

START_TEST(sends_every_size_across_the_wrap) {
        struct pair *p = pair_new();
        uint8_t bytes[SIZE];
        static struct fake_packet got;
        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)(i * 11);
        for (uint32_t n = 0; n < 3000; n++) {
                uint32_t size = n * 5 % (SIZE - 64), h = n % 4 * 8;
                struct iovec pieces[] = {
                        {bytes, h}, {bytes + h, size / 3}, {bytes + h + size / 3, size - size / 3}};
                struct ring_packet packet = {VMBUS_PACKET_XFER_PAGES, 1, n, pieces, 3};
                bool signal = false;
                assert_ok(ring_send(&p->out, &packet, &signal));
                ck_assert(signal);
                ck_assert(fake_receive(&p->ch, &got));
                ck_assert_uint_eq(got.type, VMBUS_PACKET_XFER_PAGES);
                ck_assert_uint_eq(got.flags, 1);
                ck_assert_uint_eq(got.transaction, n);
                ck_assert_uint_eq(got.header_size, h);
                ck_assert_uint_eq(got.payload_size, (size + 7) / 8 * 8);
                ck_assert_int_eq(memcmp(got.bytes, bytes, h + size), 0);
                for (uint32_t i = h + size; i < h + got.payload_size; i++)
                        ck_assert_uint_eq(got.bytes[i], 0);
        }
        pair_free(p);
}
END_TEST

START_TEST(refuses_a_ring_without_data_or_past_its_pages) {
        struct pair *p = pair_new();
        struct ring r;
        assert_error(ring_open_incoming(&r, p->pages, 0, 0), -EBADMSG);
        assert_error(ring_open_incoming(&r, p->pages, 0, 1), -EBADMSG);
        assert_ok(ring_open_incoming(&r, p->pages, 0, 2));
        assert_ok(ring_open_incoming(&r, p->pages, 0, 2 * PAGES));
        assert_error(ring_open_incoming(&r, p->pages, 0, 2 * PAGES + 1), -EBADMSG);
        assert_error(ring_open_outgoing(&r, p->pages, 2 * PAGES - 1, 1), -EBADMSG);
        assert_error(ring_open_outgoing(&r, p->pages, 2 * PAGES - 1, 2), -EBADMSG);
        assert_error(ring_open_outgoing(&r, p->pages, 2 * PAGES + 1, 2), -EBADMSG);
        assert_error(ring_open_outgoing(&r, p->pages, SIZE_MAX, 2), -EBADMSG);
        assert_error(ring_open_outgoing(&r, p->pages, 2, SIZE_MAX), -EBADMSG);
        pair_free(p);
}
END_TEST

START_TEST(refuses_to_open_at_an_index_of_ours_that_is_bad) {
        struct pair *p = pair_new();
        struct ring r;
        for (size_t i = 0; i < ARRAY_SIZE(bad_indices); i++) {
                fake_ring_set(&p->ch.up, VMBUS_RING_READ_INDEX, bad_indices[i]);
                fake_ring_set(&p->ch.down, VMBUS_RING_WRITE_INDEX, bad_indices[i]);
                assert_error(ring_open_incoming(&r, p->pages, 0, PAGES), -EBADMSG);
                assert_error(ring_open_outgoing(&r, p->pages, PAGES, PAGES), -EBADMSG);
        }
        fake_ring_set(&p->ch.up, VMBUS_RING_READ_INDEX, SIZE - 8);
        assert_ok(ring_open_incoming(&r, p->pages, 0, PAGES));
        ck_assert_uint_eq(r.mine, SIZE - 8);
        pair_free(p);
}
END_TEST

/* Negative test 6: in and out. */
START_TEST(refuses_an_index_past_the_end_or_unaligned) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        for (size_t i = 0; i < ARRAY_SIZE(bad_indices); i++) {
                fake_ring_set(&p->ch.up, VMBUS_RING_WRITE_INDEX, bad_indices[i]);
                assert_error(receive(p, &packet, &signal), -EBADMSG);
                ck_assert(!signal);
                fake_ring_set(&p->ch.down, VMBUS_RING_READ_INDEX, bad_indices[i]);
                assert_error(send(p, "x", 1, &signal), -EBADMSG);
                ck_assert(!signal);
                ck_assert_uint_eq(ring_send_room(&p->out), 0);
                ck_assert_uint_eq(fake_ring_get(&p->ch.down, VMBUS_RING_WRITE_INDEX), 0);
        }
        pair_free(p);
}
END_TEST

START_TEST(refuses_a_write_index_that_turns_bad_while_empty) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        /* Masked: the second look after unmasking is checked like the first. */
        p->in.masked = true;
        assert_error(receive(p, &packet, &signal), VMBUS_E_EMPTY);
        fake_ring_set(&p->ch.up, VMBUS_RING_WRITE_INDEX, 8);
        assert_error(receive(p, &packet, &signal), -EBADMSG); /* less than a descriptor */
        fake_ring_set(&p->ch.up, VMBUS_RING_WRITE_INDEX, 16);
        assert_error(receive(p, &packet, &signal), -EBADMSG); /* no trailer */
        pair_free(p);
}
END_TEST

START_TEST(does_not_care_what_the_guest_makes_of_our_indices) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        static struct fake_packet got;
        bool signal;
        for (size_t i = 0; i < ARRAY_SIZE(bad_indices); i++) {
                fake_ring_set(&p->ch.up, VMBUS_RING_READ_INDEX, 0);
                fake_ring_set(&p->ch.down, VMBUS_RING_WRITE_INDEX, 0);
                p->in.mine = p->out.mine = 0;
                fake_ring_set(&p->ch.up, VMBUS_RING_WRITE_INDEX, 0);
                fake_ring_set(&p->ch.down, VMBUS_RING_READ_INDEX, 0);
                ck_assert(fake_send_inband(&p->ch, 1, "abc", 3));
                fake_ring_set(&p->ch.up, VMBUS_RING_READ_INDEX, bad_indices[i]);
                assert_ok(receive(p, &packet, &signal));
                ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_READ_INDEX), 32);
                fake_ring_set(&p->ch.down, VMBUS_RING_WRITE_INDEX, bad_indices[i]);
                assert_ok(send(p, "abc", 3, &signal));
                ck_assert(fake_receive(&p->ch, &got));
        }
        pair_free(p);
}
END_TEST

/* What facts 4.3 say of a packet: the checker of the next test. */
static bool sound(uint32_t offset8, uint32_t length8, uint32_t available) {
        return offset8 >= 2 && offset8 <= length8 && length8 * 8 + 8 <= available;
}

/* Negative tests 4 and 6: every offset and length of the low byte, on a packet of 1 KiB. */
START_TEST(agrees_with_the_checker_on_all_offsets_and_lengths) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        enum { AVAILABLE = 1032 };
        for (uint32_t o = 0; o < 256; o++) {
                for (uint32_t l = 0; l < 256; l++) {
                        struct vmbus_packet_descriptor d = {.type = le16_make(6),
                                .offset8 = le16_make((uint16_t)o),
                                .length8 = le16_make((uint16_t)l)};
                        /* Half of them wrap. */
                        uint32_t start = o % 2 ? SIZE - 128 : 0;
                        fake_ring_set(&p->ch.up, VMBUS_RING_WRITE_INDEX, start);
                        p->in.mine = start;
                        fake_write_raw(&p->ch.up, &d, sizeof d, AVAILABLE);
                        int r = receive(p, &packet, &signal);
                        ck_assert_int_eq(r, sound(o, l, AVAILABLE) ? 0 : -EBADMSG);
                        if (r == 0) {
                                ck_assert_uint_eq(packet.header_size, o * 8 - 16);
                                ck_assert_uint_eq(packet.payload_size, (l - o) * 8);
                                ck_assert_ptr_eq(packet.payload, p->buf + o * 8);
                        }
                }
        }
        pair_free(p);
}
END_TEST

START_TEST(takes_a_packet_of_the_greatest_size_and_no_more) {
        struct pair *p = pair_new_of(24, 24);
        struct vmbus_packet packet;
        static struct fake_packet got;
        static uint8_t bytes[VMBUS_PACKET_SIZE_MAX];
        bool signal;
        uint32_t most = VMBUS_PACKET_SIZE_MAX - 16;
        ck_assert(fake_send_inband(&p->ch, 1, bytes, most));
        assert_ok(receive(p, &packet, &signal));
        ck_assert_uint_eq(packet.payload_size, most);
        ck_assert(fake_send_inband(&p->ch, 1, bytes, most + 1));
        assert_error(receive(p, &packet, &signal), -EBADMSG);

        ck_assert_uint_eq(ring_send_room(&p->out), most);
        assert_ok(send(p, bytes, most, &signal));
        ck_assert(fake_receive(&p->ch, &got));
        ck_assert_uint_eq(got.payload_size, most);
        assert_error(send(p, bytes, most + 1, &signal), -EMSGSIZE);
        struct iovec huge[] = {{bytes, 16}, {bytes, SIZE_MAX}};
        struct ring_packet q = {VMBUS_PACKET_INBAND, 0, 0, huge, 2};
        assert_error(ring_send(&p->out, &q, &signal), -EMSGSIZE);
        pair_free(p);
}
END_TEST

START_TEST(refuses_an_extra_header_that_is_not_whole_units) {
        struct pair *p = pair_new();
        uint8_t bytes[16] = {0};
        struct iovec pieces[] = {{bytes, 12}, {bytes, 4}};
        bool signal;
        struct ring_packet q = {VMBUS_PACKET_XFER_PAGES, 0, 0, pieces, 2};
        assert_error(ring_send(&p->out, &q, &signal), -EINVAL);
        q = (struct ring_packet){VMBUS_PACKET_GPA_DIRECT, 0, 0, NULL, 0};
        assert_error(ring_send(&p->out, &q, &signal), -EINVAL);
        q = (struct ring_packet){VMBUS_PACKET_COMPLETION, 0, 0, NULL, 0};
        assert_ok(ring_send(&p->out, &q, &signal));
        pair_free(p);
}
END_TEST

/* Trap 4: what would fill the ring to the last byte does not fit. */
START_TEST(counts_a_packet_as_large_as_the_room_as_too_large) {
        struct pair *p = pair_new();
        static uint8_t bytes[SIZE];
        static struct fake_packet got;
        bool signal;
        assert_error(send(p, bytes, SIZE - 24, &signal), -EMSGSIZE);
        ck_assert_uint_eq(ring_send_room(&p->out), SIZE - 32);
        assert_ok(send(p, bytes, SIZE - 32, &signal));
        ck_assert_uint_eq(ring_send_room(&p->out), 0);
        ck_assert(fake_receive(&p->ch, &got));
        assert_ok(send(p, bytes, 1000, &signal));
        uint32_t room = SIZE - 1024;
        ck_assert_uint_eq(ring_send_room(&p->out), room - 32);
        assert_error(send(p, bytes, room - 24, &signal), VMBUS_E_FULL);
        ck_assert_uint_eq(fake_ring_get(&p->ch.down, VMBUS_RING_PENDING_SEND_SIZE), room);
        assert_ok(send(p, bytes, room - 32, &signal));
        ck_assert_uint_eq(fake_ring_get(&p->ch.down, VMBUS_RING_PENDING_SEND_SIZE), 0);
        pair_free(p);
}
END_TEST

START_TEST(room_never_promises_more_than_a_send_takes) {
        struct pair *p = pair_new();
        static uint8_t bytes[SIZE];
        bool signal;
        for (uint32_t i = 0; i < SIZE; i += 8) {
                p->out.mine = i;
                fake_ring_set(&p->ch.down, VMBUS_RING_WRITE_INDEX, i);
                fake_ring_set(&p->ch.down, VMBUS_RING_READ_INDEX, 0);
                size_t room = ring_send_room(&p->out);
                ck_assert_uint_eq(room, SIZE - i < 32 ? 0 : SIZE - i - 32);
                assert_error(send(p, bytes, room + 1, &signal), i == 0 ? -EMSGSIZE : VMBUS_E_FULL);
                if (room > 0)
                        assert_ok(send(p, bytes, room, &signal));
        }
        pair_free(p);
}
END_TEST

START_TEST(tells_the_guest_exactly_when_an_empty_ring_fills) {
        struct pair *p = pair_new();
        static struct fake_packet got;
        bool signal;
        assert_ok(send(p, "1", 1, &signal));
        ck_assert(signal);
        assert_ok(send(p, "2", 1, &signal));
        ck_assert(!signal); /* not empty */
        ck_assert(fake_receive(&p->ch, &got));
        assert_ok(send(p, "3", 1, &signal));
        ck_assert(!signal); /* still not */
        ck_assert(fake_receive(&p->ch, &got));
        ck_assert(fake_receive(&p->ch, &got));
        fake_ring_set(&p->ch.down, VMBUS_RING_INTERRUPT_MASK, 1);
        assert_ok(send(p, "4", 1, &signal));
        ck_assert(!signal); /* masked: the guest looks by itself */
        ck_assert(fake_receive(&p->ch, &got));
        fake_ring_set(&p->ch.down, VMBUS_RING_INTERRUPT_MASK, 0);
        assert_ok(send(p, "5", 1, &signal));
        ck_assert(signal);
        pair_free(p);
}
END_TEST

START_TEST(masks_doorbells_while_it_drains) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 0);
        ck_assert(fake_send_inband(&p->ch, 1, "a", 1));
        ck_assert(fake_send_inband(&p->ch, 2, "b", 1));
        assert_ok(receive(p, &packet, &signal));
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 1);
        assert_ok(receive(p, &packet, &signal));
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 1);
        ck_assert_int_eq(receive(p, &packet, &signal), VMBUS_E_EMPTY);
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 0);
        pair_free(p);
}
END_TEST

/* Flow control, the guest writing: hvsocket keeps 4120 bytes wanted for ever. */
START_TEST(signals_room_when_it_crosses_what_the_guest_waits_for) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        static uint8_t bytes[4096];
        fake_ring_set(&p->ch.up, VMBUS_RING_PENDING_SEND_SIZE, 4120);
        unsigned n = 0, signals = 0;
        while (fake_send_inband(&p->ch, n, bytes, 1000))
                n++;
        ck_assert_uint_eq(n, 11);
        uint32_t room = SIZE - n * 1024;
        for (unsigned i = 0; i < n; i++) {
                assert_ok(receive(p, &packet, &signal));
                ck_assert_int_eq(signal, room <= 4120 && room + 1024 > 4120);
                room += 1024;
                signals += signal;
        }
        ck_assert_uint_eq(signals, 1);
        /* Without the feature bit nobody waits. */
        fake_ring_set(&p->ch.up, VMBUS_RING_FEATURE_BITS, 0);
        for (n = 0; fake_send_inband(&p->ch, n, bytes, 1000); n++) {
        }
        while (receive(p, &packet, &signal) == 0)
                ck_assert(!signal);
        pair_free(p);
}
END_TEST

/* Negative test 6: pending_send_sz, against facts 4.2. */
START_TEST(survives_every_size_that_a_guest_waits_for) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        static uint8_t bytes[SIZE];
        const uint32_t sizes[] = {1, 3, 31, 32, 33, SIZE - 33, SIZE - 32, SIZE - 31, SIZE - 1, SIZE,
                SIZE + 1, 0x7fffffff, 0x80000000, UINT32_MAX, UINT32_MAX - 7};
        bool signal;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                for (uint32_t size = 8; size <= SIZE - 32; size += 488) {
                        fake_ring_set(&p->ch.up, VMBUS_RING_PENDING_SEND_SIZE, sizes[i]);
                        ck_assert(fake_send_inband(&p->ch, 0, bytes, size));
                        assert_ok(receive(p, &packet, &signal));
                        uint32_t before = SIZE - (size + 24);
                        ck_assert_int_eq(signal, before <= sizes[i] && SIZE > sizes[i]);
                }
        }
        pair_free(p);
}
END_TEST

static void write_unseen(void *ctx) {
        struct pair *p = ctx;
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 1);
        ck_assert(fake_send_inband(&p->ch, 99, "late", 4));
}

/* Facts 4.2: what the guest wrote between our last look and our unmasking rang no doorbell. */
START_TEST(looks_again_after_it_asked_for_doorbells) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        ck_assert(fake_send_inband(&p->ch, 1, "a", 1));
        assert_ok(receive(p, &packet, &signal));
        hook.offset = VMBUS_RING_INTERRUPT_MASK;
        hook.fn = write_unseen;
        hook.ctx = p;
        assert_ok(receive(p, &packet, &signal));
        ck_assert_uint_eq(packet.transaction, 99);
        ck_assert_uint_eq(fake_ring_get(&p->ch.up, VMBUS_RING_INTERRUPT_MASK), 1);
        ck_assert_int_eq(receive(p, &packet, &signal), VMBUS_E_EMPTY);
        pair_free(p);
}
END_TEST

static void spoil_unseen(void *ctx) {
        fake_ring_set(&((struct pair *)ctx)->ch.up, VMBUS_RING_WRITE_INDEX, 5);
}

START_TEST(checks_what_it_sees_when_it_looks_again) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        p->in.masked = true;
        hook.offset = VMBUS_RING_INTERRUPT_MASK;
        hook.fn = spoil_unseen;
        hook.ctx = p;
        assert_error(receive(p, &packet, &signal), -EBADMSG);
        pair_free(p);
}
END_TEST

static void read_unseen(void *ctx) {
        static struct fake_packet got;
        struct pair *p = ctx;
        ck_assert_uint_eq(fake_ring_get(&p->ch.down, VMBUS_RING_PENDING_SEND_SIZE), 0);
        ck_assert(fake_receive(&p->ch, &got));
}

static void spoil_read_unseen(void *ctx) {
        fake_ring_set(&((struct pair *)ctx)->ch.down, VMBUS_RING_READ_INDEX, SIZE);
}

/* The same for room: what was freed before the guest could see that we wait rang nothing. */
START_TEST(looks_again_after_it_said_that_it_waits) {
        struct pair *p = pair_new();
        static uint8_t bytes[SIZE];
        bool signal;
        assert_ok(send(p, bytes, SIZE - 32, &signal));
        hook.offset = PAGES * GMEM_PAGE_SIZE + VMBUS_RING_PENDING_SEND_SIZE;
        hook.fn = read_unseen;
        hook.ctx = p;
        assert_ok(send(p, bytes, 1000, &signal));
        ck_assert_uint_eq(fake_ring_get(&p->ch.down, VMBUS_RING_PENDING_SEND_SIZE), 0);
        assert_ok(send(p, bytes, SIZE - 32 - 1024, &signal));
        hook.fn = spoil_read_unseen;
        assert_error(send(p, bytes, 8, &signal), -EBADMSG);
        pair_free(p);
}
END_TEST

/* Room frees; the guest moves its write index to nowhere before we look whether it waits. */
START_TEST(a_write_index_that_turns_bad_is_no_reason_to_signal) {
        struct pair *p = pair_new();
        struct vmbus_packet packet;
        bool signal;
        fake_ring_set(&p->ch.up, VMBUS_RING_PENDING_SEND_SIZE, SIZE - 8);
        ck_assert(fake_send_inband(&p->ch, 0, "x", 1));
        hook.offset = VMBUS_RING_READ_INDEX;
        hook.fn = spoil_unseen;
        hook.ctx = p;
        assert_ok(receive(p, &packet, &signal));
        ck_assert(!signal);
        assert_error(receive(p, &packet, &signal), -EBADMSG);
        pair_free(p);
}
END_TEST

/* Two threads: a guest that obeys the protocol, and us, who sleep unless told. A signal too few
 * and both sleep for ever (the test's time runs out). */
struct stress {
        struct pair *p;
        atomic_uint to_host, to_guest; /* doorbells and interrupts not yet seen */
        atomic_bool stop;
        uint32_t n;
};

static void stress_wait(atomic_uint *bell) {
        while (atomic_exchange(bell, 0) == 0)
                sched_yield();
}

static void *stress_writer(void *ctx) {
        struct stress *s = ctx;
        struct fake_ring *r = &s->p->ch.up;
        uint8_t bytes[1024] = {0};
        for (uint32_t i = 0; i < s->n;) {
                uint32_t start = fake_ring_get(r, VMBUS_RING_WRITE_INDEX);
                uint32_t size = 8 + i * 40 % 1000;
                memcpy(bytes, &i, sizeof i);
                fake_ring_set(r, VMBUS_RING_PENDING_SEND_SIZE, 0);
                if (!fake_send_inband(&s->p->ch, i, bytes, size)) {
                        fake_ring_set(r, VMBUS_RING_PENDING_SEND_SIZE, (16 + size + 7) / 8 * 8 + 8);
                        if (!fake_send_inband(&s->p->ch, i, bytes, size)) {
                                stress_wait(&s->to_guest);
                                continue;
                        }
                }
                /* fake_send_inband() has no doorbell here: decide again, as it did. */
                if (fake_ring_get(r, VMBUS_RING_INTERRUPT_MASK) == 0 &&
                        fake_ring_get(r, VMBUS_RING_READ_INDEX) == start)
                        atomic_fetch_add(&s->to_host, 1);
                i++;
        }
        return NULL;
}

START_TEST(loses_no_doorbell_and_no_word_of_room) {
        struct stress s = {.p = pair_new(), .n = 100000};
        pthread_t thread;
        struct vmbus_packet packet;
        bool signal;
        ck_assert_int_eq(pthread_create(&thread, NULL, stress_writer, &s), 0);
        for (uint32_t i = 0; i < s.n;) {
                int r = receive(s.p, &packet, &signal);
                if (r == VMBUS_E_EMPTY) {
                        stress_wait(&s.to_host);
                        continue;
                }
                assert_ok(r);
                ck_assert_uint_eq(packet.transaction, i);
                ck_assert_int_eq(memcmp(packet.payload, &i, sizeof i), 0);
                if (signal)
                        atomic_fetch_add(&s.to_guest, 1);
                i++;
        }
        pthread_join(thread, NULL);
        pair_free(s.p);
}
END_TEST

/* The guest reads as Linux does, masked while it runs. */
static void *stress_reader(void *ctx) {
        struct stress *s = ctx;
        struct fake_ring *r = &s->p->ch.down;
        static struct fake_packet got;
        uint32_t before = fake_ring_get(r, VMBUS_RING_READ_INDEX);
        for (uint32_t i = 0; i < s->n;) {
                fake_ring_set(r, VMBUS_RING_INTERRUPT_MASK, 1);
                while (fake_receive(&s->p->ch, &got)) {
                        ck_assert_uint_eq(got.transaction, i);
                        i++;
                        /* fake_receive() has no doorbell here: any room may be what is waited for.
                         */
                        uint32_t now = fake_ring_get(r, VMBUS_RING_READ_INDEX);
                        if (fake_ring_get(r, VMBUS_RING_PENDING_SEND_SIZE) && now != before)
                                atomic_fetch_add(&s->to_host, 1);
                        before = now;
                }
                fake_ring_set(r, VMBUS_RING_INTERRUPT_MASK, 0);
                if (fake_ring_get(r, VMBUS_RING_WRITE_INDEX) == before && i < s->n)
                        stress_wait(&s->to_guest);
        }
        return NULL;
}

START_TEST(loses_no_interrupt) {
        struct stress s = {.p = pair_new(), .n = 100000};
        pthread_t thread;
        uint8_t bytes[1024] = {0};
        ck_assert_int_eq(pthread_create(&thread, NULL, stress_reader, &s), 0);
        for (uint32_t i = 0; i < s.n;) {
                struct iovec piece = {bytes, 8 + i * 40 % 1000};
                struct ring_packet packet = {VMBUS_PACKET_INBAND, 0, i, &piece, 1};
                bool signal = false;
                int r = ring_send(&s.p->out, &packet, &signal);
                if (r == VMBUS_E_FULL) {
                        stress_wait(&s.to_host);
                        continue;
                }
                assert_ok(r);
                if (signal)
                        atomic_fetch_add(&s.to_guest, 1);
                i++;
        }
        pthread_join(thread, NULL);
        pair_free(s.p);
}
END_TEST

/* Negative test 6, second half: a second VP rewrites every index while we read and write. */
static void *index_scribbler(void *ctx) {
        struct stress *s = ctx;
        const uint32_t values[] = {0, 8, 1024, SIZE - 8, SIZE, SIZE + 1, UINT32_MAX, 3};
        unsigned seed = 1;
        while (!atomic_load(&s->stop)) {
                uint32_t v = values[(unsigned)rand_r(&seed) % ARRAY_SIZE(values)];
                uint32_t field = (uint32_t)rand_r(&seed) % 4 * 4; /* of the control page */
                fake_ring_set(&s->p->ch.up, field, v);
                fake_ring_set(&s->p->ch.down, field, v);
        }
        return NULL;
}

START_TEST(keeps_inside_the_ring_while_indices_change) {
        struct stress s = {.p = pair_new()};
        pthread_t thread;
        struct vmbus_packet packet;
        bool signal;
        unsigned got = 0, bad = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, index_scribbler, &s), 0);
        uint64_t end = clock_now_ns() + CLOCK_NS_PER_SEC;
        /* A busy machine may give the other thread no turn for a while. */
        while (clock_now_ns() < end || got == 0 || bad == 0) {
                int r = receive(s.p, &packet, &signal);
                if (r == 0) {
                        got++;
                        ck_assert_uint_le(packet.header_size + packet.payload_size + 16,
                                VMBUS_PACKET_SIZE_MAX);
                } else {
                        bad += r == -EBADMSG;
                        /* The owner would close the channel; here another packet stands there. */
                        struct vmbus_packet_descriptor d = {.type = le16_make(6),
                                .offset8 = le16_make(2),
                                .length8 = le16_make(3)};
                        fake_ring_copy(&s.p->ch.up, s.p->in.mine, &d, sizeof d, true);
                }
                r = send(s.p, "0123456789", 10, &signal);
                ck_assert(r == 0 || r == -EBADMSG || r == VMBUS_E_FULL);
                ck_assert(s.p->in.mine < SIZE && s.p->in.mine % 8 == 0);
                ck_assert(s.p->out.mine < SIZE && s.p->out.mine % 8 == 0);
        }
        atomic_store(&s.stop, true);
        pthread_join(thread, NULL);
        pair_free(s.p);
}
END_TEST

/* Negative test 7: a second VP flips the descriptor between two packets while we look. The one that
 * we return is one of them whole, and the buffer says the same as the fields. */
static void *descriptor_flipper(void *ctx) {
        struct stress *s = ctx;
        struct vmbus_packet_descriptor small = {
                .type = le16_make(6), .offset8 = le16_make(2), .length8 = le16_make(3)};
        struct vmbus_packet_descriptor large = {
                .type = le16_make(9), .offset8 = le16_make(4), .length8 = le16_make(0xffff)};
        struct vmbus_packet_descriptor middle = {
                .type = le16_make(11), .offset8 = le16_make(9), .length8 = le16_make(100)};
        const struct vmbus_packet_descriptor *all[] = {&small, &large, &middle};
        for (unsigned i = 0; !atomic_load(&s->stop); i++)
                fake_ring_copy(
                        &s->p->ch.up, SIZE - 8, (void *)(uintptr_t)all[i % 3], sizeof small, true);
        return NULL;
}

START_TEST(reads_a_flipping_descriptor_once) {
        struct stress s = {.p = pair_new()};
        pthread_t thread;
        struct vmbus_packet packet;
        bool signal;
        unsigned got = 0, bad = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, descriptor_flipper, &s), 0);
        for (unsigned n = test_rounds(200000); got + bad < n || got == 0 || bad == 0;) {
                s.p->in.mine = SIZE - 8; /* the descriptor wraps */
                fake_ring_set(&s.p->ch.up, VMBUS_RING_WRITE_INDEX, 2048);
                int r = receive(s.p, &packet, &signal);
                if (r < 0) {
                        bad++;
                        continue;
                }
                got++;
                struct vmbus_packet_descriptor d;
                memcpy(&d, s.p->buf, sizeof d);
                size_t size = 16 + packet.header_size + packet.payload_size;
                ck_assert_uint_eq(le16_get(d.type), packet.type);
                ck_assert_uint_eq(le16_get(d.length8) * 8u, size);
                ck_assert_uint_eq(le16_get(d.offset8) * 8u, 16 + packet.header_size);
                ck_assert_uint_le(size + 8, 2056);
                ck_assert_uint_eq(s.p->in.mine, (SIZE - 8 + size + 8) % SIZE);
        }
        atomic_store(&s.stop, true);
        pthread_join(thread, NULL);
        pair_free(s.p);
}
END_TEST

TEST_MAIN("ring", receives_every_size_across_the_wrap, sends_every_size_across_the_wrap,
        refuses_a_ring_without_data_or_past_its_pages,
        refuses_to_open_at_an_index_of_ours_that_is_bad, refuses_an_index_past_the_end_or_unaligned,
        refuses_a_write_index_that_turns_bad_while_empty,
        does_not_care_what_the_guest_makes_of_our_indices,
        agrees_with_the_checker_on_all_offsets_and_lengths,
        takes_a_packet_of_the_greatest_size_and_no_more,
        refuses_an_extra_header_that_is_not_whole_units,
        counts_a_packet_as_large_as_the_room_as_too_large,
        room_never_promises_more_than_a_send_takes,
        tells_the_guest_exactly_when_an_empty_ring_fills, masks_doorbells_while_it_drains,
        signals_room_when_it_crosses_what_the_guest_waits_for,
        survives_every_size_that_a_guest_waits_for, looks_again_after_it_asked_for_doorbells,
        checks_what_it_sees_when_it_looks_again, looks_again_after_it_said_that_it_waits,
        a_write_index_that_turns_bad_is_no_reason_to_signal, loses_no_doorbell_and_no_word_of_room,
        loses_no_interrupt, keeps_inside_the_ring_while_indices_change,
        reads_a_flipping_descriptor_once)
