// SPDX-License-Identifier: MIT
#include <assert.h>
#include <errno.h>
#include "base/fault.h"
#include "gmem/copy.h"
#include "gmem/gmem.h"

struct gmem_pages {
        size_t n;
        uint8_t *page[];
};

int gmem_pages_new(const struct gmem *gm, const uint64_t *pfns, size_t n, struct gmem_pages **ret) {
        if (n > SIZE_MAX / GMEM_PAGE_SIZE)
                return -ENOMEM;
        _cleanup_(gmem_pages_freep) struct gmem_pages *pages =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *pages + n * sizeof(uint8_t *));
        if (!pages)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct iovec iov;
                if (pfns[i] > UINT64_MAX >> GMEM_PAGE_SHIFT)
                        return -EFAULT;
                int r = gmem_iov(gm, pfns[i] << GMEM_PAGE_SHIFT, GMEM_PAGE_SIZE, &iov, 1);
                if (r < 0)
                        return r;
                pages->page[i] = iov.iov_base;
        }
        pages->n = n;
        *ret = TAKE_PTR(pages);
        return 0;
}

struct gmem_pages *gmem_pages_free(struct gmem_pages *pages) {
        free(pages);
        return NULL;
}

size_t gmem_pages_size(const struct gmem_pages *pages) {
        return pages->n * GMEM_PAGE_SIZE;
}

/* The host address of an offset, and in *len how many of the bytes wanted are in its page. */
static uint8_t *gmem_pages_at(const struct gmem_pages *pages, size_t offset, size_t *len) {
        size_t in_page = offset % GMEM_PAGE_SIZE;
        if (*len > GMEM_PAGE_SIZE - in_page)
                *len = GMEM_PAGE_SIZE - in_page;
        return pages->page[offset / GMEM_PAGE_SIZE] + in_page;
}

static void gmem_pages_check(const struct gmem_pages *pages, size_t offset, size_t len) {
        assert(offset <= gmem_pages_size(pages) && len <= gmem_pages_size(pages) - offset);
        (void)pages, (void)offset, (void)len; /* without assertions */
}

void gmem_pages_read(const struct gmem_pages *pages, size_t offset, void *buf, size_t len) {
        gmem_pages_check(pages, offset, len);
        for (uint8_t *to = buf; len > 0;) {
                size_t n = len;
                const uint8_t *from = gmem_pages_at(pages, offset, &n);
                gmem_copy(to, from, n);
                to += n;
                offset += n;
                len -= n;
        }
}

void gmem_pages_write(const struct gmem_pages *pages, size_t offset, const void *buf, size_t len) {
        gmem_pages_check(pages, offset, len);
        for (const uint8_t *from = buf; len > 0;) {
                size_t n = len;
                uint8_t *to = gmem_pages_at(pages, offset, &n);
                gmem_copy(to, from, n);
                from += n;
                offset += n;
                len -= n;
        }
}

static uint32_t *gmem_pages_word(const struct gmem_pages *pages, size_t offset) {
        size_t n = sizeof(uint32_t);
        assert(offset % n == 0);
        gmem_pages_check(pages, offset, n);
        return (uint32_t *)(void *)gmem_pages_at(pages, offset, &n);
}

uint32_t gmem_pages_load32(const struct gmem_pages *pages, size_t offset) {
        return __atomic_load_n(gmem_pages_word(pages, offset), __ATOMIC_SEQ_CST);
}

void gmem_pages_store32(const struct gmem_pages *pages, size_t offset, uint32_t v) {
        __atomic_store_n(gmem_pages_word(pages, offset), v, __ATOMIC_SEQ_CST);
}
