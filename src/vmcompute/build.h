// SPDX-License-Identifier: MIT
/* An object in the making: members are set one after another, and a failure of any shows once, at
 * the end, as no object. */
#pragma once
#include <stdbool.h>
#include "json/json.h"

struct build {
        struct json *object;
        bool failed;
};

static inline struct build build_new(void) {
        return (struct build){.object = json_new_object()};
}

/* value is consumed; NULL is the failure of an inner builder. */
static inline void build_set(struct build *b, const char *key, struct json *value_consume) {
        b->failed = json_set(b->object, key, value_consume) < 0 || b->failed;
}

static inline void build_string(struct build *b, const char *key, const char *text) {
        build_set(b, key, json_new_string(text));
}

static inline void build_u64(struct build *b, const char *key, uint64_t v) {
        build_set(b, key, json_new_u64(v));
}

/* NULL when anything failed. */
static inline struct json *build_take(struct build *b) {
        return b->failed ? json_unref(b->object) : b->object;
}
