// SPDX-License-Identifier: MIT
/* UTF-8 and UTF-16LE, strict both ways: no overlong forms, no lone surrogates, no code point above
 * 10FFFF. Bad input is -EILSEQ. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/wr.h"

/* How many of the n bytes, from the first on, are well-formed UTF-8. */
size_t utf16_utf8_prefix(const void *utf8, size_t n);
/* 0 when the n bytes are well-formed UTF-8, else -EILSEQ. */
_warn_unused_ int utf16_check_utf8(const void *utf8, size_t n);
/* Appends the text to out as UTF-16LE, without BOM or NUL. */
_warn_unused_ int utf16_from_utf8(const char *utf8, size_t n, struct wr *out);
/* Appends n bytes of UTF-16 to out as UTF-8; an odd n is -EILSEQ. */
_warn_unused_ int utf16_to_utf8(const void *utf16, size_t n, bool big_endian, struct wr *out);
