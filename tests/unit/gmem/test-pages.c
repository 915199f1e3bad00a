// SPDX-License-Identifier: MIT
#include <signal.h>
#include "base/fault.h"
#include "gmem/gmem.h"
#include "../test.h"

enum { PAGE = GMEM_PAGE_SIZE };
#define LOW 0x100000ull

static struct gmem *make(void) {
        struct gmem *gm = NULL;
        assert_ok(gmem_new(8 * PAGE, &gm));
        assert_ok(gmem_add(gm, LOW, 8 * PAGE));
        return gm;
}

START_TEST(refuses_a_page_that_is_not_ram) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        struct gmem_pages *pages = NULL;
        const uint64_t bad[] = {0, LOW / PAGE - 1, LOW / PAGE + 8, UINT64_MAX, UINT64_MAX >> 12,
                (UINT64_MAX >> 12) + 1, (1ull << 52) + LOW / PAGE};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const uint64_t pfns[] = {LOW / PAGE, bad[i]};
                assert_error(gmem_pages_new(gm, pfns, 2, &pages), -EFAULT);
                ck_assert_ptr_null(pages);
        }
        const uint64_t good = LOW / PAGE;
        fault_arm(FAULT_ALLOC, 1);
        assert_error(gmem_pages_new(gm, &good, 1, &pages), -ENOMEM);
        assert_error(gmem_pages_new(gm, &good, SIZE_MAX / 8, &pages), -ENOMEM);
        ck_assert_ptr_null(gmem_pages_free(NULL));
}
END_TEST

START_TEST(scattered_pages_are_one_run_of_bytes) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        _cleanup_(gmem_pages_freep) struct gmem_pages *pages = NULL;
        const uint64_t pfn = LOW / PAGE;
        const uint64_t pfns[] = {pfn + 5, pfn + 1, pfn + 7};
        assert_ok(gmem_pages_new(gm, pfns, 3, &pages));
        ck_assert_uint_eq(gmem_pages_size(pages), 3 * PAGE);

        static uint8_t in[3 * PAGE], out[3 * PAGE];
        for (unsigned i = 0; i < sizeof in; i++)
                in[i] = (uint8_t)(i * 7 + i / PAGE);
        gmem_pages_write(pages, 0, in, sizeof in);
        gmem_pages_read(pages, 0, out, sizeof out);
        ck_assert_mem_eq(in, out, sizeof in);
        assert_ok(gmem_read(gm, LOW + PAGE, out, PAGE));
        ck_assert_mem_eq(in + PAGE, out, PAGE);

        gmem_pages_read(pages, PAGE - 1, out, PAGE + 2);
        ck_assert_mem_eq(in + PAGE - 1, out, PAGE + 2);
        gmem_pages_read(pages, 3 * PAGE, out, 0);
        gmem_pages_read(pages, 3 * PAGE - 1, out, 1);
        ck_assert_uint_eq(out[0], in[3 * PAGE - 1]);
}
END_TEST

START_TEST(the_same_page_may_be_named_twice) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        _cleanup_(gmem_pages_freep) struct gmem_pages *pages = NULL;
        const uint64_t pfns[] = {LOW / PAGE, LOW / PAGE};
        assert_ok(gmem_pages_new(gm, pfns, 2, &pages));
        gmem_pages_store32(pages, PAGE - 4, 0x12345678);
        ck_assert_uint_eq(gmem_pages_load32(pages, 2 * PAGE - 4), 0x12345678);
}
END_TEST

#ifndef LIBRARY_NDEBUG
/* A bad offset is our own mistake, never the guest's: it stops here. */
START_TEST(an_offset_outside_stops) {
        _cleanup_(gmem_freep) struct gmem *gm = make();
        _cleanup_(gmem_pages_freep) struct gmem_pages *pages = NULL;
        const uint64_t pfns[] = {LOW / PAGE};
        uint8_t buf[2];
        assert_ok(gmem_pages_new(gm, pfns, 1, &pages));
        switch (_i) {
        case 0:
                gmem_pages_read(pages, PAGE - 1, buf, 2);
                break;
        case 1:
                gmem_pages_write(pages, PAGE + 1, buf, 0);
                break;
        case 2:
                gmem_pages_read(pages, 1, buf, SIZE_MAX);
                break;
        case 3:
                gmem_pages_load32(pages, PAGE);
                break;
        default:
                gmem_pages_store32(pages, 2, 1);
        }
}
END_TEST
#endif

int main(void) {
        Suite *suite = suite_create("pages");
        TCase *tcase = tcase_create("pages");
        tcase_add_test(tcase, refuses_a_page_that_is_not_ram);
        tcase_add_test(tcase, scattered_pages_are_one_run_of_bytes);
        tcase_add_test(tcase, the_same_page_may_be_named_twice);
#ifndef LIBRARY_NDEBUG
        const char *fork = getenv("CK_FORK");
        if (!fork || strcmp(fork, "no") != 0)
                tcase_add_loop_test_raise_signal(tcase, an_offset_outside_stops, SIGABRT, 0, 5);
#endif
        suite_add_tcase(suite, tcase);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
