// SPDX-License-Identifier: MIT
/* JSON paths as HCS writes them in errors: "$.VirtualMachine.Devices.Scsi.0.Attachments", array
 * elements as "[1]". And values found by pattern. */
#pragma once
#include "base/error.h"
#include "json/json.h"

struct hcs_path {
        char text[512];
        size_t n; /* of text; past its end for what does not fit and is not shown */
};

struct hcs_path hcs_path_root(void);
/* Both return the mark to go back to. Characters that a log should not see become '?'. */
size_t hcs_path_push(struct hcs_path *path, const char *member);
size_t hcs_path_push_index(struct hcs_path *path, size_t i);
void hcs_path_pop(struct hcs_path *path, size_t mark);

/* Walks over values that a pattern names: "Scsi/#/Path", "#" being every member of an object and
 * every element of an array. Absent and null values do not match. */
struct hcs_visitor {
        struct hcs_path path; /* of the value at hand */
        struct error *error;
        void *userdata;
        /* `key` is the last component of the path; negative stops the walk. */
        int (*visit)(struct hcs_visitor *v, const struct json *value, const char *key);
};
_warn_unused_ int hcs_visit(struct hcs_visitor *v, const struct json *from, const char *pattern);
