// SPDX-License-Identifier: MIT
// covers: src/hcs-json/validate.c
/* A letter that names the kind of document ('A' is the first of enum hcs_document) and the
 * document: it is refused with a JSON path, or the decoder of its kind takes it. */
#include <stdlib.h>
#include <string.h>
#include "hcs-json/hcs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), in every build. */
static void must(bool holds) {
        if (!holds)
                abort();
}

static void decode(enum hcs_document kind, const struct json *doc) {
        static const struct hcs_properties properties = {
                .id = "i", .owner = "o", .state = "Running"};
        struct error e = {0};
        struct hcs_system *system = NULL;
        struct hcs_process *process = NULL;
        struct hcs_process_modify modify;
        struct hcs_shutdown shutdown;
        struct json *out = NULL;
        int32_t signal;
        int r = 0;
        if (kind == HCS_DOC_CREATE)
                r = hcs_system_decode(doc, &e, &system, &out);
        else if (kind == HCS_DOC_PROCESS)
                r = hcs_process_decode(doc, &e, &process, &out);
        else if (kind == HCS_DOC_PROCESS_MODIFY)
                r = hcs_process_modify_decode(doc, &e, &modify);
        else if (kind == HCS_DOC_SIGNAL)
                r = hcs_signal_decode(doc, &e, &signal);
        else if (kind == HCS_DOC_SHUTDOWN)
                r = hcs_shutdown_decode(doc, &e, &shutdown);
        else if (kind == HCS_DOC_SYSTEM_QUERY)
                r = hcs_properties_encode(&properties, doc, &e, &out);
        else if (kind == HCS_DOC_ENUMERATE)
                hcs_query_matches(doc, "i", "o");
        must((r == 0) == (e.hresult == 0));
        must(r == 0 || strncmp(e.text, "$", 1) == 0);
        hcs_system_free(system);
        hcs_process_free(process);
        json_unref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        enum hcs_document kind = (enum hcs_document)((data[0] - 'A') & 0xff) % HCS_DOCUMENTS_;
        struct error e = {0};
        struct json *doc = NULL;
        int r = hcs_document_read(kind, (const char *)data + 1, size - 1,
                data[0] & 0x80 ? HCS_ALLOW_UNKNOWN : 0, &e, &doc);
        must((r == 0) == (doc != NULL));
        must(r == 0 || (e.hresult && e.text[0] == '$'));
        if (doc)
                decode(kind, doc);
        json_unref(doc);
        return 0;
}
