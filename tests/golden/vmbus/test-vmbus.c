// SPDX-License-Identifier: MIT
/* The files of this folder played through the bus: what is a guest's goes in, what is ours must
 * come out byte for byte. */
#include <fcntl.h>
#include <stdio.h>
#include "base/fd.h"
#include "../../unit/vmbus/echo.h"

static char *golden(const char *name, size_t *ret_size) {
        char path[4096], *bytes;
        snprintf(path, sizeof path, "%s/tests/golden/vmbus/%s.bin", getenv("SANDBAR_SOURCE_ROOT"),
                name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        assert_ok(fd_read_file(fd, 4096, &bytes, ret_size));
        return bytes;
}

static void assert_golden(const char *name, const void *bytes, size_t size) {
        size_t golden_size;
        _cleanup_free_ char *g = golden(name, &golden_size);
        ck_assert_msg(golden_size == size, "%s: %zu bytes, ours %zu", name, golden_size, size);
        for (size_t i = 0; i < size; i++)
                ck_assert_msg(g[i] == ((const char *)bytes)[i], "%s: byte %zu differs", name, i);
}

static void tell(struct fake_guest *g, const char *name) {
        size_t size;
        _cleanup_free_ char *bytes = golden(name, &size);
        fake_tell(g, bytes, size);
}

static void expect(struct fake_guest *g, const char *name) {
        struct fake_message m;
        ck_assert_msg(fake_next(g, &m), "%s did not come", name);
        assert_golden(name, m.bytes, m.size);
}

static const struct guid scsi = GUID_MAKE(0xba6163d9, 0x04a1, 0x4d29, 0xb605, 0x72e2ffb1dc7f);

static struct fake_guest *connected(void) {
        struct fake_guest *g = fake_guest_new(4);
        g->version = VMBUS_VERSION_5_3;
        tell(g, "initiate-contact-5.3");
        expect(g, "version-response-5.3");
        return g;
}

/* Channel 1 on the offer of the folder, with its GPADL. */
static struct fake_guest *offered(struct echo *e) {
        struct fake_guest *g = connected();
        struct vmbus_offer offer = {.type = scsi,
                .instance = GUID_MAKE(0x12345678, 0x9abc, 0xdef0, 0x0123, 0x456789abcdef),
                .flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE,
                .mmio_megabytes = 8,
                .sub_channel_index = 2,
                .name = "golden"};
        for (size_t i = 0; i < sizeof offer.user_defined; i++)
                offer.user_defined[i] = (uint8_t)(i + 1);
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, e, &e->channel));
        tell(g, "request-offers");
        expect(g, "offer-channel");
        expect(g, "offers-delivered");
        tell(g, "gpadl-header");
        fake_expect_silence(g);
        tell(g, "gpadl-body");
        expect(g, "gpadl-created");
        return g;
}

START_TEST(versions) {
        struct fake_guest *g = fake_guest_new(2);
        tell(g, "initiate-contact-6.0");
        expect(g, "version-response-unsupported");
        tell(g, "initiate-contact-2.4");
        expect(g, "version-response-2.4");
        ck_assert_uint_eq(vmbus_version(g->vmbus), VMBUS_VERSION_2_4);
        tell(g, "unload");
        expect(g, "unload-response");
        ck_assert(!vmbus_connected(g->vmbus));
        fake_guest_free(g);
}
END_TEST

START_TEST(channels) {
        struct echo e = {0};
        struct fake_guest *g = offered(&e);
        tell(g, "open-channel");
        expect(g, "open-result");
        for (size_t i = 0; i < sizeof e.user_data; i++)
                ck_assert_uint_eq(e.user_data[i], i + 1);
        ck_assert_uint_eq(vmbus_ring_size(e.channel), 14 * GMEM_PAGE_SIZE);
        tell(g, "modify-channel");
        expect(g, "modify-response");
        tell(g, "close-channel");
        ck_assert_uint_eq(e.closes, 1);
        tell(g, "gpadl-teardown");
        expect(g, "gpadl-torndown");
        vmbus_rescind(e.channel);
        expect(g, "rescind");
        tell(g, "relid-released");
        ck_assert_uint_eq(e.releases, 1);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 0);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

START_TEST(refusals) {
        struct fake_guest *g = connected();
        size_t size;
        _cleanup_free_ char *header = golden("gpadl-header", &size);
        header[8] = 9;
        fake_tell(g, header, size);
        expect(g, "gpadl-refused");
        tell(g, "tl-connect");
        expect(g, "tl-result");
        tell(g, "tl-connect-silo");
        expect(g, "tl-result");
        fake_guest_free(g);
}
END_TEST

START_TEST(packets) {
        struct echo e = {.lazy = true};
        struct fake_guest *g = offered(&e);
        tell(g, "open-channel");
        expect(g, "open-result");
        uint64_t pfns[30];
        for (uint32_t i = 0; i < 30; i++)
                pfns[i] = 0x100 + i;
        struct fake_ring up = {g, pfns, 14 * GMEM_PAGE_SIZE};
        struct fake_ring down = {g, pfns + 15, 14 * GMEM_PAGE_SIZE};
        size_t inband_size, direct_size;
        _cleanup_free_ char *inband = golden("packet-inband", &inband_size);
        _cleanup_free_ char *direct = golden("packet-gpa-direct", &direct_size);
        fake_write_raw(&up, inband, (uint32_t)inband_size, (uint32_t)inband_size);
        fake_write_raw(&up, direct, (uint32_t)direct_size, (uint32_t)direct_size);

        struct vmbus_packet p;
        ck_assert_int_eq(vmbus_receive(e.channel, &p), 0);
        ck_assert_uint_eq(p.type, VMBUS_PACKET_INBAND);
        ck_assert_uint_eq(p.flags, VMBUS_PACKET_FLAG_COMPLETE);
        ck_assert_uint_eq(p.transaction, 0x1122334455667788);
        ck_assert_uint_eq(p.header_size, 0);
        ck_assert_uint_eq(p.payload_size, 8);
        ck_assert_mem_eq(p.payload, "hello\0\0\0", 8);
        assert_ok(vmbus_send_completion(e.channel, p.transaction, p.payload, p.payload_size));
        ck_assert_int_eq(vmbus_receive(e.channel, &p), 0);
        ck_assert_uint_eq(p.type, VMBUS_PACKET_GPA_DIRECT);
        ck_assert_uint_eq(p.transaction, 2);
        ck_assert_uint_eq(p.header_size, 8 + 8 + 16);
        ck_assert_mem_eq(p.header, direct + 16, p.header_size);
        ck_assert_uint_eq(p.payload_size, 64);
        ck_assert_uint_eq(p.payload[63], 0x3f);
        ck_assert_int_eq(vmbus_receive(e.channel, &p), VMBUS_E_EMPTY);

        const struct {
                struct vmbus_xfer_pages_header header;
                struct vmbus_xfer_range range;
        } extra = {{.pageset = le16_make(0xcafe), .range_count = le32_make(1)},
                {.byte_count = le32_make(100), .byte_offset = le32_make(0x600)}};
        uint8_t zeros[40] = {0}, sent[256];
        struct iovec pieces[] = {{(void *)(uintptr_t)&extra, sizeof extra}, {zeros, sizeof zeros}};
        assert_ok(vmbus_send(
                e.channel, VMBUS_PACKET_XFER_PAGES, VMBUS_PACKET_FLAG_COMPLETE, 5, pieces, 2));
        fake_ring_copy(&down, 0, sent, sizeof sent, false);
        assert_golden("packet-completion", sent, 32);
        assert_golden("packet-xfer-pages", sent + 32, 80);
        ck_assert_uint_eq(fake_ring_get(&down, VMBUS_RING_WRITE_INDEX), 112);
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("golden/vmbus", versions, channels, refusals, packets)
