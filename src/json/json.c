// SPDX-License-Identifier: MIT
/* json-c has types of these names, and we have functions. */
#define json_type jsonc_type
#define json_bool jsonc_bool
#include <json-c/json_object.h>
#include <json-c/linkhash.h>
#undef json_type
#undef json_bool
#include "json/json.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include "base/fault.h"
#include "base/utf16.h"
#include "json/value.h"

/* A struct json is a json-c object. json-c has no object for null; ours is this one, which is never
 * counted and is turned into json-c's NULL where it enters a container. */
static const char null_value;

static struct json *null_json(void) {
        return (struct json *)(uintptr_t)&null_value;
}

/* json-c takes mutable pointers even where it only reads (it caches printed text in the object). */
static struct json_object *to_c(const struct json *value) {
        return value == null_json() ? NULL : (struct json_object *)(uintptr_t)value;
}

static struct json *from_c(struct json_object *o) {
        return (struct json *)o;
}

/* ── Counting ──────────────────────────────────────────────────────────────────────────────── */

struct json *json_ref(struct json *value) {
        json_object_get(to_c(value));
        return value;
}

struct json *json_unref(struct json *value) {
        json_object_put(to_c(value));
        return NULL;
}

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

enum json_type json_type(const struct json *value) {
        struct json_object *o = to_c(value);
        switch (json_object_get_type(o)) {
        case json_type_boolean:
                return JSON_BOOL;
        case json_type_int:
                /* json-c hides which of its two integers it holds: only the unsigned one can
                 * exceed INT64_MAX, and reading it signed saturates there. */
                return json_object_get_int64(o) == INT64_MAX &&
                                       json_object_get_uint64(o) > INT64_MAX
                               ? JSON_UINT
                               : JSON_INT;
        case json_type_double:
                return JSON_DOUBLE;
        case json_type_string:
                return JSON_STRING;
        case json_type_array:
                return JSON_ARRAY;
        case json_type_object:
                return JSON_OBJECT;
        case json_type_null:
                break;
        }
        return JSON_NULL;
}

bool json_is_null(const struct json *value) {
        return json_type(value) == JSON_NULL;
}

bool json_has(const struct json *object, const char *key) {
        struct json_object *o = to_c(object);
        return json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, key, NULL);
}

struct json *json_get(const struct json *object, const char *key) {
        struct json_object *o = to_c(object), *value = NULL;
        if (!json_object_is_type(o, json_type_object))
                return NULL;
        json_object_object_get_ex(o, key, &value);
        return from_c(value);
}

size_t json_length(const struct json *container) {
        struct json_object *o = to_c(container);
        switch (json_object_get_type(o)) {
        case json_type_array:
                return json_object_array_length(o);
        case json_type_object:
                return (size_t)json_object_object_length(o);
        default:
                return 0;
        }
}

struct json *json_at(const struct json *array, size_t i) {
        struct json_object *o = to_c(array);
        if (!json_object_is_type(o, json_type_array))
                return NULL;
        return from_c(json_object_array_get_idx(o, i)); /* NULL past the end */
}

struct json_iter json_iter(const struct json *object) {
        struct json_object *o = to_c(object);
        struct json_iter it = {0};
        if (json_object_is_type(o, json_type_object))
                it.next_ = lh_table_head(json_object_get_object(o));
        return it;
}

bool json_next(struct json_iter *it) {
        const struct lh_entry *entry = it->next_;
        if (!entry)
                return false;
        it->key = lh_entry_k(entry);
        it->value = from_c(lh_entry_v(entry));
        it->next_ = lh_entry_next(entry);
        return true;
}

/* ── Typed access ──────────────────────────────────────────────────────────────────────────── */

int json_bool(const struct json *value, bool *ret) {
        if (json_type(value) != JSON_BOOL)
                return -EINVAL;
        *ret = json_object_get_boolean(to_c(value));
        return 0;
}

/* A double whose spelling has neither fraction nor exponent is an integer past 64 bits. */
static int not_an_integer(const struct json *value) {
        if (json_type(value) != JSON_DOUBLE)
                return -EINVAL;
        const char *spelling = json_object_get_userdata(to_c(value));
        return spelling && !strpbrk(spelling, ".eE") ? -ERANGE : -EINVAL;
}

int json_i64(const struct json *value, int64_t *ret) {
        enum json_type type = json_type(value);
        if (type == JSON_UINT)
                return -ERANGE;
        if (type != JSON_INT)
                return not_an_integer(value);
        *ret = json_object_get_int64(to_c(value));
        return 0;
}

int json_u64(const struct json *value, uint64_t *ret) {
        enum json_type type = json_type(value);
        if (type != JSON_INT && type != JSON_UINT)
                return not_an_integer(value);
        if (type == JSON_INT && json_object_get_int64(to_c(value)) < 0)
                return -ERANGE;
        *ret = json_object_get_uint64(to_c(value));
        return 0;
}

int json_double(const struct json *value, double *ret) {
        enum json_type type = json_type(value);
        if (type != JSON_DOUBLE && type != JSON_INT && type != JSON_UINT)
                return -EINVAL;
        *ret = json_object_get_double(to_c(value));
        return 0;
}

int json_string(const struct json *value, const char **ret, size_t *ret_n) {
        if (json_type(value) != JSON_STRING)
                return -EINVAL;
        *ret = json_object_get_string(to_c(value));
        *ret_n = (size_t)json_object_get_string_len(to_c(value));
        return 0;
}

const char *json_get_string(const struct json *object, const char *key, const char *fallback) {
        const char *s;
        size_t n;
        if (json_string(json_get(object, key), &s, &n) < 0 || memchr(s, 0, n))
                return fallback;
        return s;
}

uint64_t json_get_u64(const struct json *object, const char *key, uint64_t fallback) {
        uint64_t v = fallback;
        return json_u64(json_get(object, key), &v) < 0 ? fallback : v;
}

int64_t json_get_i64(const struct json *object, const char *key, int64_t fallback) {
        int64_t v = fallback;
        return json_i64(json_get(object, key), &v) < 0 ? fallback : v;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback) {
        bool v = fallback;
        return json_bool(json_get(object, key), &v) < 0 ? fallback : v;
}

/* ── Building ──────────────────────────────────────────────────────────────────────────────── */

struct json *json_new_object(void) {
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_object());
}

struct json *json_new_array(void) {
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_array());
}

struct json *json_new_null(void) {
        return null_json();
}

struct json *json_new_bool(bool v) {
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_boolean(v));
}

struct json *json_new_i64(int64_t v) {
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_int64(v));
}

struct json *json_new_u64(uint64_t v) {
        if (v <= INT64_MAX)
                return json_new_i64((int64_t)v);
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_uint64(v));
}

struct json *json_new_double(double v) {
        if (!isfinite(v))
                return json_new_null();
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_double(v));
}

struct json *json_new_number(double v, const char *text) {
        return fault_hit(FAULT_ALLOC) ? NULL : from_c(json_object_new_double_s(v, text));
}

struct json *json_new_string(const char *text) {
        return text ? json_new_string_n(text, strlen(text)) : NULL;
}

/* Bytes that are not UTF-8 come from host paths; each becomes U+FFFD so that what json_format()
 * prints is always JSON. */
static struct json *new_repaired_string(const char *text, size_t n) {
        static const char replacement[3] = "\xef\xbf\xbd";
        if (n > INT_MAX / sizeof replacement)
                return NULL;
        _cleanup_free_ char *out = malloc(n * sizeof replacement + 1);
        if (!out)
                return NULL;
        size_t size = 0;
        for (size_t i = 0; i < n;) {
                size_t good = utf16_utf8_prefix(text + i, n - i);
                memcpy(out + size, text + i, good);
                size += good;
                i += good;
                if (i < n) {
                        memcpy(out + size, replacement, sizeof replacement);
                        size += sizeof replacement;
                        i++;
                }
        }
        return from_c(json_object_new_string_len(out, (int)size));
}

struct json *json_new_string_n(const char *text, size_t n) {
        if (fault_hit(FAULT_ALLOC) || n > INT_MAX)
                return NULL;
        if (utf16_check_utf8(text, n) < 0)
                return new_repaired_string(text, n);
        return from_c(json_object_new_string_len(text, (int)n));
}

int json_set(struct json *object, const char *key, struct json *value_consume) {
        _cleanup_(json_unrefp) struct json *value = value_consume;
        if (!object || !value)
                return -ENOMEM;
        if (json_type(object) != JSON_OBJECT)
                return -EINVAL;
        if (fault_hit(FAULT_ALLOC) || json_object_object_add(to_c(object), key, to_c(value)) < 0)
                return -ENOMEM;
        TAKE_PTR(value);
        return 0;
}

int json_add(struct json *array, struct json *value_consume) {
        _cleanup_(json_unrefp) struct json *value = value_consume;
        if (!array || !value)
                return -ENOMEM;
        if (json_type(array) != JSON_ARRAY)
                return -EINVAL;
        if (fault_hit(FAULT_ALLOC) || json_object_array_add(to_c(array), to_c(value)) < 0)
                return -ENOMEM;
        TAKE_PTR(value);
        return 0;
}

int json_set_string(struct json *object, const char *key, const char *text) {
        return json_set(object, key, json_new_string(text));
}

int json_set_u64(struct json *object, const char *key, uint64_t v) {
        return json_set(object, key, json_new_u64(v));
}

int json_set_i64(struct json *object, const char *key, int64_t v) {
        return json_set(object, key, json_new_i64(v));
}

int json_set_bool(struct json *object, const char *key, bool v) {
        return json_set(object, key, json_new_bool(v));
}

/* ── Writing ───────────────────────────────────────────────────────────────────────────────── */

static int format(const struct json *value, int flags, char **ret, size_t *ret_size) {
        size_t n;
        const char *text = json_object_to_json_string_length(
                to_c(value), flags | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
        if (!text || fault_hit(FAULT_ALLOC))
                return -ENOMEM;
        char *copy = malloc(n + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, n + 1);
        *ret = copy;
        *ret_size = n;
        return 0;
}

int json_format(const struct json *value, char **ret, size_t *ret_size) {
        return format(value, JSON_C_TO_STRING_PLAIN, ret, ret_size);
}

int json_format_pretty(const struct json *value, char **ret) {
        size_t n;
        return format(value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED, ret, &n);
}
