// SPDX-License-Identifier: MIT
#include "base/utf16.h"
#include <errno.h>

/* The next code point of s[0..n), with its length; 0 on bad input (Unicode 15, table 3-7). */
static size_t utf8_next(const uint8_t *s, size_t n, uint32_t *ret) {
        uint8_t c = s[0];
        if (c < 0x80) {
                *ret = c;
                return 1;
        }
        size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        if (c < 0xc2 || c > 0xf4 || len > n)
                return 0;
        uint32_t cp = c & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                cp = cp << 6 | (s[i] & 0x3f);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
                return 0;
        *ret = cp;
        return len;
}

size_t utf16_utf8_prefix(const void *utf8, size_t n) {
        const uint8_t *s = utf8;
        uint32_t cp;
        size_t i = 0;
        for (size_t len; i < n && (len = utf8_next(s + i, n - i, &cp)) != 0; i += len)
                ;
        return i;
}

int utf16_check_utf8(const void *utf8, size_t n) {
        return utf16_utf8_prefix(utf8, n) == n ? 0 : -EILSEQ;
}

int utf16_from_utf8(const char *utf8, size_t n, struct wr *out) {
        const uint8_t *s = (const uint8_t *)utf8;
        uint32_t cp;
        for (size_t i = 0, len; i < n; i += len) {
                if ((len = utf8_next(s + i, n - i, &cp)) == 0)
                        return -EILSEQ;
                if (cp >= 0x10000) {
                        wr_le16(out, (uint16_t)(0xd800 | (cp - 0x10000) >> 10));
                        wr_le16(out, (uint16_t)(0xdc00 | (cp & 0x3ff)));
                } else {
                        wr_le16(out, (uint16_t)cp);
                }
        }
        return wr_error(out);
}

static void put_utf8(struct wr *out, uint32_t cp) {
        if (cp < 0x80) {
                wr_u8(out, (uint8_t)cp);
        } else if (cp < 0x800) {
                wr_u8(out, (uint8_t)(0xc0 | cp >> 6));
                wr_u8(out, (uint8_t)(0x80 | (cp & 0x3f)));
        } else if (cp < 0x10000) {
                wr_u8(out, (uint8_t)(0xe0 | cp >> 12));
                wr_u8(out, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
                wr_u8(out, (uint8_t)(0x80 | (cp & 0x3f)));
        } else {
                wr_u8(out, (uint8_t)(0xf0 | cp >> 18));
                wr_u8(out, (uint8_t)(0x80 | (cp >> 12 & 0x3f)));
                wr_u8(out, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
                wr_u8(out, (uint8_t)(0x80 | (cp & 0x3f)));
        }
}

int utf16_to_utf8(const void *utf16, size_t n, bool big_endian, struct wr *out) {
        const uint8_t *s = utf16;
        if (n % 2)
                return -EILSEQ;
        uint32_t high = 0;
        for (size_t i = 0; i < n; i += 2) {
                uint32_t u = big_endian ? (uint32_t)s[i] << 8 | s[i + 1]
                                        : (uint32_t)s[i + 1] << 8 | s[i];
                bool low = u >= 0xdc00 && u < 0xe000;
                if (low != (high != 0))
                        return -EILSEQ;
                if (low) {
                        put_utf8(out, 0x10000 + ((high & 0x3ff) << 10 | (u & 0x3ff)));
                        high = 0;
                } else if (u >= 0xd800 && u < 0xdc00) {
                        high = u;
                } else {
                        put_utf8(out, u);
                }
        }
        if (high)
                return -EILSEQ;
        return wr_error(out);
}
