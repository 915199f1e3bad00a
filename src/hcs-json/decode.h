// SPDX-License-Identifier: MIT
/* What the decoders share. */
#pragma once
#include "hcs-json/hcs.h"

/* The string member, copied; `fallback` (copied as well) when absent or empty; NULL when memory is
 * short. */
char *hcs_copy_string(const struct json *object, const char *name, const char *fallback);

/* Lists the members of doc that none of the patterns covers ("VirtualMachine/Devices/ComPorts/#"
 * covers all below it), as "PATH has no effect in this version". -ENOMEM. */
_warn_unused_ int hcs_list_ineffective(
        const struct json *doc, const char *const *effective, size_t n, struct json **ret_warnings);
