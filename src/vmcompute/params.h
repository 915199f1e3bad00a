// SPDX-License-Identifier: MIT
/* The params of a call: names, handles, documents, times. */
#pragma once
#include <stdbool.h>
#include "hcs-json/hcs.h"
#include "vmcompute/methods.h"

/* No member but those of the row; the handle is found and set in a. E_INVALIDARG,
 * HR_INVALID_HANDLE. */
_warn_unused_ int params_check(const struct method *method, struct method_args *a, struct error *e);
/* The HCS document in a member, as an object or as a string that holds one; *ret is NULL when it
 * is absent or null. Its schema has been checked. */
_warn_unused_ int params_document(const struct method_args *a, const char *name,
        enum hcs_document kind, struct error *e, struct json **ret);
/* timeoutMs, infinite when absent; false: the call has failed. */
_warn_unused_ bool params_timeout(const struct method_args *a, uint32_t *ret);
