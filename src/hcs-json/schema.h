// SPDX-License-Identifier: MIT
/* The tables that gen-tables.py makes of schema/hcs-schema.json and hcn-schema.json. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hcs_kind {
        HCS_ANY, /* any JSON value, not looked at */
        HCS_BOOL,
        HCS_DOUBLE,
        HCS_STRING,
        HCS_GUID, /* strings of a form */
        HCS_BASE64,
        HCS_DATE_TIME,
        HCS_MAC,
        HCS_IP,
        HCS_U8, /* integers */
        HCS_U16,
        HCS_U32,
        HCS_U64,
        HCS_I32,
        HCS_I64,
        HCS_ENUM, /* a string of type->values */
        HCS_OBJECT,
};

enum hcs_shape { HCS_ONE, HCS_ARRAY, HCS_MAP };

struct hcs_field {
        const char *name;
        const char *alias; /* another name that clients use, or NULL */
        enum hcs_kind kind;
        enum hcs_shape shape;
        enum hcs_kind key;           /* of a map: HCS_STRING, HCS_GUID or an integer */
        unsigned length;             /* of an array that has a fixed one; else 0 */
        unsigned since;              /* minor schema version; 0: the first, or not known */
        const struct hcs_type *type; /* of HCS_OBJECT and HCS_ENUM */
};

struct hcs_type {
        const char *name;
        bool is_enum;
        bool empty_is_value; /* enum: "" is accepted as well */
        const struct hcs_field *fields;
        const char *const *values; /* of an enum */
        size_t n;                  /* fields or values */
};

/* What HcsModifyComputeSystem may change. */
struct hcs_resource {
        const char *path;            /* "VirtualMachine/Devices/Scsi/{id}/Attachments/{uint}" */
        enum hcs_kind kind;          /* of Settings; HCS_ANY: it has none */
        const struct hcs_type *type; /* of HCS_OBJECT */
        bool add, remove, update;    /* the request types */
};

struct hcs_schema {
        const struct hcs_type *types; /* by name, ascending */
        size_t n_types;
        const struct hcs_resource *resources;
        size_t n_resources;
};
extern const struct hcs_schema hcs_schema_hcs, hcs_schema_hcn;

/* NULL when there is none. */
const struct hcs_type *hcs_schema_find(const struct hcs_schema *schema, const char *name);
