// SPDX-License-Identifier: MIT
/* Time: monotonic nanoseconds for deadlines, 100 ns units since 1601 for the Windows protocols. */
#pragma once
#include <stdint.h>

/* Unix epoch in FILETIME units (MS-DTYP 2.3.3). */
#define CLOCK_FILETIME_UNIX_EPOCH 116444736000000000ull

#define CLOCK_NS_PER_SEC          1000000000ull
#define CLOCK_NS_PER_MS           1000000ull

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_now_ns(void);
/* Wall-clock time in 100 ns units since 1601-01-01 UTC. */
uint64_t clock_filetime(void);
