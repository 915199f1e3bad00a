// SPDX-License-Identifier: MIT
/* What the parser needs from the values beyond json.h. */
#pragma once
#include "json/json.h"

/* A number that is no 64-bit integer; `text` is how the document spells it, and is what
 * json_format() prints again. NULL when memory is short. */
struct json *json_new_number(double v, const char *text);
