// SPDX-License-Identifier: MIT
/* GUIDs in wire order: the first three fields little-endian, the last eight bytes as written
 * (MS-DTYP 2.3.4). Text is "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", lower case when we write it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "wire/guid.h"

enum { GUID_TEXT_SIZE = 37 }; /* with NUL */

bool guid_equal(const struct guid *a, const struct guid *b);
bool guid_is_null(const struct guid *g);
/* Accepts exactly 36 characters, any case, without braces; else -EINVAL. */
_warn_unused_ int guid_parse(const char *text, struct guid *ret);
void guid_format(const struct guid *g, char ret[GUID_TEXT_SIZE]);
/* Version 4, from the kernel's random numbers. */
void guid_random(struct guid *ret);
/* data1, the first 32 bits as a number (the vsock port in hvsocket service ids). */
uint32_t guid_data1(const struct guid *g);
void guid_set_data1(struct guid *g, uint32_t v);
