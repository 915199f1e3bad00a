// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include <stdatomic.h>

static atomic_uint countdown[FAULT_KINDS_];
static atomic_bool fired[FAULT_KINDS_];

void fault_arm(enum fault_kind kind, unsigned n) {
        atomic_store(&fired[kind], false);
        atomic_store(&countdown[kind], n);
}

bool fault_fired(enum fault_kind kind) {
        return atomic_load(&fired[kind]);
}

bool fault_hit(enum fault_kind kind) {
        unsigned n = atomic_load_explicit(&countdown[kind], memory_order_relaxed);
        if (n == 0)
                return false;
        if (atomic_fetch_sub(&countdown[kind], 1) != 1)
                return false;
        atomic_store(&fired[kind], true);
        return true;
}
