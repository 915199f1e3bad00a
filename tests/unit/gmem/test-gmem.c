// SPDX-License-Identifier: MIT
#include "gmem/gmem.h"
#include <pthread.h>
#include "base/fault.h"
#include "../test.h"

enum { PAGE = GMEM_PAGE_SIZE };

/* Two neighbours at 1 MiB, then a hole, then the last page below 4 GiB. */
#define LOW  0x100000ull
#define NEXT (LOW + 4 * PAGE)
#define END  (NEXT + 2 * PAGE)
#define HIGH 0xfffff000ull

static struct gmem *make(void) {
        struct gmem *gm = NULL;
        assert_ok(gmem_new(7 * PAGE, &gm));
        assert_ok(gmem_add(gm, LOW, 4 * PAGE));
        assert_ok(gmem_add(gm, NEXT, 2 * PAGE));
        assert_ok(gmem_add(gm, HIGH, PAGE));
        return gm;
}

START_TEST(refuses_a_size_that_is_not_whole_pages) {
        struct gmem *gm = NULL;
        assert_error(gmem_new(0, &gm), -EINVAL);
        assert_error(gmem_new(PAGE + 1, &gm), -EINVAL);
        assert_error(gmem_new(UINT64_MAX - PAGE + 1, &gm), -EINVAL);
        ck_assert_ptr_null(gm);
}
END_TEST

START_TEST(survives_every_failure_of_construction) {
        for (unsigned n = 1;; n++) {
                struct gmem *gm = NULL;
                fault_arm(FAULT_ALLOC, n);
                int r = gmem_new(PAGE, &gm);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                if (!fired) {
                        assert_ok(r);
                        gmem_free(gm);
                        break;
                }
                assert_error(r, -ENOMEM);
                ck_assert_ptr_null(gm);
        }
        struct gmem *gm = NULL;
        fault_arm(FAULT_FD, 1);
        assert_error(gmem_new(PAGE, &gm), -EMFILE);
        ck_assert_ptr_null(gm);
        ck_assert_ptr_null(gmem_free(NULL));
}
END_TEST

START_TEST(refuses_bad_regions) {
        _cleanup_(gmem_freep) struct gmem *gm = NULL;
        assert_ok(gmem_new(16 * PAGE, &gm));
        assert_ok(gmem_add(gm, 4 * PAGE, 4 * PAGE));
        assert_error(gmem_add(gm, 0, 0), -EINVAL);
        assert_error(gmem_add(gm, 1, PAGE), -EINVAL);
        assert_error(gmem_add(gm, 0, PAGE - 1), -EINVAL);
        assert_error(gmem_add(gm, 0, 5 * PAGE), -EINVAL);
        assert_error(gmem_add(gm, 7 * PAGE, PAGE), -EINVAL);
        assert_error(gmem_add(gm, 5 * PAGE, PAGE), -EINVAL);
        assert_error(gmem_add(gm, 0, 16 * PAGE), -EINVAL);
        assert_error(gmem_add(gm, UINT64_MAX - PAGE + 1, PAGE), -EINVAL);
        assert_error(gmem_add(gm, 100 * PAGE, 13 * PAGE), -ENOSPC);
        ck_assert_uint_eq(gmem_size(gm), 4 * PAGE);
        assert_ok(gmem_add(gm, 8 * PAGE, PAGE));
        assert_ok(gmem_add(gm, 3 * PAGE, PAGE));
        assert_ok(gmem_add(gm, UINT64_MAX - 2 * PAGE + 1, PAGE));
        ck_assert_uint_eq(gmem_size(gm), 7 * PAGE);
}
END_TEST

START_TEST(takes_as_many_regions_as_the_limit_says) {
        _cleanup_(gmem_freep) struct gmem *gm = NULL;
        assert_ok(gmem_new(16 * PAGE, &gm));
        for (unsigned i = 0; i < GMEM_REGIONS_MAX; i++)
                assert_ok(gmem_add(gm, (uint64_t)i * 2 * PAGE, PAGE));
        assert_error(gmem_add(gm, 100 * PAGE, PAGE), -ENOSPC);
        ck_assert_uint_eq(gmem_regions(gm), GMEM_REGIONS_MAX);
        struct gmem_region last = gmem_region(gm, GMEM_REGIONS_MAX - 1);
        ck_assert_uint_eq(last.gpa, (GMEM_REGIONS_MAX - 1) * 2 * PAGE);
        ck_assert_uint_eq(last.offset, (GMEM_REGIONS_MAX - 1) * PAGE);
        ck_assert_uint_eq(last.size, PAGE);
}
END_TEST

START_TEST(the_memory_file_holds_what_is_written) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        uint8_t byte = 0;
        assert_ok(gmem_write(gm, HIGH, "x", 1));
        ck_assert_int_eq(pread(gmem_fd(gm), &byte, 1, 6 * PAGE), 1);
        ck_assert_uint_eq(byte, 'x');
        ck_assert_uint_eq(*(uint8_t *)gmem_region(gm, 2).mapping, 'x');
}
END_TEST

START_TEST(knows_what_is_ram) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        ck_assert(gmem_valid(gm, LOW, 6 * PAGE));
        ck_assert(!gmem_valid(gm, LOW, 6 * PAGE + 1));
        ck_assert(!gmem_valid(gm, LOW - 1, 1));
        ck_assert(!gmem_valid(gm, LOW - 1, 2));
        ck_assert(gmem_valid(gm, END - 1, 1));
        ck_assert(!gmem_valid(gm, END - 1, 2));
        ck_assert(!gmem_valid(gm, END, 1));
        ck_assert(gmem_valid(gm, NEXT - 1, 2));
        ck_assert(gmem_valid(gm, HIGH, PAGE));
        ck_assert(!gmem_valid(gm, HIGH, PAGE + 1));
        ck_assert(!gmem_valid(gm, LOW, UINT64_MAX));
        ck_assert(!gmem_valid(gm, HIGH, UINT64_MAX - HIGH + 1));
        ck_assert(!gmem_valid(gm, UINT64_MAX, 1));
        ck_assert(!gmem_valid(gm, UINT64_MAX, 2));
        ck_assert(!gmem_valid(gm, 0, UINT64_MAX));
}
END_TEST

START_TEST(a_length_of_zero_still_needs_ram) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        ck_assert(gmem_valid(gm, LOW, 0));
        ck_assert(gmem_valid(gm, END - 1, 0));
        ck_assert(!gmem_valid(gm, END, 0));
        assert_ok(gmem_read(gm, LOW, NULL, 0));
        assert_ok(gmem_write(gm, LOW, NULL, 0));
        assert_ok(gmem_zero(gm, LOW, 0));
        assert_ok(gmem_discard(gm, LOW, 0));
        assert_error(gmem_read(gm, END, NULL, 0), -EFAULT);
        ck_assert_int_eq(gmem_iov(gm, LOW, 0, NULL, 0), 0);
}
END_TEST

START_TEST(copies_across_neighbouring_regions) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        uint8_t in[64], out[64] = {0};
        for (unsigned i = 0; i < sizeof in; i++)
                in[i] = (uint8_t)(i + 1);
        assert_ok(gmem_write(gm, NEXT - 20, in, sizeof in));
        assert_ok(gmem_read(gm, NEXT - 20, out, sizeof out));
        ck_assert_mem_eq(in, out, sizeof in);
        assert_ok(gmem_zero(gm, NEXT - 1, 2));
        assert_ok(gmem_read(gm, NEXT - 20, out, sizeof out));
        ck_assert_uint_eq(out[18], 19);
        ck_assert_uint_eq(out[19], 0);
        ck_assert_uint_eq(out[20], 0);
        ck_assert_uint_eq(out[21], 22);
}
END_TEST

START_TEST(a_failed_access_touches_nothing) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        uint8_t in[8] = "abcdefg", out[8];
        assert_error(gmem_write(gm, END - 4, in, 8), -EFAULT);
        assert_error(gmem_write(gm, UINT64_MAX - 3, in, 8), -EFAULT);
        memset(out, 0xee, sizeof out);
        assert_error(gmem_read(gm, END - 4, out, 8), -EFAULT);
        ck_assert_uint_eq(out[0], 0xee);
        assert_ok(gmem_read(gm, END - 4, out, 4));
        ck_assert_mem_eq(out, "\0\0\0\0", 4);
        assert_ok(gmem_write(gm, END - 4, in, 4));
        assert_error(gmem_zero(gm, END - 4, 5), -EFAULT);
        assert_ok(gmem_read(gm, END - 4, out, 4));
        ck_assert_mem_eq(out, in, 4);
}
END_TEST

START_TEST(gives_the_host_pieces_of_a_range) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        struct iovec iov[2];
        ck_assert_int_eq(gmem_iov(gm, LOW, 4 * PAGE, iov, 1), 1);
        ck_assert_uint_eq(iov[0].iov_len, 4 * PAGE);
        assert_error(gmem_iov(gm, LOW, 4 * PAGE + 1, iov, 1), -E2BIG);
        ck_assert_int_eq(gmem_iov(gm, LOW + 1, 4 * PAGE, iov, 2), 2);
        ck_assert_uint_eq(iov[0].iov_len, 4 * PAGE - 1);
        ck_assert_uint_eq(iov[1].iov_len, 1);
        ck_assert_ptr_eq(iov[1].iov_base, gmem_region(gm, 1).mapping);
        assert_error(gmem_iov(gm, END - 1, 2, iov, 2), -EFAULT);
}
END_TEST

START_TEST(discarded_pages_read_as_zero) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        for (unsigned i = 0; i < 6; i++)
                assert_ok(gmem_write(gm, LOW + i * PAGE, "x", 1));
        assert_error(gmem_discard(gm, LOW + 1, PAGE), -EINVAL);
        assert_error(gmem_discard(gm, LOW, PAGE - 1), -EINVAL);
        assert_error(gmem_discard(gm, LOW, 7 * PAGE), -EFAULT);
        assert_ok(gmem_discard(gm, NEXT - PAGE, 2 * PAGE));
        for (unsigned i = 0; i < 6; i++) {
                char c;
                assert_ok(gmem_read(gm, LOW + i * PAGE, &c, 1));
                ck_assert_int_eq(c, i == 3 || i == 4 ? 0 : 'x');
        }
        fault_arm(FAULT_IO, 1);
        assert_error(gmem_discard(gm, LOW, PAGE), -EIO);
}
END_TEST

START_TEST(atomics_take_aligned_words_only) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        uint32_t v = 7;
        uint8_t b = 7;
        for (unsigned i = 1; i < 4; i++) {
                assert_error(gmem_load32(gm, LOW + i, &v), -EINVAL);
                assert_error(gmem_store32(gm, LOW + i, 1), -EINVAL);
                assert_error(gmem_or32(gm, LOW + i, 1, &v), -EINVAL);
        }
        assert_error(gmem_load32(gm, END, &v), -EFAULT);
        assert_error(gmem_store32(gm, END, 1), -EFAULT);
        assert_error(gmem_or32(gm, END, 1, &v), -EFAULT);
        assert_error(gmem_or8(gm, END, 1, &b), -EFAULT);
        assert_error(gmem_load32(gm, UINT64_MAX - 3, &v), -EFAULT);
        ck_assert_uint_eq(v, 7);
        ck_assert_uint_eq(b, 7);
}
END_TEST

START_TEST(atomics_return_the_value_before) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        uint32_t v;
        uint8_t b;
        assert_ok(gmem_store32(gm, END - 4, 0x80000001));
        assert_ok(gmem_or32(gm, END - 4, 0x10, &v));
        ck_assert_uint_eq(v, 0x80000001);
        assert_ok(gmem_or8(gm, END - 1, 0x01, &b));
        ck_assert_uint_eq(b, 0x80);
        assert_ok(gmem_load32(gm, END - 4, &v));
        ck_assert_uint_eq(v, 0x81000011);
}
END_TEST

static void *set_bits(void *arg) {
        for (unsigned i = 0; i < 32; i += 2) {
                uint32_t before;
                if (gmem_or32(arg, LOW, 1u << i, &before) < 0)
                        return arg;
        }
        return NULL;
}

START_TEST(no_bit_is_lost_between_two_threads) {
        for (unsigned round = 0; round < 200; round++) {
                _cleanup_(gmem_freep) struct gmem *gm = make();
                pthread_t thread;
                void *result;
                ck_assert_int_eq(pthread_create(&thread, NULL, set_bits, gm), 0);
                for (unsigned i = 1; i < 32; i += 2) {
                        uint32_t before;
                        assert_ok(gmem_or32(gm, LOW, 1u << i, &before));
                        ck_assert_uint_eq(before & 1u << i, 0);
                }
                ck_assert_int_eq(pthread_join(thread, &result), 0);
                ck_assert_ptr_null(result);
                uint32_t v;
                assert_ok(gmem_load32(gm, LOW, &v));
                ck_assert_uint_eq(v, UINT32_MAX);
        }
}
END_TEST

TEST_MAIN("gmem", refuses_a_size_that_is_not_whole_pages, survives_every_failure_of_construction,
        refuses_bad_regions, takes_as_many_regions_as_the_limit_says,
        the_memory_file_holds_what_is_written, knows_what_is_ram, a_length_of_zero_still_needs_ram,
        copies_across_neighbouring_regions, a_failed_access_touches_nothing,
        gives_the_host_pieces_of_a_range, discarded_pages_read_as_zero,
        atomics_take_aligned_words_only, atomics_return_the_value_before,
        no_bit_is_lost_between_two_threads)
