// SPDX-License-Identifier: MIT
/* Every sample of tests/corpora/wsb, against what its index says of it. */
#include "corpus.h"
#include "wsb/wsb.h"

struct sample {
        const struct json *index;
        const char *file;
        struct wsb_error error;
        struct wsb_notes notes;
        struct wsb_settings *settings;
        int result;
};

static void sample_done(struct sample *s) {
        wsb_notes_done(&s->notes);
        wsb_settings_free(s->settings);
}

static void parse_sample(const struct json *index, struct sample *ret) {
        *ret = (struct sample){.index = index, .file = json_get_string(index, "file", NULL)};
        ck_assert_ptr_nonnull(ret->file);
        char path[256];
        snprintf(path, sizeof path, "tests/corpora/wsb/%s", ret->file);
        size_t n;
        _cleanup_free_ char *data = corpus_read(path, &n);
        ret->result = wsb_parse(data, n, NULL, &ret->error, &ret->notes, &ret->settings);
}

static void accepts(const struct sample *s) {
        ck_assert_msg(s->result == 0, "%s: %u:%u %s: %s", s->file, s->error.line, s->error.column,
                s->error.path, s->error.message);
        _cleanup_(json_unrefp) struct json *got = NULL;
        assert_ok(wsb_settings_to_json(s->settings, &got));
        _cleanup_free_ char *got_text = NULL, *expected_text = NULL;
        size_t n;
        assert_ok(json_format(got, &got_text, &n));
        assert_ok(json_format(json_get(s->index, "expect"), &expected_text, &n));
        ck_assert_msg(strcmp(got_text, expected_text) == 0, "%s: %s\ninstead of %s", s->file,
                got_text, expected_text);
        const struct json *warnings = json_get(s->index, "warnings");
        ck_assert_msg(s->notes.n == json_length(warnings), "%s: %zu notes", s->file, s->notes.n);
        for (size_t i = 0; i < s->notes.n; i++) {
                const char *text;
                assert_ok(json_string(json_at(warnings, i), &text, &n));
                ck_assert_msg(strcmp(s->notes.items[i].text, text) == 0, "%s: '%s' instead of '%s'",
                        s->file, s->notes.items[i].text, text);
                ck_assert_uint_gt(s->notes.items[i].line, 0);
        }
}

/* "WC_E_SYNTAX 0xC00CEE2D"; one entry names the family only. */
static void has_xmllite_code(const struct sample *s) {
        const char *expected = json_get_string(s->index, "xmllite_code", NULL);
        if (!expected) {
                ck_assert_msg(s->error.xmllite == 0, "%s: %08X", s->file, s->error.xmllite);
        } else if (strstr(expected, "WC_E_*")) {
                ck_assert_uint_eq(s->error.xmllite & 0xffffffe0, 0xc00cee20);
        } else {
                char code[16];
                snprintf(code, sizeof code, "0x%08X", s->error.xmllite);
                ck_assert_msg(strstr(expected, code), "%s: %s instead of %s (%s)", s->file, code,
                        expected, s->error.message);
        }
}

static void refuses(const struct sample *s) {
        ck_assert_msg(s->result == -EINVAL, "%s: %d", s->file, s->result);
        ck_assert_ptr_null(s->settings);
        const char *class = json_get_string(s->index, "error_class", "");
        ck_assert_msg(strcmp(wsb_class_name(s->error.class), class) == 0, "%s: %s instead of %s",
                s->file, wsb_class_name(s->error.class), class);
        unsigned long hresult =
                strtoul(json_get_string(s->index, "expected_hresult", "0"), NULL, 16);
        ck_assert_msg(s->error.hresult == hresult, "%s: %08X", s->file, s->error.hresult);
        const char *at = json_get_string(s->index, "at", "");
        ck_assert_msg(strcmp(s->error.path, at) == 0, "%s: at %s instead of %s (%s)", s->file,
                s->error.path, at, s->error.message);
        ck_assert_msg(s->error.line > 0 && s->error.column > 0, "%s: no place", s->file);
        ck_assert_msg(s->error.message[0] && s->error.accepted[0], "%s: says too little", s->file);
        has_xmllite_code(s);
}

START_TEST(every_sample_is_judged_as_its_index_says) {
        _cleanup_(json_unrefp) struct json *index = corpus_json("tests/corpora/wsb/index.json");
        const struct json *samples = json_get(index, "samples");
        size_t valid = 0;
        for (size_t i = 0; i < json_length(samples); i++) {
                struct sample s;
                parse_sample(json_at(samples, i), &s);
                if (json_get_bool(s.index, "valid", false)) {
                        accepts(&s);
                        valid++;
                } else {
                        refuses(&s);
                }
                sample_done(&s);
        }
        ck_assert_uint_ge(valid, 13);
        ck_assert_uint_ge(json_length(samples) - valid, 35);
}
END_TEST

TEST_MAIN("wsb-corpus", every_sample_is_judged_as_its_index_says)
