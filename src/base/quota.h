// SPDX-License-Identifier: MIT
/* A counted resource with a ceiling. Charging past it is an ordinary refusal, not a failure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"

struct quota {
        uint64_t used;
        uint64_t limit;
};

/* True and charged, or false and unchanged. */
_warn_unused_ bool quota_charge(struct quota *q, uint64_t n);
/* Gives n back; more than was charged is a programmer's mistake. */
void quota_release(struct quota *q, uint64_t n);
