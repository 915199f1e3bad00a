// SPDX-License-Identifier: MIT
/* Members of a JSON object by type, as the bridge treats them: absent and null leave the default
 * that the caller stored, another type or range is -EBADMSG with a text that names the member. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "json/json.h"

_warn_unused_ int gcs_field_u32(
        const struct json *object, const char *key, uint32_t *ret, struct error *e);
_warn_unused_ int gcs_field_u16(
        const struct json *object, const char *key, uint16_t *ret, struct error *e);
_warn_unused_ int gcs_field_bool(
        const struct json *object, const char *key, bool *ret, struct error *e);
/* Borrowed from the object; a string that holds a NUL is refused. */
_warn_unused_ int gcs_field_string(
        const struct json *object, const char *key, const char **ret, struct error *e);
/* The same, copied: a string of n bytes or more (without NUL) is refused. */
_warn_unused_ int gcs_field_copy(
        const struct json *object, const char *key, char *ret, size_t n, struct error *e);
/* HRESULTs travel as signed 32-bit numbers. */
_warn_unused_ int gcs_field_hresult(
        const struct json *object, const char *key, uint32_t *ret, struct error *e);
/* An object or array; *ret stays as it is when there is none. */
_warn_unused_ int gcs_field_container(const struct json *object, const char *key,
        enum json_type type, struct json **ret, struct error *e);

/* One of the array's elements or the object's values as a C string. */
_warn_unused_ int gcs_field_text(
        const struct json *value, const char *what, const char **ret, struct error *e);
