// SPDX-License-Identifier: MIT
/* Fault countdown for tests: arm a kind with n, and the n-th operation of that kind fails once.
 * A sweep raises n until the code under test succeeds, so that every failure path is walked.
 * Process-wide, for single-threaded tests; never armed in production, where a check costs a load.
 */
#pragma once
#include <stdbool.h>

enum fault_kind {
        FAULT_ALLOC, /* memory */
        FAULT_FD,    /* making a descriptor */
        FAULT_IO,    /* reading or writing */
        FAULT_KVM,   /* a KVM ioctl */
        FAULT_KINDS_,
};

/* The n-th operation from now on fails (1 is the next); 0 disarms. */
void fault_arm(enum fault_kind kind, unsigned n);
/* True when the armed fault has fired since it was armed. */
bool fault_fired(enum fault_kind kind);
/* Called by the code at the place that may fail. */
bool fault_hit(enum fault_kind kind);
