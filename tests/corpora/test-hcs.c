// SPDX-License-Identifier: MIT
/* Every sample of tests/corpora/hcs but those of hcs-skips.txt, against what its index says of it.
 */
#include "corpus.h"
#include "hcs-json/hcs.h"

static enum hcs_document document_kind(const char *name) {
        static const struct {
                const char *name;
                enum hcs_document kind;
        } kinds[] = {
                {"create", HCS_DOC_CREATE},
                {"modify", HCS_DOC_MODIFY},
                {"process", HCS_DOC_PROCESS},
                {"process_modify", HCS_DOC_PROCESS_MODIFY},
                {"signal", HCS_DOC_SIGNAL},
                {"shutdown", HCS_DOC_SHUTDOWN},
                {"save", HCS_DOC_SAVE},
                {"crash", HCS_DOC_CRASH},
                {"system_query", HCS_DOC_SYSTEM_QUERY},
                {"service_query", HCS_DOC_SERVICE_QUERY},
                {"hcn_network", HCS_DOC_HCN_NETWORK},
                {"hcn_endpoint", HCS_DOC_HCN_ENDPOINT},
                {"hcn_modify_endpoint", HCS_DOC_HCN_MODIFY_ENDPOINT},
                {"hcn_namespace", HCS_DOC_HCN_NAMESPACE},
        };
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strcmp(kinds[i].name, name) == 0)
                        return kinds[i].kind;
        ck_abort_msg("unknown kind %s", name);
}

static bool is_skipped(const char *skips, const char *file) {
        const char *at = strstr(skips, file);
        size_t n = strlen(file);
        /* Each skip has its reason behind it. */
        return at && (at == skips || at[-1] == '\n') && at[n] == ':' && strlen(at + n) > 10;
}

/* "$.a.b: text" is at "$.a.b"; the parser alone knows lines, not members. */
static bool is_at(const char *text, const char *path, bool parse_stage) {
        if (parse_stage)
                return strncmp(text, "$: line ", 8) == 0;
        size_t n = strlen(path);
        return strncmp(text, path, n) == 0 && text[n] == ':';
}

static void judge(const struct json *sample, const char *file) {
        char path[256];
        snprintf(path, sizeof path, "tests/corpora/hcs/%s", file);
        size_t n;
        _cleanup_free_ char *text = corpus_read(path, &n);
        _cleanup_(json_unrefp) struct json *doc = NULL;
        struct error e = {0};
        int r = hcs_document_read(
                document_kind(json_get_string(sample, "kind", "")), text, n, 0, &e, &doc);
        if (json_get_bool(sample, "valid", false)) {
                ck_assert_msg(r == 0, "%s: %s", file, e.text);
                return;
        }
        ck_assert_msg(r == -EBADMSG || r == -EINVAL, "%s: %d", file, r);
        ck_assert_ptr_null(doc);
        unsigned long hresult = strtoul(json_get_string(sample, "expected_hresult", "0"), NULL, 16);
        ck_assert_msg(e.hresult == hresult, "%s: 0x%08X: %s", file, e.hresult, e.text);
        const char *at = json_get_string(sample, "json_path", "");
        bool parse_stage = strcmp(json_get_string(sample, "stage", ""), "parse") == 0;
        ck_assert_msg(is_at(e.text, at, parse_stage), "%s: '%s' is not at %s", file, e.text, at);
}

START_TEST(every_sample_is_judged_as_its_index_says) {
        _cleanup_(json_unrefp) struct json *index = corpus_json("tests/corpora/hcs/index.json");
        size_t n, skipped = 0;
        _cleanup_free_ char *skips = corpus_read("tests/corpora/hcs-skips.txt", &n);
        const struct json *samples = json_get(index, "samples");
        for (size_t i = 0; i < json_length(samples); i++) {
                const struct json *sample = json_at(samples, i);
                const char *file = json_get_string(sample, "file", "");
                if (is_skipped(skips, file))
                        skipped++;
                else
                        judge(sample, file);
        }
        ck_assert_uint_eq(skipped, 3);
        ck_assert_uint_ge(json_length(samples), 90);
}
END_TEST

TEST_MAIN("hcs-corpus", every_sample_is_judged_as_its_index_says)
