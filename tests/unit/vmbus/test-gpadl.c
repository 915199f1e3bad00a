// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "fake-guest.h"
#include "vmbus/gpadl.h"

enum { RELID = 3, HANDLE = FAKE_FIRST_GPADL };

struct fixture {
        struct gmem *gm;
        struct gpadl_set set;
        uint64_t pfns[FAKE_PFNS_MAX + 64];
};

enum { RAM_PAGES = 1024, HOLE = 512, HOLE_END = 768 };

/* RAM in two pieces with a hole between. */
static struct fixture *setup(void) {
        struct fixture *f = calloc(1, sizeof *f);
        ck_assert_ptr_nonnull(f);
        assert_ok(gmem_new((uint64_t)(RAM_PAGES - (HOLE_END - HOLE)) * GMEM_PAGE_SIZE, &f->gm));
        assert_ok(gmem_add(f->gm, 0, (uint64_t)HOLE * GMEM_PAGE_SIZE));
        assert_ok(gmem_add(f->gm, (uint64_t)HOLE_END * GMEM_PAGE_SIZE,
                (uint64_t)(RAM_PAGES - HOLE_END) * GMEM_PAGE_SIZE));
        gpadl_set_init(&f->set, f->gm);
        for (uint32_t i = 0; i < ARRAY_SIZE(f->pfns); i++)
                f->pfns[i] = i * 7 % HOLE;
        return f;
}

static void teardown(struct fixture *f) {
        gpadl_set_clear(&f->set);
        ck_assert_uint_eq(f->set.count.used, 0);
        ck_assert_uint_eq(f->set.pages.used, 0);
        ck_assert(TAILQ_EMPTY(&f->set.due));
        gmem_free(f->gm);
        free(f);
}

static enum gpadl_verdict header(
        struct fixture *f, uint32_t handle, const uint64_t *pfns, uint32_t n, uint32_t *status) {
        struct vmbus_msg_gpadl_header m;
        return gpadl_set_header(&f->set, &m, fake_gpadl_header(&m, RELID, handle, pfns, n), status);
}

/* The next body; *done moves on. */
static enum gpadl_verdict body(struct fixture *f, uint32_t handle, const uint64_t *pfns, uint32_t n,
        uint32_t *done, uint32_t *status) {
        struct vmbus_msg_gpadl_body m;
        uint32_t taken, relid = 0;
        size_t size = fake_gpadl_body(&m, handle, pfns + *done, n - *done, &taken);
        enum gpadl_verdict v = gpadl_set_body(&f->set, &m, size, &relid, status);
        if (v != GPADL_IGNORED)
                ck_assert_uint_eq(relid, RELID);
        *done += taken;
        return v;
}

static uint32_t make(struct fixture *f, uint32_t handle, const uint64_t *pfns, uint32_t n) {
        uint32_t status = 1, done = VMBUS_GPADL_HEADER_PFNS_MAX;
        enum gpadl_verdict v = header(f, handle, pfns, n, &status);
        while (v == GPADL_PENDING && done < n)
                v = body(f, handle, pfns, n, &done, &status);
        ck_assert_int_eq(v, GPADL_ANSWER);
        return status;
}

START_TEST(becomes_whole_with_its_last_page_number) {
        struct fixture *f = setup();
        const uint32_t sizes[] = {1, 2, 25, 26, 27, 53, 54, 55, 82, 83, 4096};
        for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                ck_assert_uint_eq(make(f, HANDLE + i, f->pfns, sizes[i]), 0);
                struct gpadl *g = gpadl_set_find(&f->set, RELID, HANDLE + i);
                ck_assert_ptr_nonnull(g);
                ck_assert_uint_eq(gmem_pages_size(g->map), (size_t)sizes[i] * GMEM_PAGE_SIZE);
                /* Page k of the GPADL is the page that its k-th number names. */
                uint32_t k = sizes[i] - 1, word;
                gmem_pages_store32(g->map, (size_t)k * GMEM_PAGE_SIZE, 0x1000 + i);
                assert_ok(gmem_load32(f->gm, f->pfns[k] * GMEM_PAGE_SIZE, &word));
                ck_assert_uint_eq(word, 0x1000 + i);
                ck_assert_ptr_null(gpadl_set_find(&f->set, RELID + 1, HANDLE + i));
        }
        teardown(f);
}
END_TEST

START_TEST(takes_interleaved_bodies) {
        struct fixture *f = setup();
        enum { N = 40, PAGES = 100 };
        uint32_t done[N], status, whole = 0;
        for (uint32_t i = 0; i < N; i++) {
                done[i] = VMBUS_GPADL_HEADER_PFNS_MAX;
                /* Handles that share a bucket. */
                ck_assert_int_eq(header(f, HANDLE + i * GPADL_BUCKETS * GPADL_BUCKETS, f->pfns + i,
                                         PAGES, &status),
                        GPADL_PENDING);
        }
        while (whole < N) {
                for (uint32_t i = 0; i < N; i++) {
                        if (done[i] >= PAGES)
                                continue;
                        uint32_t handle = HANDLE + i * GPADL_BUCKETS * GPADL_BUCKETS;
                        ck_assert_ptr_null(gpadl_set_find(&f->set, RELID, handle));
                        enum gpadl_verdict v =
                                body(f, handle, f->pfns + i, PAGES, &done[i], &status);
                        ck_assert_int_eq(v, done[i] < PAGES ? GPADL_PENDING : GPADL_ANSWER);
                        if (v == GPADL_ANSWER) {
                                ck_assert_uint_eq(status, 0);
                                ck_assert_ptr_nonnull(gpadl_set_find(&f->set, RELID, handle));
                                whole++;
                        }
                }
        }
        teardown(f);
}
END_TEST

/* Negative test 9: the range of a header. */
START_TEST(refuses_a_range_that_is_not_whole_pages_or_not_one) {
        struct fixture *f = setup();
        struct vmbus_msg_gpadl_header good, m;
        size_t size = fake_gpadl_header(&good, RELID, HANDLE, f->pfns, 4);
        const struct {
                uint16_t buffer, ranges;
                uint32_t count, offset;
        } cases[] = {
                {40, 0, 16384, 0}, /* no range */
                {40, 2, 16384, 0}, /* two ranges in the space of one */
                {80, 2, 16384, 0}, /* two ranges */
                {40, 0xffff, 16384, 0},
                {40, 1, 0, 0},     /* no bytes */
                {40, 1, 16383, 0}, /* not whole pages */
                {40, 1, 16385, 0},
                {40, 1, 12288, 0}, /* fewer pages than numbers */
                {40, 1, 20480, 0}, /* more pages than the buffer holds */
                {39, 1, 16384, 0},
                {41, 1, 16384, 0},
                {32, 1, 16384, 0}, /* page count is not range count */
                {48, 1, 16384, 0},
                {0, 1, 16384, 0},
                {8, 1, 0, 0},
                {0xffff, 1, 16384, 0},
                {40, 1, 16384, 1}, /* starts inside a page */
                {40, 1, 16384, 4096},
                {40, 1, 16384, UINT32_MAX}, /* offset + count wraps */
                {40, 1, UINT32_MAX - 4095, 0},
                {40, 1, 0x80000000, 0},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint32_t status = 0;
                m = good;
                m.range_buffer_size = le16_make(cases[i].buffer);
                m.range_count = le16_make(cases[i].ranges);
                m.byte_count = le32_make(cases[i].count);
                m.byte_offset = le32_make(cases[i].offset);
                ck_assert_int_eq(gpadl_set_header(&f->set, &m, size, &status), GPADL_ANSWER);
                ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
                ck_assert_uint_eq(f->set.count.used, 0);
        }
        uint32_t status;
        ck_assert_int_eq(gpadl_set_header(&f->set, &good, size, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, 0);
        teardown(f);
}
END_TEST

START_TEST(refuses_a_message_cut_short_or_between_numbers) {
        struct fixture *f = setup();
        struct vmbus_msg_gpadl_header m;
        size_t size = fake_gpadl_header(&m, RELID, HANDLE, f->pfns, 4), least = 28;
        for (size_t n = 16; n < size; n++) {
                uint32_t status = 0;
                enum gpadl_verdict v = gpadl_set_header(&f->set, &m, n, &status);
                bool whole_numbers = n >= least && (n - least) % 8 == 0;
                ck_assert_int_eq(v, whole_numbers ? GPADL_PENDING : GPADL_ANSWER);
                if (!whole_numbers)
                        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
                gpadl_set_clear(&f->set);
        }
        struct vmbus_msg_gpadl_body b;
        uint32_t taken, relid, status = 0;
        ck_assert_int_eq(header(f, HANDLE, f->pfns, 40, &status), GPADL_PENDING);
        size = fake_gpadl_body(&b, HANDLE, f->pfns, 14, &taken);
        ck_assert_int_eq(gpadl_set_body(&f->set, &b, 16, &relid, &status), GPADL_PENDING);
        ck_assert_int_eq(gpadl_set_body(&f->set, &b, size - 1, &relid, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
        ck_assert_uint_eq(f->set.count.used, 0);
        teardown(f);
}
END_TEST

START_TEST(refuses_more_numbers_than_announced) {
        struct fixture *f = setup();
        struct vmbus_msg_gpadl_header m;
        uint32_t status = 0, done = 0;
        size_t size = fake_gpadl_header(&m, RELID, HANDLE, f->pfns, 5);
        m.byte_count = le32_make(4 * GMEM_PAGE_SIZE);
        m.range_buffer_size = le16_make(8 + 4 * 8);
        ck_assert_int_eq(gpadl_set_header(&f->set, &m, size, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
        ck_assert_uint_eq(f->set.count.used, 0);

        ck_assert_int_eq(header(f, HANDLE, f->pfns, 30, &status), GPADL_PENDING);
        ck_assert_int_eq(body(f, HANDLE, f->pfns, 5, &done, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
        ck_assert_uint_eq(f->set.count.used, 0);
        done = 0;
        ck_assert_int_eq(body(f, HANDLE, f->pfns, 4, &done, &status), GPADL_IGNORED);
        teardown(f);
}
END_TEST

/* Negative test 9: page numbers that are no RAM. */
START_TEST(refuses_page_numbers_outside_ram) {
        struct fixture *f = setup();
        const uint64_t bad[] = {HOLE, HOLE_END - 1, RAM_PAGES, 0xfee00, 0xfec00, UINT64_MAX,
                UINT64_MAX >> 12, (UINT64_MAX >> 12) + 1, 1ull << 52, 1ull << 63};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                for (uint32_t n = 1; n <= 60; n += 29) {
                        uint64_t pfns[60];
                        memcpy(pfns, f->pfns, sizeof pfns);
                        pfns[n - 1] = bad[i];
                        ck_assert_uint_eq(make(f, HANDLE, pfns, n), VMBUS_STATUS_UNSUCCESSFUL);
                        ck_assert_uint_eq(f->set.count.used, 0);
                        ck_assert_uint_eq(f->set.pages.used, 0);
                }
        }
        uint64_t edge[] = {0, HOLE - 1, HOLE_END, RAM_PAGES - 1};
        ck_assert_uint_eq(make(f, HANDLE, edge, 4), 0);
        teardown(f);
}
END_TEST

/* Negative test 9: the same page over and over is the guest's own affair. */
START_TEST(takes_overlapping_pages_and_stays_inside_them) {
        struct fixture *f = setup();
        uint64_t pfns[300];
        for (uint32_t i = 0; i < 300; i++)
                pfns[i] = i % 2;
        ck_assert_uint_eq(make(f, HANDLE, pfns, 300), 0);
        ck_assert_uint_eq(make(f, HANDLE + 1, pfns, 300), 0);
        struct gpadl *g = gpadl_set_find(&f->set, RELID, HANDLE);
        gmem_pages_store32(g->map, 0, 7);
        ck_assert_uint_eq(gmem_pages_load32(g->map, 298 * GMEM_PAGE_SIZE), 7);
        teardown(f);
}
END_TEST

START_TEST(refuses_a_handle_that_is_taken) {
        struct fixture *f = setup();
        uint32_t status;
        ck_assert_uint_eq(make(f, HANDLE, f->pfns, 4), 0);
        ck_assert_uint_eq(make(f, HANDLE, f->pfns, 4), VMBUS_STATUS_UNSUCCESSFUL);
        ck_assert_ptr_nonnull(gpadl_set_find(&f->set, RELID, HANDLE));
        ck_assert_int_eq(header(f, HANDLE + 1, f->pfns, 30, &status), GPADL_PENDING);
        ck_assert_uint_eq(make(f, HANDLE + 1, f->pfns, 4), VMBUS_STATUS_UNSUCCESSFUL);
        uint32_t done = 26;
        ck_assert_int_eq(body(f, HANDLE + 1, f->pfns, 30, &done, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, 0);
        done = 26;
        ck_assert_int_eq(body(f, HANDLE + 1, f->pfns, 30, &done, &status), GPADL_IGNORED);
        teardown(f);
}
END_TEST

START_TEST(takes_the_greatest_range_and_no_greater) {
        struct fixture *f = setup();
        ck_assert_uint_eq(GPADL_PAGES_MAX, 8190);
        ck_assert_uint_eq(make(f, HANDLE, f->pfns, GPADL_PAGES_MAX), 0);
        struct vmbus_msg_gpadl_header m;
        uint32_t status = 0;
        /* 8191 pages: the 16-bit buffer size wraps to what it says for 8191 - 8192 pages. */
        size_t size = fake_gpadl_header(&m, RELID, HANDLE + 1, f->pfns, GPADL_PAGES_MAX + 1);
        ck_assert_int_eq(gpadl_set_header(&f->set, &m, size, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
        size = fake_gpadl_header(&m, RELID, HANDLE + 1, f->pfns, 8192 + 4);
        ck_assert_int_eq(gpadl_set_header(&f->set, &m, size, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_UNSUCCESSFUL);
        teardown(f);
}
END_TEST

/* Negative test 11: neither many nor large GPADLs grow without bound, half done or not. */
START_TEST(holds_at_most_so_many) {
        struct fixture *f = setup();
        uint32_t status;
        for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++)
                ck_assert_uint_eq(make(f, HANDLE + i, f->pfns, 1), 0);
        ck_assert_uint_eq(make(f, HANDLE + VMBUS_GPADLS_MAX, f->pfns, 1),
                VMBUS_STATUS_INSUFFICIENT_RESOURCES);
        gpadl_set_forget(&f->set, gpadl_set_find(&f->set, RELID, HANDLE + 77));
        ck_assert_uint_eq(make(f, HANDLE + VMBUS_GPADLS_MAX, f->pfns, 1), 0);
        gpadl_set_clear(&f->set);
        for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++)
                ck_assert_int_eq(header(f, HANDLE + i, f->pfns, 27, &status), GPADL_PENDING);
        ck_assert_int_eq(header(f, HANDLE + VMBUS_GPADLS_MAX, f->pfns, 27, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
        teardown(f);
}
END_TEST

START_TEST(holds_at_most_so_many_pages) {
        struct fixture *f = setup();
        uint32_t status, n = VMBUS_GPADL_PAGES_MAX / GPADL_PAGES_MAX;
        uint32_t rest = VMBUS_GPADL_PAGES_MAX % GPADL_PAGES_MAX;
        for (uint32_t i = 0; i < n; i++)
                ck_assert_int_eq(
                        header(f, HANDLE + i, f->pfns, GPADL_PAGES_MAX, &status), GPADL_PENDING);
        ck_assert_int_eq(header(f, HANDLE + n, f->pfns, rest + 1, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
        ck_assert_int_eq(header(f, HANDLE + n, f->pfns, rest, &status),
                rest > 26 ? GPADL_PENDING : GPADL_ANSWER);
        ck_assert_uint_eq(f->set.pages.used, VMBUS_GPADL_PAGES_MAX);
        ck_assert_int_eq(header(f, HANDLE + n + 1, f->pfns, 1, &status), GPADL_ANSWER);
        ck_assert_uint_eq(status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
        teardown(f);
}
END_TEST

START_TEST(tears_down_when_unused) {
        struct fixture *f = setup();
        ck_assert_uint_eq(make(f, HANDLE, f->pfns, 4), 0);
        ck_assert_int_eq(gpadl_set_teardown(&f->set, RELID + 1, HANDLE), GPADL_IGNORED);
        ck_assert_int_eq(gpadl_set_teardown(&f->set, RELID, HANDLE + 1), GPADL_ANSWER);
        struct gpadl *g = gpadl_set_find(&f->set, RELID, HANDLE);
        gpadl_use(&f->set, g);
        gpadl_use(&f->set, g);
        ck_assert_int_eq(gpadl_set_teardown(&f->set, RELID, HANDLE), GPADL_PENDING);
        ck_assert(TAILQ_EMPTY(&f->set.due));
        ck_assert_int_eq(gpadl_set_teardown(&f->set, RELID, HANDLE), GPADL_IGNORED);
        gpadl_unuse(&f->set, g);
        ck_assert(TAILQ_EMPTY(&f->set.due));
        gpadl_unuse(&f->set, g);
        ck_assert_ptr_eq(TAILQ_FIRST(&f->set.due), g);
        gpadl_use(&f->set, g); /* taken again after a restore */
        ck_assert(TAILQ_EMPTY(&f->set.due));
        gpadl_unuse(&f->set, g);
        gpadl_set_forget(&f->set, TAILQ_FIRST(&f->set.due));
        ck_assert_ptr_null(gpadl_set_find(&f->set, RELID, HANDLE));
        teardown(f);
}
END_TEST

START_TEST(tears_down_what_is_half_done) {
        struct fixture *f = setup();
        uint32_t status, done = 26;
        ck_assert_int_eq(header(f, HANDLE, f->pfns, 30, &status), GPADL_PENDING);
        ck_assert_int_eq(gpadl_set_teardown(&f->set, RELID, HANDLE), GPADL_PENDING);
        ck_assert_int_eq(body(f, HANDLE, f->pfns, 30, &done, &status), GPADL_IGNORED);
        ck_assert_ptr_nonnull(TAILQ_FIRST(&f->set.due));
        teardown(f);
}
END_TEST

START_TEST(forgets_those_of_one_channel) {
        struct fixture *f = setup();
        struct vmbus_msg_gpadl_header m;
        uint32_t status;
        for (uint32_t i = 0; i < 100; i++) {
                size_t size = fake_gpadl_header(&m, 1 + i % 2, HANDLE + i, f->pfns, 1 + i % 3 * 26);
                gpadl_set_header(&f->set, &m, size, &status);
                if (i % 5 == 0)
                        gpadl_set_teardown(&f->set, 1 + i % 2, HANDLE + i);
        }
        ck_assert_uint_eq(f->set.count.used, 100);
        gpadl_set_clear_relid(&f->set, 1);
        ck_assert_uint_eq(f->set.count.used, 50);
        struct gpadl *g;
        TAILQ_FOREACH(g, &f->set.due, due)
        ck_assert_uint_eq(g->relid, 2);
        teardown(f);
}
END_TEST

START_TEST(answers_want_of_memory) {
        struct fixture *f = setup();
        for (unsigned n = 1;; n++) {
                fault_arm(FAULT_ALLOC, n);
                uint32_t status = make(f, HANDLE, f->pfns, 60);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                if (!fired) {
                        ck_assert_uint_eq(status, 0);
                        ck_assert_uint_gt(n, 2);
                        break;
                }
                ck_assert_uint_eq(status, VMBUS_STATUS_INSUFFICIENT_RESOURCES);
                ck_assert_uint_eq(f->set.count.used, 0);
                ck_assert_uint_eq(f->set.pages.used, 0);
        }
        teardown(f);
}
END_TEST

START_TEST(puts_back_what_was_saved) {
        struct fixture *f = setup();
        le64 pfns[4];
        for (int i = 0; i < 4; i++)
                pfns[i] = le64_make(f->pfns[i]);
        struct gpadl head = {.handle = HANDLE, .relid = RELID, .pages = 4, .got = 4};
        assert_ok(gpadl_set_put_back(&f->set, &head, pfns));
        ck_assert_ptr_nonnull(gpadl_set_find(&f->set, RELID, HANDLE));
        assert_error(gpadl_set_put_back(&f->set, &head, pfns), -EEXIST);
        head.handle++;
        head.got = 3;
        assert_ok(gpadl_set_put_back(&f->set, &head, pfns));
        ck_assert_ptr_null(gpadl_set_find(&f->set, RELID, head.handle));
        head.handle++;
        head.got = 5;
        assert_error(gpadl_set_put_back(&f->set, &head, pfns), -EINVAL);
        head.pages = 0;
        head.got = 0;
        assert_error(gpadl_set_put_back(&f->set, &head, pfns), -EINVAL);
        head.pages = GPADL_PAGES_MAX + 1;
        assert_error(gpadl_set_put_back(&f->set, &head, pfns), -EINVAL);
        head.pages = head.got = 1;
        pfns[0] = le64_make(HOLE);
        assert_error(gpadl_set_put_back(&f->set, &head, pfns), -EFAULT);
        ck_assert_uint_eq(f->set.count.used, 2);
        ck_assert(gpadl_set_tear(&f->set, HANDLE));
        ck_assert(!gpadl_set_tear(&f->set, HANDLE));
        ck_assert(!gpadl_set_tear(&f->set, HANDLE + 9));
        teardown(f);
}
END_TEST

TEST_MAIN("gpadl", becomes_whole_with_its_last_page_number, takes_interleaved_bodies,
        refuses_a_range_that_is_not_whole_pages_or_not_one,
        refuses_a_message_cut_short_or_between_numbers, refuses_more_numbers_than_announced,
        refuses_page_numbers_outside_ram, takes_overlapping_pages_and_stays_inside_them,
        refuses_a_handle_that_is_taken, takes_the_greatest_range_and_no_greater,
        holds_at_most_so_many, holds_at_most_so_many_pages, tears_down_when_unused,
        tears_down_what_is_half_done, forgets_those_of_one_channel, answers_want_of_memory,
        puts_back_what_was_saved)
