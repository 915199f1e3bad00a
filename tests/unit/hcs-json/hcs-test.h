// SPDX-License-Identifier: MIT
/* Documents in tests: JSON with ' for ". */
#pragma once
#include "../test.h"
#include "hcs-json/hcs.h"

static inline struct json *json_of(const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        for (char *s = copy; *s; s++)
                if (*s == '\'')
                        *s = '"';
        struct error e = {0};
        struct json *doc = NULL;
        int r = json_parse(copy, strlen(copy), &json_limits_client, &e, &doc);
        ck_assert_msg(r == 0, "%s: %s", copy, e.text);
        return doc;
}

static inline void passes(enum hcs_document kind, const char *text) {
        _cleanup_(json_unrefp) struct json *doc = json_of(text);
        struct error e = {0};
        int r = hcs_document_check(kind, doc, 0, &e);
        ck_assert_msg(r == 0, "%s: %s", text, e.text);
}

/* Refused with this code; the text starts with the path. */
static inline void fails(
        enum hcs_document kind, const char *text, uint32_t hresult, const char *path) {
        _cleanup_(json_unrefp) struct json *doc = json_of(text);
        struct error e = {0};
        int r = hcs_document_check(kind, doc, 0, &e);
        ck_assert_msg(r == -EBADMSG || r == -EINVAL, "accepted: %s", text);
        ck_assert_msg(e.hresult == hresult, "%s: 0x%08X: %s", text, e.hresult, e.text);
        size_t n = strlen(path);
        ck_assert_msg(strncmp(e.text, path, n) == 0 && e.text[n] == ':', "%s: %s", text, e.text);
}

#define VM(inside)     "{'SchemaVersion':{'Major':2,'Minor':1},'VirtualMachine':{" inside "}}"
#define DEVICE(inside) VM("'Devices':{" inside "}")
#define BOOT                                                                                       \
        "'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'/k'}},"                                 \
        "'ComputeTopology':{'Memory':{'SizeInMB':2048}}"
