// SPDX-License-Identifier: MIT
// covers: src/wsb/parse.c
/* A .wsb file: it is refused with a place, or its settings make a document that HCS accepts. */
#include <stdlib.h>
#include <string.h>
#include "hcs-json/hcs.h"
#include "wsb/wsb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), in every build. */
static void must(bool holds) {
        if (!holds)
                abort();
}

static const char *variable(void *userdata, const char *name) {
        (void)userdata;
        return name[0] % 2 ? "/x" : NULL;
}

static void use(struct wsb_settings *settings, struct wsb_notes *notes) {
        static const struct wsb_machine machine = {
                .kernel = "/k", .initrd = "/i", .cmdline = "c", .vps = 1, .memory_mib = 2048};
        static const struct wsb_host host = {
                .directory = "/nowhere", .memory_mib = 1, .variable = variable};
        struct json *doc = NULL, *printed = NULL;
        struct error e = {0};
        int r = wsb_to_hcs(settings, &machine, notes, &doc);
        must(r == 0);
        r = hcs_document_check(HCS_DOC_CREATE, doc, 0, &e);
        must(r == 0);
        json_unref(doc);
        r = wsb_settings_to_json(settings, &printed);
        must(r == 0);
        json_unref(printed);
        r = wsb_check_host(settings, &host, notes);
        must(r >= 0);
        wsb_apply_policy(settings, ~0u);
        must(settings->n_folders == 0);
}

static void judge(const uint8_t *data, size_t size, const struct wsb_options *options) {
        struct wsb_error we = {0};
        struct wsb_notes notes = {0};
        struct wsb_settings *settings = NULL;
        int r = wsb_parse(data, size, options, &we, &notes, &settings);
        must((r == 0) == (settings != NULL));
        must((r == 0) == (we.hresult == 0));
        must(r == 0 || (we.path[0] == '/' && we.message[0]));
        if (settings)
                use(settings, &notes);
        wsb_notes_done(&notes);
        wsb_settings_free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const struct wsb_options lenient = {.compat = true, .allow_relative = true};
        judge(data, size, NULL);
        judge(data, size, &lenient);
        return 0;
}
