// SPDX-License-Identifier: MIT
/* The reader: RFC 8259 to the letter, by recursive descent, depth bounded by the limits. json-c's
 * own tokener is not used, as even its strict mode takes more than the RFC and names no line. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/fault.h"
#include "base/utf16.h"
#include "base/wr.h"
#include "json/json.h"
#include "json/value.h"
#include "wire/hresult.h"

const struct json_limits json_limits_client = {1 << 20, 64, 100000};
const struct json_limits json_limits_guest = {64 << 10, 16, 10000};

/* A longer number carries no meaning that a double could hold. */
enum { NUMBER_MAX = 512 };

struct parser {
        const uint8_t *start, *at, *end;
        const struct json_limits *limits;
        unsigned depth, nodes;
        struct error *error;
};

/* Lines end with LF; columns count code points from 1. */
static int fail_at(struct parser *p, const uint8_t *at, int r, const char *what) {
        size_t line = 1, column = 1;
        for (const uint8_t *s = p->start; s < at; s++) {
                if (*s == '\n') {
                        line++;
                        column = 1;
                } else if ((*s & 0xc0) != 0x80) {
                        column++;
                }
        }
        return error_set(p->error, r, r == -ENOMEM ? 0 : HCS_E_INVALID_JSON,
                "line %zu, column %zu: %s", line, column, what);
}

static int fail(struct parser *p, const char *what) {
        if (p->at == p->end)
                return fail_at(p, p->at, -EBADMSG, "the document ends in the middle");
        return fail_at(p, p->at, -EBADMSG, what);
}

static int out_of_memory(struct parser *p) {
        return fail_at(p, p->at, -ENOMEM, "out of memory");
}

static void skip_space(struct parser *p) {
        while (p->at < p->end &&
                (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
                p->at++;
}

static bool take(struct parser *p, char c) {
        if (p->at == p->end || *p->at != (uint8_t)c)
                return false;
        p->at++;
        return true;
}

static bool is_digit(const struct parser *p) {
        return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

/* ── Strings ───────────────────────────────────────────────────────────────────────────────── */

static int parse_hex4(struct parser *p, uint32_t *ret) {
        uint32_t v = 0;
        for (int i = 0; i < 4; i++, p->at++) {
                uint8_t c = p->at < p->end ? *p->at : 0;
                uint8_t lower = c | 0x20;
                if (c >= '0' && c <= '9')
                        v = v << 4 | (uint32_t)(c - '0');
                else if (lower >= 'a' && lower <= 'f')
                        v = v << 4 | (uint32_t)(lower - 'a' + 10);
                else
                        return fail(p, "\\u needs four hexadecimal digits");
        }
        *ret = v;
        return 0;
}

/* Behind "\u": one unit, or a pair of surrogates. */
static int parse_unicode_escape(struct parser *p, struct wr *out) {
        const uint8_t *at = p->at - 2;
        uint32_t unit, low = 0;
        int r = parse_hex4(p, &unit);
        if (r < 0)
                return r;
        uint8_t utf16[4] = {(uint8_t)unit, (uint8_t)(unit >> 8)};
        size_t n = 2;
        if (unit >= 0xd800 && unit < 0xdc00 && p->end - p->at >= 2 && p->at[0] == '\\' &&
                p->at[1] == 'u') {
                p->at += 2;
                r = parse_hex4(p, &low);
                if (r < 0)
                        return r;
                utf16[2] = (uint8_t)low;
                utf16[3] = (uint8_t)(low >> 8);
                n = 4;
        }
        if (utf16_to_utf8(utf16, n, false, out) == -EILSEQ)
                return fail_at(p, at, -EBADMSG, "a surrogate without its other half");
        return 0;
}

static int parse_escape(struct parser *p, struct wr *out) {
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        p->at++;
        if (take(p, 'u'))
                return parse_unicode_escape(p, out);
        const char *name = p->at < p->end && *p->at ? strchr(names, *p->at) : NULL;
        if (!name)
                return fail(
                        p, "unknown escape; known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        wr_u8(out, (uint8_t)values[name - names]);
        p->at++;
        return 0;
}

/* A run of characters that stand for themselves. */
static int parse_plain(struct parser *p, struct wr *out) {
        const uint8_t *from = p->at;
        while (p->at < p->end && *p->at >= 0x20 && *p->at != '"' && *p->at != '\\')
                p->at++;
        size_t n = (size_t)(p->at - from);
        size_t good = utf16_utf8_prefix(from, n);
        if (good < n)
                return fail_at(p, from + good, -EBADMSG, "bytes that are not UTF-8");
        wr_bytes(out, from, n);
        return 0;
}

/* Appends the string that starts at the cursor to out. */
static int parse_string(struct parser *p, struct wr *out) {
        if (!take(p, '"'))
                return fail(p, "a string was expected");
        for (;;) {
                int r = parse_plain(p, out);
                if (r < 0)
                        return r;
                if (take(p, '"'))
                        break;
                if (p->at < p->end && *p->at == '\\')
                        r = parse_escape(p, out);
                else
                        r = fail(p, "a control character in a string; write it as \\uXXXX");
                if (r < 0)
                        return r;
        }
        wr_u8(out, 0); /* for users that want a C string */
        return wr_error(out) < 0 || fault_hit(FAULT_ALLOC) ? out_of_memory(p) : 0;
}

/* ── Numbers ───────────────────────────────────────────────────────────────────────────────── */

/* Moves past the number at the cursor; *ret_integer: it has neither fraction nor exponent. */
static int scan_number(struct parser *p, bool *ret_integer) {
        *ret_integer = true;
        take(p, '-');
        if (!is_digit(p))
                return fail(p, "a digit was expected");
        if (take(p, '0') && is_digit(p))
                return fail(p, "a number with a leading zero");
        while (is_digit(p))
                p->at++;
        if (take(p, '.')) {
                *ret_integer = false;
                if (!is_digit(p))
                        return fail(p, "a digit was expected behind the decimal point");
                while (is_digit(p))
                        p->at++;
        }
        if (take(p, 'e') || take(p, 'E')) {
                *ret_integer = false;
                if (!take(p, '+'))
                        take(p, '-');
                if (!is_digit(p))
                        return fail(p, "a digit was expected in the exponent");
                while (is_digit(p))
                        p->at++;
        }
        return 0;
}

static int parse_number(struct parser *p, struct json **ret) {
        const uint8_t *from = p->at;
        bool integer;
        int r = scan_number(p, &integer);
        if (r < 0)
                return r;
        char text[NUMBER_MAX + 1];
        size_t n = (size_t)(p->at - from);
        if (n > NUMBER_MAX)
                return fail_at(p, from, -EBADMSG, "a number of more than 512 characters");
        memcpy(text, from, n);
        text[n] = 0;
        errno = 0;
        if (integer && text[0] == '-') {
                long long v = strtoll(text, NULL, 10);
                *ret = errno ? NULL : json_new_i64(v);
        } else if (integer) {
                unsigned long long v = strtoull(text, NULL, 10);
                *ret = errno ? NULL : json_new_u64(v);
        }
        if (!integer || errno == ERANGE) {
                double v = strtod(text, NULL);
                if (!isfinite(v))
                        return fail_at(p, from, -EBADMSG, "a number too large for a double");
                *ret = json_new_number(v, text);
        }
        return *ret ? 0 : out_of_memory(p);
}

/* ── Containers ────────────────────────────────────────────────────────────────────────────── */

static int parse_value(struct parser *p, struct json **ret);

/* NUL-terminated, without a NUL inside, not in the object yet. */
static int parse_key(struct parser *p, const struct json *object, struct wr *ret_key) {
        const uint8_t *at = p->at;
        int r = parse_string(p, ret_key);
        if (r < 0)
                return r;
        if (strlen((char *)ret_key->data) != ret_key->size - 1)
                return fail_at(p, at, -EBADMSG, "a member name with a NUL in it");
        if (json_has(object, (char *)ret_key->data))
                return fail_at(p, at, -EBADMSG, "this member is there already");
        return 0;
}

static int parse_member(struct parser *p, struct json *object) {
        _cleanup_(wr_done) struct wr key = wr_new(p->limits->bytes + 1);
        _cleanup_(json_unrefp) struct json *value = NULL;
        skip_space(p);
        int r = parse_key(p, object, &key);
        if (r < 0)
                return r;
        skip_space(p);
        if (!take(p, ':'))
                return fail(p, "':' was expected");
        r = parse_value(p, &value);
        if (r < 0)
                return r;
        return json_set(object, (char *)key.data, TAKE_PTR(value)) < 0 ? out_of_memory(p) : 0;
}

static int parse_element(struct parser *p, struct json *array) {
        struct json *value = NULL;
        int r = parse_value(p, &value);
        if (r < 0)
                return r;
        return json_add(array, value) < 0 ? out_of_memory(p) : 0;
}

/* An object or an array: an open bracket, items with commas between them, a close bracket. */
static int parse_container(struct parser *p, struct json **ret) {
        bool is_object = *p->at == '{';
        char close = is_object ? '}' : ']';
        if (++p->depth > p->limits->depth)
                return fail_at(p, p->at, -E2BIG, "nested too deeply");
        p->at++;
        _cleanup_(json_unrefp) struct json *container =
                is_object ? json_new_object() : json_new_array();
        if (!container)
                return out_of_memory(p);
        skip_space(p);
        for (bool first = true; !take(p, close); first = false) {
                if (!first && !take(p, ','))
                        return fail(p,
                                is_object ? "',' or '}' was expected" : "',' or ']' was expected");
                int r = is_object ? parse_member(p, container) : parse_element(p, container);
                if (r < 0)
                        return r;
                skip_space(p);
        }
        p->depth--;
        *ret = TAKE_PTR(container);
        return 0;
}

static bool take_word(struct parser *p, const char *word) {
        size_t n = strlen(word);
        if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
                return false;
        p->at += n;
        return true;
}

static int parse_word(struct parser *p, struct json **ret) {
        if (take_word(p, "true"))
                *ret = json_new_bool(true);
        else if (take_word(p, "false"))
                *ret = json_new_bool(false);
        else if (take_word(p, "null"))
                *ret = json_new_null();
        else
                return fail(p, "a value was expected");
        return *ret ? 0 : out_of_memory(p);
}

static int parse_string_value(struct parser *p, struct json **ret) {
        _cleanup_(wr_done) struct wr text = wr_new(p->limits->bytes + 1);
        int r = parse_string(p, &text);
        if (r < 0)
                return r;
        *ret = json_new_string_n((char *)text.data, text.size - 1);
        return *ret ? 0 : out_of_memory(p);
}

static int parse_value(struct parser *p, struct json **ret) {
        skip_space(p);
        if (p->at == p->end)
                return fail(p, "");
        if (++p->nodes > p->limits->nodes)
                return fail_at(p, p->at, -E2BIG, "too many values");
        switch (*p->at) {
        case '{':
        case '[':
                return parse_container(p, ret);
        case '"':
                return parse_string_value(p, ret);
        case '-':
        case '0' ... '9':
                return parse_number(p, ret);
        default:
                return parse_word(p, ret);
        }
}

int json_parse(const char *text, size_t n, const struct json_limits *limits, struct error *e,
        struct json **ret) {
        if (n > limits->bytes)
                return error_set(e, -E2BIG, HCS_E_INVALID_JSON,
                        "the document has %zu bytes; at most %zu are allowed", n, limits->bytes);
        const uint8_t *start = (const uint8_t *)text;
        struct parser p = {
                .start = start, .at = start, .end = start + n, .limits = limits, .error = e};
        _cleanup_(json_unrefp) struct json *value = NULL;
        skip_space(&p);
        if (p.at == p.end)
                return fail_at(&p, p.at, -EBADMSG, "the document is empty");
        if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                return fail(&p, "a byte order mark; JSON starts without one");
        int r = parse_value(&p, &value);
        if (r < 0)
                return r;
        skip_space(&p);
        if (p.at < p.end)
                return fail(&p, "text behind the end of the document");
        *ret = TAKE_PTR(value);
        return 0;
}
