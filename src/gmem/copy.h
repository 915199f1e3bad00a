// SPDX-License-Identifier: MIT
/* Copying to and from memory that a guest changes meanwhile. Internal to src/gmem. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define GMEM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GMEM_TSAN 1
#endif
#endif

/* The bytes may be torn but are fetched once: the barrier keeps the compiler from looking at the
 * source again in place of the copy, also when all of this is inlined. To the thread sanitizer the
 * race is intended, and is spelt as relaxed atomics. */
static inline void gmem_copy(void *to, const void *from, size_t n) {
#ifdef GMEM_TSAN
        uint8_t *t = to;
        const uint8_t *f = from;
        for (size_t i = 0; i < n; i++)
                __atomic_store_n(t + i, __atomic_load_n(f + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
#else
        memcpy(to, from, n);
#endif
        __asm__ volatile("" ::: "memory");
}
