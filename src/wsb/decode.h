// SPDX-License-Identifier: MIT
/* The bytes of a file to UTF-8 text, with the encoding rules of XmlLite. */
#pragma once
#include "wsb/wsb.h"

/* Bytes that cannot be decoded do not fail at once: the text ends before them, so that the parser
 * can tell in which element they stand, or that another mistake comes before them. */
struct wsb_text {
        char *utf8; /* NUL behind */
        size_t n;
        bool broken; /* undecodable bytes follow */
};

/* -EINVAL with we->xmllite and line, column; -ENOMEM. */
_warn_unused_ int wsb_decode(
        const uint8_t *data, size_t n, struct wsb_error *we, struct wsb_text *ret);
/* Line and column of the byte at `offset`. */
void wsb_locate(const char *utf8, size_t offset, unsigned *ret_line, unsigned *ret_column);
