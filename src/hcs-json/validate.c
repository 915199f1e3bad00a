// SPDX-License-Identifier: MIT
/* Walks a JSON value against the generated tables. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include "hcs-json/check.h"
#include "wire/hresult.h"

const struct hcs_dialect hcs_dialect_hcs = {
        .schema = &hcs_schema_hcs,
        .invalid_json = HCS_E_INVALID_JSON,
        .invalid_guid = HCS_E_INVALID_JSON,
};
const struct hcs_dialect hcs_dialect_hcn = {
        .schema = &hcs_schema_hcn,
        .numbers_for_enums = true,
        .invalid_json = HCN_E_INVALID_JSON,
        .invalid_guid = HCN_E_GUID_CONVERSION_FAILURE,
};

const struct hcs_type *hcs_schema_find(const struct hcs_schema *schema, const char *name) {
        for (size_t low = 0, high = schema->n_types; low < high;) {
                size_t middle = (low + high) / 2;
                int order = strcmp(name, schema->types[middle].name);
                if (order == 0)
                        return &schema->types[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* ── Refusing ──────────────────────────────────────────────────────────────────────────────── */

static _printf_(3, 4) int refuse(struct hcs_checker *c, uint32_t hresult, const char *fmt, ...) {
        char text[512];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        return error_set(c->error, hresult == E_INVALIDARG ? -EINVAL : -EBADMSG, hresult, "%s: %s",
                c->path.text, text);
}

static const char *json_type_name(const struct json *value) {
        static const char *const names[] = {
                [JSON_NULL] = "null",
                [JSON_BOOL] = "a boolean",
                [JSON_INT] = "a number",
                [JSON_UINT] = "a number",
                [JSON_DOUBLE] = "a number",
                [JSON_STRING] = "a string",
                [JSON_ARRAY] = "an array",
                [JSON_OBJECT] = "an object",
        };
        return names[json_type(value)];
}

static int refuse_type(struct hcs_checker *c, const struct json *value, const char *expected) {
        return refuse(c, c->dialect->invalid_json, "%s where %s is expected", json_type_name(value),
                expected);
}

/* ── Scalars ───────────────────────────────────────────────────────────────────────────────── */

static const struct {
        const char *name;
        int64_t min;
        uint64_t max;
} integers[] = {
        [HCS_U8] = {"an integer from 0 to 255", 0, UINT8_MAX},
        [HCS_U16] = {"an integer from 0 to 65535", 0, UINT16_MAX},
        [HCS_U32] = {"an integer from 0 to 4294967295", 0, UINT32_MAX},
        [HCS_U64] = {"an integer from 0 to 18446744073709551615", 0, UINT64_MAX},
        [HCS_I32] = {"a signed 32-bit integer", INT32_MIN, INT32_MAX},
        [HCS_I64] = {"a signed 64-bit integer", INT64_MIN, INT64_MAX},
};

static int check_integer(struct hcs_checker *c, enum hcs_kind kind, const struct json *value) {
        uint64_t u;
        int64_t i;
        if (json_u64(value, &u) == 0 ? u <= integers[kind].max
                                     : json_i64(value, &i) == 0 && i >= integers[kind].min)
                return 0;
        if (json_type(value) != JSON_INT && json_type(value) != JSON_UINT &&
                json_type(value) != JSON_DOUBLE)
                return refuse_type(c, value, integers[kind].name);
        return refuse(c, c->dialect->invalid_json, "the number is not %s", integers[kind].name);
}

static bool is_base64(const char *s) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t n = strspn(s, digits), padding = strspn(s + n, "=");
        return s[n + padding] == 0 && (n + padding) % 4 == 0 && padding <= 2;
}

/* In a pattern, 'x' is a hexadecimal digit, 'd' a decimal one; all else stands for itself. */
static bool has_form(const char *s, const char *form) {
        for (; *form; s++, form++) {
                const char *set = *form == 'x'   ? "0123456789abcdefABCDEF"
                                  : *form == 'd' ? "0123456789"
                                                 : NULL;
                if (!*s || (set ? !strchr(set, *s) : *s != *form))
                        return false;
        }
        return true;
}

static bool is_mac(const char *s) {
        return strlen(s) == 17 &&
               (has_form(s, "xx-xx-xx-xx-xx-xx") || has_form(s, "xx:xx:xx:xx:xx:xx"));
}

static bool is_ip(const char *s) {
        struct in6_addr a;
        return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

static int check_form(struct hcs_checker *c, enum hcs_kind kind, const char *s) {
        struct guid guid;
        switch (kind) {
        case HCS_GUID:
                if (guid_parse(s, &guid) == 0)
                        return 0;
                return refuse(c, c->dialect->invalid_guid,
                        "not a GUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        case HCS_BASE64:
                return is_base64(s) ? 0 : refuse(c, c->dialect->invalid_json, "not base64");
        case HCS_DATE_TIME:
                return has_form(s, "dddd-dd-ddTdd:dd:dd")
                               ? 0
                               : refuse(c, c->dialect->invalid_json, "not an ISO 8601 time");
        case HCS_MAC:
                return is_mac(s) ? 0
                                 : refuse(c, c->dialect->invalid_json,
                                           "not a MAC address of the form 00-15-5D-00-00-00");
        case HCS_IP:
                return is_ip(s) ? 0 : refuse(c, c->dialect->invalid_json, "not an IP address");
        default:
                return 0;
        }
}

static int check_string(struct hcs_checker *c, enum hcs_kind kind, const struct json *value) {
        const char *s;
        size_t n;
        if (json_string(value, &s, &n) < 0)
                return refuse_type(c, value, "a string");
        if (memchr(s, 0, n)) /* a C string would end there and mean something else */
                return refuse(c, E_INVALIDARG, "the string holds a NUL character");
        return check_form(c, kind, s);
}

static int check_enum(
        struct hcs_checker *c, const struct hcs_type *type, const struct json *value) {
        if (c->dialect->numbers_for_enums && json_type(value) == JSON_INT)
                return check_integer(c, HCS_U32, value);
        const char *s;
        size_t n;
        if (json_string(value, &s, &n) < 0)
                return refuse_type(c, value, "a string");
        if (n == 0 && type->empty_is_value)
                return 0;
        for (size_t i = 0; i < type->n; i++)
                if (strlen(type->values[i]) == n && memcmp(type->values[i], s, n) == 0)
                        return 0;
        char accepted[400] = "";
        size_t used = 0;
        for (size_t i = 0; i < type->n && used < sizeof accepted; i++) {
                int r = snprintf(accepted + used, sizeof accepted - used, "%s%s", i ? ", " : "",
                        type->values[i]);
                used += r > 0 ? (size_t)r : 0;
        }
        return refuse(c, c->dialect->invalid_json, "not a value of %s; accepted: %s", type->name,
                accepted);
}

int hcs_check_value(struct hcs_checker *c, enum hcs_kind kind, const struct hcs_type *type,
        const struct json *value) {
        switch (kind) {
        case HCS_ANY:
                return 0;
        case HCS_BOOL:
                return json_type(value) == JSON_BOOL ? 0 : refuse_type(c, value, "a boolean");
        case HCS_DOUBLE: {
                double d;
                return json_double(value, &d) == 0 ? 0 : refuse_type(c, value, "a number");
        }
        case HCS_STRING:
        case HCS_GUID:
        case HCS_BASE64:
        case HCS_DATE_TIME:
        case HCS_MAC:
        case HCS_IP:
                return check_string(c, kind, value);
        case HCS_U8:
        case HCS_U16:
        case HCS_U32:
        case HCS_U64:
        case HCS_I32:
        case HCS_I64:
                return check_integer(c, kind, value);
        case HCS_ENUM:
                return check_enum(c, type, value);
        case HCS_OBJECT:
                return hcs_check_type(c, type, value);
        }
        return 0;
}

/* ── Containers ────────────────────────────────────────────────────────────────────────────── */

static int check_array(
        struct hcs_checker *c, const struct hcs_field *field, const struct json *value) {
        if (json_type(value) != JSON_ARRAY)
                return refuse_type(c, value, "an array");
        if (field->length && json_length(value) != field->length)
                return refuse(c, c->dialect->invalid_json, "%zu elements where %u are expected",
                        json_length(value), field->length);
        int r = 0;
        for (size_t i = 0; i < json_length(value) && r == 0; i++) {
                size_t mark = hcs_path_push_index(&c->path, i);
                r = hcs_check_value(c, field->kind, field->type, json_at(value, i));
                hcs_path_pop(&c->path, mark);
        }
        return r;
}

/* The keys of a map are strings in JSON, whatever they stand for. */
static int check_key(struct hcs_checker *c, enum hcs_kind kind, const char *key) {
        if (kind == HCS_STRING)
                return 0;
        if (kind == HCS_GUID)
                return check_form(c, kind, key);
        size_t digits = strspn(key, "0123456789");
        errno = 0;
        unsigned long long v = strtoull(key, NULL, 10);
        if (digits > 0 && !key[digits] && errno == 0 && v <= integers[kind].max &&
                (key[0] != '0' || digits == 1))
                return 0;
        return refuse(c, c->dialect->invalid_json, "the key is not %s", integers[kind].name);
}

static int check_map(
        struct hcs_checker *c, const struct hcs_field *field, const struct json *value) {
        if (json_type(value) != JSON_OBJECT)
                return refuse_type(c, value, "an object");
        struct json_iter it = json_iter(value);
        int r = 0;
        while (r == 0 && json_next(&it)) {
                size_t mark = hcs_path_push(&c->path, it.key);
                r = check_key(c, field->key, it.key);
                if (r == 0)
                        r = hcs_check_value(c, field->kind, field->type, it.value);
                hcs_path_pop(&c->path, mark);
        }
        return r;
}

static const struct hcs_field *find_field(const struct hcs_type *type, const char *name) {
        for (size_t i = 0; i < type->n; i++) {
                const struct hcs_field *f = &type->fields[i];
                if (strcmp(f->name, name) == 0 || (f->alias && strcmp(f->alias, name) == 0))
                        return f;
        }
        return NULL;
}

static int refuse_unknown(struct hcs_checker *c, const struct hcs_type *type, const char *name) {
        if (c->flags & HCS_ALLOW_UNKNOWN)
                return 0;
        for (size_t i = 0; i < type->n; i++)
                if (strcasecmp(type->fields[i].name, name) == 0)
                        return refuse(c, c->dialect->invalid_json,
                                "%s has no such member; names heed case: %s", type->name,
                                type->fields[i].name);
        return refuse(c, c->dialect->invalid_json, "%s has no such member", type->name);
}

/* A member that is null is as one that is absent. */
static int check_member(struct hcs_checker *c, const struct hcs_type *type, const char *name,
        const struct json *value) {
        const struct hcs_field *field = find_field(type, name);
        if (!field)
                return refuse_unknown(c, type, name);
        if (!value)
                return 0;
        if (field->shape == HCS_ARRAY)
                return check_array(c, field, value);
        if (field->shape == HCS_MAP)
                return check_map(c, field, value);
        return hcs_check_value(c, field->kind, field->type, value);
}

int hcs_check_type(struct hcs_checker *c, const struct hcs_type *type, const struct json *value) {
        if (json_type(value) != JSON_OBJECT)
                return refuse_type(c, value, "an object");
        struct json_iter it = json_iter(value);
        int r = 0;
        while (r == 0 && json_next(&it)) {
                size_t mark = hcs_path_push(&c->path, it.key);
                r = check_member(c, type, it.key, it.value);
                hcs_path_pop(&c->path, mark);
        }
        return r;
}
