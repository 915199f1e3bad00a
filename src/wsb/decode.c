// SPDX-License-Identifier: MIT
#include "wsb/decode.h"
#include <errno.h>
#include <string.h>
#include <strings.h>
#include "base/utf16.h"
#include "base/wr.h"
#include "wire/hresult.h"
#include "wsb/error.h"

/* UTF-16 text grows by half at most. */
enum { UTF8_MAX = WSB_FILE_MAX / 2 * 3 };

void wsb_locate(const char *utf8, size_t offset, unsigned *ret_line, unsigned *ret_column) {
        unsigned line = 1, column = 1;
        for (size_t i = 0; i < offset; i++) {
                if (utf8[i] == '\n') {
                        line++;
                        column = 1;
                } else if (((uint8_t)utf8[i] & 0xc0) != 0x80) {
                        column++;
                }
        }
        *ret_line = line;
        *ret_column = column;
}

static bool starts_with(const uint8_t *data, size_t n, const char *bytes, size_t count) {
        return n >= count && memcmp(data, bytes, count) == 0;
}

/* The UTF-16 units in front of the first bad one. */
static int decode_utf16(const uint8_t *data, size_t n, bool big_endian, struct wsb_text *ret) {
        _cleanup_(wr_done) struct wr out = wr_new(UTF8_MAX + 1);
        size_t i = 0;
        for (size_t len; i + 2 <= n; i += len) {
                uint8_t high = data[i + (big_endian ? 0 : 1)];
                len = high >= 0xd8 && high < 0xdc && i + 4 <= n ? 4 : 2;
                int r = utf16_to_utf8(data + i, len, big_endian, &out);
                if (r == -EILSEQ)
                        break;
                if (r < 0)
                        return r;
        }
        ret->n = out.size;
        ret->broken = i != n;
        wr_u8(&out, 0);
        if (wr_error(&out) < 0)
                return wr_error(&out);
        ret->utf8 = (char *)TAKE_PTR(out.data);
        return 0;
}

static int decode_utf8(const uint8_t *data, size_t n, struct wsb_text *ret) {
        size_t good = utf16_utf8_prefix(data, n);
        char *text = malloc(good + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, data, good);
        text[good] = 0;
        *ret = (struct wsb_text){.utf8 = text, .n = good, .broken = good != n};
        return 0;
}

/* The value of encoding="…" in the XML declaration, within the text; false when there is none. */
static bool declared_encoding(const char *text, const char **ret, size_t *ret_n) {
        static const char space[] = " \t\r\n";
        if (strncmp(text, "<?xml", 5) != 0 || !text[5] || !strchr(space, text[5]))
                return false;
        const char *end = strstr(text, "?>"), *s = strstr(text, "encoding");
        if (!end || !s || s > end)
                return false;
        s += strlen("encoding");
        s += strspn(s, space);
        if (*s != '=')
                return false;
        s++;
        s += strspn(s, space);
        if (*s != '"' && *s != '\'')
                return false;
        const char *close = strchr(s + 1, *s);
        if (!close || close > end)
                return false;
        *ret = s + 1;
        *ret_n = (size_t)(close - s - 1);
        return true;
}

static bool name_is(const char *name, size_t n, const char *known) {
        return strlen(known) == n && strncasecmp(name, known, n) == 0;
}

static int check_declaration(const struct wsb_text *text, bool is_utf16, struct wsb_error *we) {
        const char *name;
        size_t n;
        if (!declared_encoding(text->utf8, &name, &n))
                return 0;
        bool says_utf8 = name_is(name, n, "utf-8"), says_utf16 = name_is(name, n, "utf-16");
        if (is_utf16 ? says_utf16 : says_utf8)
                return 0;
        wsb_locate(text->utf8, (size_t)(name - text->utf8), &we->line, &we->column);
        if (says_utf8 || says_utf16)
                return wsb_refuse(we,
                        (struct wsb_refusal){.class = WSB_CLASS_XML,
                                .xmllite = MX_E_ENCODINGSWITCH,
                                .accepted = is_utf16 ? "encoding=\"utf-16\", or no encoding"
                                                     : "encoding=\"utf-8\", or no encoding"},
                        "the declaration says %.*s but the bytes are %s", (int)n, name,
                        is_utf16 ? "UTF-16" : "UTF-8");
        return wsb_refuse(we,
                (struct wsb_refusal){.class = WSB_CLASS_XML,
                        .xmllite = MX_E_ENCODING,
                        .accepted = "UTF-8, or UTF-16 with a byte order mark"},
                "the encoding '%.*s' is not supported", (int)(n < 64 ? n : 64), name);
}

static int refuse_signature(struct wsb_error *we) {
        we->line = we->column = 1;
        return wsb_refuse(we,
                (struct wsb_refusal){.class = WSB_CLASS_XML,
                        .xmllite = MX_E_ENCODINGSIGNATURE,
                        .accepted = "UTF-8, or UTF-16 with a byte order mark"},
                "the file is neither UTF-8 nor UTF-16 with a byte order mark");
}

int wsb_decode(const uint8_t *data, size_t n, struct wsb_error *we, struct wsb_text *ret) {
        if (n > WSB_FILE_MAX)
                return wsb_refuse(we,
                        (struct wsb_refusal){.class = WSB_CLASS_XML, .accepted = "at most 1 MiB"},
                        "the file has %zu bytes", n);
        bool le = starts_with(data, n, "\xff\xfe", 2), be = starts_with(data, n, "\xfe\xff", 2);
        if (starts_with(data, n, "\xff\xfe\0\0", 4) || starts_with(data, n, "\0\0\xfe\xff", 4) ||
                starts_with(data, n, "<\0", 2) || starts_with(data, n, "\0<", 2))
                return refuse_signature(we);
        struct wsb_text text = {0};
        size_t bom = le || be ? 2 : starts_with(data, n, "\xef\xbb\xbf", 3) ? 3 : 0;
        int r = le || be ? decode_utf16(data + bom, n - bom, be, &text)
                         : decode_utf8(data + bom, n - bom, &text);
        if (r < 0)
                return wsb_out_of_memory(we);
        r = check_declaration(&text, le || be, we);
        if (r < 0) {
                free(text.utf8);
                return r;
        }
        *ret = text;
        return 0;
}
