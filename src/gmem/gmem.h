// SPDX-License-Identifier: MIT
/* Guest physical memory: RAM regions, and the one checked translator from guest addresses to ours.
 *
 * The bytes are hostile and change while we look: callers copy once and check the copy. Nothing
 * outside this module does arithmetic on the mapping.
 *
 * Threads: regions are added before the first VP runs and stay until gmem_free(); all accessors may
 * then be called from any thread at any time. Errors: -EFAULT when any byte of the range is not
 * RAM; a failed call has touched nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/cleanup.h"

#define GMEM_PAGE_SIZE  4096u
#define GMEM_PAGE_SHIFT 12

enum { GMEM_REGIONS_MAX = 8 };

struct gmem;

/* One piece of RAM, for the hypervisor's memory slots and for saving. */
struct gmem_region {
        uint64_t gpa;
        uint64_t size;   /* bytes, a multiple of the page size */
        uint64_t offset; /* of its first byte in the memory file */
        void *mapping;   /* only for KVM_SET_USER_MEMORY_REGION */
};

/* An address space whose RAM is a memfd of `size` bytes in all; regions are cut from it in order.
 */
_warn_unused_ int gmem_new(uint64_t size, struct gmem **ret);
struct gmem *gmem_free(struct gmem *gm);
DEFINE_CLEANUP(struct gmem, gmem_free)

/* Puts the next `size` bytes of the memory file at gpa. -EINVAL for an unaligned, empty,
 * overlapping or wrapping range, -ENOSPC past the file or past GMEM_REGIONS_MAX. */
_warn_unused_ int gmem_add(struct gmem *gm, uint64_t gpa, uint64_t size);
size_t gmem_regions(const struct gmem *gm);
struct gmem_region gmem_region(const struct gmem *gm, size_t i);
/* The memfd, borrowed. */
int gmem_fd(const struct gmem *gm);
/* Bytes of RAM in all regions. */
uint64_t gmem_size(const struct gmem *gm);

/* True when [gpa, gpa+len) is RAM; len 0 is true for any gpa that is RAM. */
bool gmem_valid(const struct gmem *gm, uint64_t gpa, uint64_t len);

_warn_unused_ int gmem_read(const struct gmem *gm, uint64_t gpa, void *buf, size_t len);
_warn_unused_ int gmem_write(const struct gmem *gm, uint64_t gpa, const void *buf, size_t len);
_warn_unused_ int gmem_zero(const struct gmem *gm, uint64_t gpa, uint64_t len);
/* The host pieces of [gpa, gpa+len), at most max of them: the count, -EFAULT, or -E2BIG. For
 * system calls that move data; not for parsing in place. */
_warn_unused_ int gmem_iov(
        const struct gmem *gm, uint64_t gpa, uint64_t len, struct iovec *iov, int max);
/* Gives whole pages back to the host; they read as zero afterwards. */
_warn_unused_ int gmem_discard(const struct gmem *gm, uint64_t gpa, uint64_t len);

/* Atomics on naturally aligned guest words (-EINVAL when unaligned), sequentially consistent. */
_warn_unused_ int gmem_load32(const struct gmem *gm, uint64_t gpa, uint32_t *ret);
_warn_unused_ int gmem_store32(const struct gmem *gm, uint64_t gpa, uint32_t v);
/* ret: the value before. */
_warn_unused_ int gmem_or32(const struct gmem *gm, uint64_t gpa, uint32_t bits, uint32_t *ret);
_warn_unused_ int gmem_or8(const struct gmem *gm, uint64_t gpa, uint8_t bits, uint8_t *ret);

/* A list of guest pages seen as one run of bytes: a GPADL, a ring. Pages are validated once, here;
 * the accessors then take offsets, and an offset outside is a programmer's mistake (assert), since
 * callers reduce guest values modulo the size first. Threads: immutable, usable from any. */
struct gmem_pages;

/* Every pfn must be RAM, else -EFAULT. The array is copied. */
_warn_unused_ int gmem_pages_new(
        const struct gmem *gm, const uint64_t *pfns, size_t n, struct gmem_pages **ret);
struct gmem_pages *gmem_pages_free(struct gmem_pages *pages);
DEFINE_CLEANUP(struct gmem_pages, gmem_pages_free)

size_t gmem_pages_size(const struct gmem_pages *pages); /* bytes */
void gmem_pages_read(const struct gmem_pages *pages, size_t offset, void *buf, size_t len);
void gmem_pages_write(const struct gmem_pages *pages, size_t offset, const void *buf, size_t len);
/* Aligned 32-bit words, sequentially consistent. */
uint32_t gmem_pages_load32(const struct gmem_pages *pages, size_t offset);
void gmem_pages_store32(const struct gmem_pages *pages, size_t offset, uint32_t v);
