// SPDX-License-Identifier: MIT
/* The parts of hcs_document_check(). */
#pragma once
#include "hcs-json/hcs.h"
#include "hcs-json/path.h"
#include "hcs-json/schema.h"

/* How the two families differ. */
struct hcs_dialect {
        const struct hcs_schema *schema;
        bool numbers_for_enums;              /* HCN clients send either */
        uint32_t invalid_json, invalid_guid; /* HRESULTs */
};
extern const struct hcs_dialect hcs_dialect_hcs, hcs_dialect_hcn;

struct hcs_checker {
        const struct hcs_dialect *dialect;
        unsigned flags; /* HCS_ALLOW_UNKNOWN */
        struct hcs_path path;
        struct error *error;
};
/* Types, members, enums. The second checks one value of a scalar kind or an object. */
_warn_unused_ int hcs_check_type(
        struct hcs_checker *c, const struct hcs_type *type, const struct json *value);
_warn_unused_ int hcs_check_value(struct hcs_checker *c, enum hcs_kind kind,
        const struct hcs_type *type, const struct json *value);

/* "PATH: text" with E_INVALIDARG; returns -EINVAL. */
int hcs_refuse(const struct hcs_path *path, struct error *e, const char *fmt, ...) _printf_(3, 4);
/* The same for the member `name` of the value at path. */
int hcs_refuse_member(struct hcs_path *path, const char *name, struct error *e, const char *fmt,
        ...) _printf_(4, 5);

/* What must hold beyond types. */
_warn_unused_ int hcs_check_create(const struct json *doc, struct error *e);
_warn_unused_ int hcs_check_modify(const struct json *doc, unsigned flags, struct error *e);
_warn_unused_ int hcs_check_process(const struct json *doc, struct error *e);
_warn_unused_ int hcs_check_process_modify(const struct json *doc, struct error *e);
_warn_unused_ int hcs_check_save(const struct json *doc, struct error *e);
_warn_unused_ int hcs_check_hcn_network(const struct json *doc, unsigned flags, struct error *e);
_warn_unused_ int hcs_check_hcn_endpoint(const struct json *doc, unsigned flags, struct error *e);
_warn_unused_ int hcs_check_hcn_policies(const struct json *doc, unsigned flags, struct error *e);

/* Of this host or of Windows: "/x", "C:\x", "\\server\x". */
bool hcs_path_is_absolute(const char *path);
