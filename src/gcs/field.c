// SPDX-License-Identifier: MIT
#include "gcs/field.h"
#include <errno.h>
#include <string.h>
#include "wire/hresult.h"

static int refuse(struct error *e, const char *key, const char *wanted) {
        return error_set(e, -EBADMSG, HCS_E_INVALID_JSON, "%s is not %s", key, wanted);
}

static int field_unsigned(
        const struct json *object, const char *key, uint64_t max, uint64_t *ret, struct error *e) {
        const struct json *value = json_get(object, key);
        if (json_is_null(value))
                return 0;
        uint64_t v;
        if (json_u64(value, &v) < 0 || v > max)
                return refuse(e, key,
                        max == UINT16_MAX ? "a number from 0 to 65535"
                                          : "a number from 0 to 4294967295");
        *ret = v;
        return 0;
}

int gcs_field_u32(const struct json *object, const char *key, uint32_t *ret, struct error *e) {
        uint64_t v = *ret;
        int r = field_unsigned(object, key, UINT32_MAX, &v, e);
        *ret = (uint32_t)v;
        return r;
}

int gcs_field_u16(const struct json *object, const char *key, uint16_t *ret, struct error *e) {
        uint64_t v = *ret;
        int r = field_unsigned(object, key, UINT16_MAX, &v, e);
        *ret = (uint16_t)v;
        return r;
}

int gcs_field_bool(const struct json *object, const char *key, bool *ret, struct error *e) {
        const struct json *value = json_get(object, key);
        if (json_is_null(value))
                return 0;
        return json_bool(value, ret) < 0 ? refuse(e, key, "true or false") : 0;
}

int gcs_field_text(const struct json *value, const char *what, const char **ret, struct error *e) {
        const char *text;
        size_t n;
        if (json_string(value, &text, &n) < 0 || strlen(text) != n)
                return refuse(e, what, "a string without NUL");
        *ret = text;
        return 0;
}

int gcs_field_string(
        const struct json *object, const char *key, const char **ret, struct error *e) {
        const struct json *value = json_get(object, key);
        return json_is_null(value) ? 0 : gcs_field_text(value, key, ret, e);
}

int gcs_field_copy(
        const struct json *object, const char *key, char *ret, size_t n, struct error *e) {
        const char *text = NULL;
        int r = gcs_field_string(object, key, &text, e);
        if (r < 0 || !text)
                return r;
        size_t size = strlen(text);
        if (size >= n)
                return error_set(
                        e, -EBADMSG, HCS_E_INVALID_JSON, "%s is longer than %zu bytes", key, n - 1);
        memcpy(ret, text, size + 1);
        return 0;
}

int gcs_field_hresult(const struct json *object, const char *key, uint32_t *ret, struct error *e) {
        const struct json *value = json_get(object, key);
        if (json_is_null(value))
                return 0;
        int64_t v;
        if (json_i64(value, &v) < 0 || v < INT32_MIN || v > UINT32_MAX)
                return refuse(e, key, "a 32-bit number");
        *ret = (uint32_t)v;
        return 0;
}

int gcs_field_container(const struct json *object, const char *key, enum json_type type,
        struct json **ret, struct error *e) {
        struct json *value = json_get(object, key);
        if (json_is_null(value))
                return 0;
        if (json_type(value) != type)
                return refuse(e, key, type == JSON_ARRAY ? "an array" : "an object");
        *ret = value;
        return 0;
}
