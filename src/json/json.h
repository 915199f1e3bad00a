// SPDX-License-Identifier: MIT
/* A strict, bounded JSON reader and writer (RFC 8259), with json-c inside.
 *
 * Strict: UTF-8 without BOM, no comments, no trailing commas or text, no duplicate members, no lone
 * surrogates, no leading zeros, no NaN. Bounded: bytes, depth and nodes. Values are reference
 * counted trees; a tree belongs to one thread at a time. Member order is kept. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"

struct json; /* one value */

enum json_type {
        JSON_NULL,
        JSON_BOOL,
        JSON_INT,
        JSON_UINT,
        JSON_DOUBLE,
        JSON_STRING,
        JSON_ARRAY,
        JSON_OBJECT
};

struct json_limits {
        size_t bytes;
        unsigned depth;
        unsigned nodes;
};
/* Documents of clients, and what a guest sends (architecture, decision 8). */
extern const struct json_limits json_limits_client; /* 1 MiB, depth 64, 100,000 nodes */
extern const struct json_limits json_limits_guest;  /* 64 KiB, depth 16, 10,000 nodes */

/* -EBADMSG (HCS_E_INVALID_JSON, with line and column in the text), -E2BIG past a limit, -ENOMEM. */
_warn_unused_ int json_parse(const char *text, size_t n, const struct json_limits *limits,
        struct error *e, struct json **ret);
/* The compact text, NUL behind; free() it. */
_warn_unused_ int json_format(const struct json *value, char **ret, size_t *ret_size);
_warn_unused_ int json_format_pretty(const struct json *value, char **ret);

struct json *json_ref(struct json *value);
struct json *json_unref(struct json *value); /* NULL in, NULL out */
DEFINE_CLEANUP(struct json, json_unref)

/* A NULL value reads as JSON_NULL, so that lookups chain. */
enum json_type json_type(const struct json *value);
bool json_is_null(const struct json *value);
/* Members and elements are borrowed from their container; NULL when absent or null. */
struct json *json_get(const struct json *object, const char *key);
bool json_has(const struct json *object, const char *key); /* present, even if null */
size_t json_length(const struct json *container);
struct json *json_at(const struct json *array, size_t i);
/* Iterates over an object in its order: `struct json_iter it = json_iter(obj); while
 * (json_next(&it))`. */
struct json_iter {
        const char *key;
        struct json *value;
        void *next_;
};
struct json_iter json_iter(const struct json *object);
bool json_next(struct json_iter *it);

/* -EINVAL when the value is of another type, -ERANGE when the number does not fit; numbers with a
 * fraction or exponent are not integers. Strings are borrowed, UTF-8, and may hold NULs (*ret_n).
 */
_warn_unused_ int json_bool(const struct json *value, bool *ret);
_warn_unused_ int json_i64(const struct json *value, int64_t *ret);
_warn_unused_ int json_u64(const struct json *value, uint64_t *ret);
_warn_unused_ int json_double(const struct json *value, double *ret);
_warn_unused_ int json_string(const struct json *value, const char **ret, size_t *ret_n);
/* The string member, or fallback when absent, of another type, or holding a NUL. */
const char *json_get_string(const struct json *object, const char *key, const char *fallback);
uint64_t json_get_u64(const struct json *object, const char *key, uint64_t fallback);
int64_t json_get_i64(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);

/* Builders return NULL when memory is short; every json_set/json_add consumes its value, even when
 * it fails, and takes NULL for a failed inner builder (-ENOMEM), so that one check at the end of a
 * chain is enough. Text that is not UTF-8 gets U+FFFD for each bad byte; a double that is not
 * finite becomes null. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_null(void);
struct json *json_new_bool(bool v);
struct json *json_new_i64(int64_t v);
struct json *json_new_u64(uint64_t v);
struct json *json_new_double(double v);
struct json *json_new_string(const char *text);
struct json *json_new_string_n(const char *text, size_t n);
int json_set(struct json *object, const char *key, struct json *value_consume);
int json_add(struct json *array, struct json *value_consume);
int json_set_string(struct json *object, const char *key, const char *text);
int json_set_u64(struct json *object, const char *key, uint64_t v);
int json_set_i64(struct json *object, const char *key, int64_t v);
int json_set_bool(struct json *object, const char *key, bool v);
