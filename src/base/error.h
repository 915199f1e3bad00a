// SPDX-License-Identifier: MIT
/* What the user will see of a failure: an HRESULT and one text that names the thing, the place, the
 * cause and the remedy. Functions that can explain a failure take a `struct error *` (never NULL),
 * fill it, and return the negative errno that they would have returned anyway. The first text
 * stays: callers on the way up add what they know in front of it with error_prefix(). */
#pragma once
#include <stdint.h>
#include "base/cleanup.h"

enum { ERROR_TEXT_MAX = 1024 };

struct error {
        uint32_t hresult; /* 0: nothing was set */
        char text[ERROR_TEXT_MAX];
};

/* Fills e unless it is filled already, and returns r. hresult 0 picks the code for errno r. */
int error_set(struct error *e, int r, uint32_t hresult, const char *fmt, ...) _printf_(4, 5);
/* Puts "text: " in front of what is there, and returns r. */
int error_prefix(struct error *e, int r, const char *fmt, ...) _printf_(3, 4);
/* The HRESULT that stands for a negative errno (HRESULT_FROM_WIN32 of its nearest relative). */
uint32_t error_hresult(int r);
