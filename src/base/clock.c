// SPDX-License-Identifier: MIT
#include "base/clock.h"
#include <time.h>

uint64_t clock_now_ns(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_filetime(void) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 10000000 + (uint64_t)ts.tv_nsec / 100 +
               CLOCK_FILETIME_UNIX_EPOCH;
}
