// SPDX-License-Identifier: MIT
#include "base/quota.h"
#include <assert.h>

bool quota_charge(struct quota *q, uint64_t n) {
        if (n > q->limit - q->used)
                return false;
        q->used += n;
        return true;
}

void quota_release(struct quota *q, uint64_t n) {
        assert(n <= q->used);
        q->used -= n;
}
