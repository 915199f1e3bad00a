// SPDX-License-Identifier: MIT
/* Scope-bound cleanup and the small macros that every file wants. */
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn)                   __attribute__((cleanup(fn)))
#define _fallthrough_                   __attribute__((fallthrough))
#define _warn_unused_                   __attribute__((warn_unused_result))
#define _unused_                        __attribute__((unused))
#define _printf_(fmt, args)             __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof *(a))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Hands a pointer or descriptor over to a new owner and forgets it here. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) *from_ = &(p), taken_ = *from_;                                      \
                *from_ = NULL;                                                                     \
                taken_;                                                                            \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *from_ = &(fd), taken_ = *from_;                                               \
                *from_ = -1;                                                                       \
                taken_;                                                                            \
        })

/* DEFINE_CLEANUP(struct rd, rd_free) makes rd_freep for `_cleanup_(rd_freep) struct rd *r = NULL`.
 */
#define DEFINE_CLEANUP(type, fn)                                                                   \
        static inline _unused_ void fn##p(type **p) {                                              \
                fn(*p);                                                                            \
        }

static inline void cleanup_free(void *p) {
        free(*(void **)p);
}
static inline void cleanup_close(const int *fd) {
        if (*fd >= 0)
                close(*fd);
}
#define _cleanup_free_  _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
