// SPDX-License-Identifier: MIT
#include "gmem/gmem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fault.h"
#include "base/fd.h"
#include "gmem/copy.h"

struct gmem {
        int fd;
        uint8_t *base; /* the whole memory file */
        uint64_t size;
        uint64_t used;
        size_t n;
        struct gmem_region regions[GMEM_REGIONS_MAX];
};

int gmem_new(uint64_t size, struct gmem **ret) {
        if (size == 0 || size % GMEM_PAGE_SIZE != 0 || size > INT64_MAX)
                return -EINVAL;
        _cleanup_(gmem_freep) struct gmem *gm =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *gm);
        if (!gm)
                return -ENOMEM;
        gm->fd = -1;
        int r = fd_memfd("sandbar-ram", size, &gm->fd);
        if (r < 0)
                return r;
        void *p = fault_hit(FAULT_ALLOC) ? MAP_FAILED
                                         : mmap(NULL, size, PROT_READ | PROT_WRITE,
                                                   MAP_SHARED | MAP_NORESERVE, gm->fd, 0);
        if (p == MAP_FAILED)
                return -ENOMEM;
        gm->base = p;
        gm->size = size;
        /* A core file of the worker is for us, not for what the guest has in memory. */
        (void)madvise(p, size, MADV_DONTDUMP);
        /* Fewer faults, which are dear under a guest. Heeded where shmem_enabled is "advise". */
        (void)madvise(p, size, MADV_HUGEPAGE);
        *ret = TAKE_PTR(gm);
        return 0;
}

struct gmem *gmem_free(struct gmem *gm) {
        if (!gm)
                return NULL;
        if (gm->base)
                munmap(gm->base, gm->size);
        fd_close(gm->fd);
        free(gm);
        return NULL;
}

int gmem_add(struct gmem *gm, uint64_t gpa, uint64_t size) {
        uint64_t end;
        if (size == 0 || (gpa | size) % GMEM_PAGE_SIZE != 0 ||
                __builtin_add_overflow(gpa, size, &end))
                return -EINVAL;
        for (size_t i = 0; i < gm->n; i++) {
                const struct gmem_region *r = &gm->regions[i];
                if (gpa < r->gpa + r->size && r->gpa < end)
                        return -EINVAL;
        }
        if (gm->n == GMEM_REGIONS_MAX || size > gm->size - gm->used)
                return -ENOSPC;
        gm->regions[gm->n++] = (struct gmem_region){
                .gpa = gpa,
                .size = size,
                .offset = gm->used,
                .mapping = gm->base + gm->used,
        };
        gm->used += size;
        return 0;
}

size_t gmem_regions(const struct gmem *gm) {
        return gm->n;
}

struct gmem_region gmem_region(const struct gmem *gm, size_t i) {
        return gm->regions[i];
}

int gmem_fd(const struct gmem *gm) {
        return gm->fd;
}

uint64_t gmem_size(const struct gmem *gm) {
        return gm->used;
}

/* The translator: the host address of gpa, and in *len as many of the *len bytes wanted as lie in
 * the same region. NULL when gpa is not RAM. Regions do not wrap, hence nothing here does. */
static uint8_t *gmem_at(const struct gmem *gm, uint64_t gpa, uint64_t *len) {
        for (size_t i = 0; i < gm->n; i++) {
                const struct gmem_region *r = &gm->regions[i];
                if (gpa < r->gpa || gpa - r->gpa >= r->size)
                        continue;
                uint64_t offset = gpa - r->gpa;
                if (*len > r->size - offset)
                        *len = r->size - offset;
                return (uint8_t *)r->mapping + offset;
        }
        return NULL;
}

bool gmem_valid(const struct gmem *gm, uint64_t gpa, uint64_t len) {
        do {
                uint64_t n = len;
                if (!gmem_at(gm, gpa, &n))
                        return false;
                gpa += n;
                len -= n;
        } while (len > 0);
        return true;
}

int gmem_read(const struct gmem *gm, uint64_t gpa, void *buf, size_t len) {
        if (!gmem_valid(gm, gpa, len))
                return -EFAULT;
        for (uint8_t *to = buf; len > 0;) {
                uint64_t n = len;
                const uint8_t *from = gmem_at(gm, gpa, &n);
                gmem_copy(to, from, n);
                to += n;
                gpa += n;
                len -= n;
        }
        return 0;
}

int gmem_write(const struct gmem *gm, uint64_t gpa, const void *buf, size_t len) {
        if (!gmem_valid(gm, gpa, len))
                return -EFAULT;
        for (const uint8_t *from = buf; len > 0;) {
                uint64_t n = len;
                uint8_t *to = gmem_at(gm, gpa, &n);
                gmem_copy(to, from, n);
                from += n;
                gpa += n;
                len -= n;
        }
        return 0;
}

int gmem_zero(const struct gmem *gm, uint64_t gpa, uint64_t len) {
        if (!gmem_valid(gm, gpa, len))
                return -EFAULT;
        while (len > 0) {
                uint64_t n = len;
                memset(gmem_at(gm, gpa, &n), 0, n);
                gpa += n;
                len -= n;
        }
        return 0;
}

int gmem_iov(const struct gmem *gm, uint64_t gpa, uint64_t len, struct iovec *iov, int max) {
        if (!gmem_valid(gm, gpa, len))
                return -EFAULT;
        int count = 0;
        while (len > 0) {
                if (count == max)
                        return -E2BIG;
                uint64_t n = len;
                void *p = gmem_at(gm, gpa, &n);
                iov[count++] = (struct iovec){.iov_base = p, .iov_len = n};
                gpa += n;
                len -= n;
        }
        return count;
}

int gmem_discard(const struct gmem *gm, uint64_t gpa, uint64_t len) {
        if ((gpa | len) % GMEM_PAGE_SIZE != 0)
                return -EINVAL;
        if (!gmem_valid(gm, gpa, len))
                return -EFAULT;
        while (len > 0) {
                uint64_t n = len;
                const uint8_t *p = gmem_at(gm, gpa, &n);
                if (fault_hit(FAULT_IO))
                        return -EIO;
                if (fallocate(gm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            (off_t)(p - gm->base), (off_t)n) < 0)
                        return -errno;
                gpa += n;
                len -= n;
        }
        return 0;
}

/* An aligned word lies in one region, since regions are whole pages. */
static int gmem_word(const struct gmem *gm, uint64_t gpa, uint32_t **ret) {
        if (gpa % sizeof(uint32_t) != 0)
                return -EINVAL;
        uint64_t n = sizeof(uint32_t);
        void *p = gmem_at(gm, gpa, &n);
        if (!p)
                return -EFAULT;
        *ret = p;
        return 0;
}

int gmem_load32(const struct gmem *gm, uint64_t gpa, uint32_t *ret) {
        uint32_t *p;
        int r = gmem_word(gm, gpa, &p);
        if (r < 0)
                return r;
        *ret = __atomic_load_n(p, __ATOMIC_SEQ_CST);
        return 0;
}

int gmem_store32(const struct gmem *gm, uint64_t gpa, uint32_t v) {
        uint32_t *p;
        int r = gmem_word(gm, gpa, &p);
        if (r < 0)
                return r;
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
        return 0;
}

int gmem_or32(const struct gmem *gm, uint64_t gpa, uint32_t bits, uint32_t *ret) {
        uint32_t *p;
        int r = gmem_word(gm, gpa, &p);
        if (r < 0)
                return r;
        *ret = __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
        return 0;
}

int gmem_or8(const struct gmem *gm, uint64_t gpa, uint8_t bits, uint8_t *ret) {
        uint64_t n = 1;
        uint8_t *p = gmem_at(gm, gpa, &n);
        if (!p)
                return -EFAULT;
        *ret = __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
        return 0;
}
