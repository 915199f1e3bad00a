// SPDX-License-Identifier: MIT
#include "hcs-test.h"
#include "wire/hresult.h"

static struct error read_error(enum hcs_document kind, const char *text) {
        struct error e = {0};
        struct json *sentinel = json_new_null(), *doc = sentinel;
        int r = hcs_document_read(kind, text, strlen(text), 0, &e, &doc);
        ck_assert_msg(r < 0, "%s", text);
        ck_assert_ptr_eq(doc, sentinel);
        return e;
}

START_TEST(every_kind_has_its_type) {
        for (int kind = 0; kind < HCS_DOCUMENTS_; kind++) {
                struct error e = read_error((enum hcs_document)kind, "{\"No Such Member\":1}");
                ck_assert_msg(strstr(e.text, "$.No Such Member: "), "%d: %s", kind, e.text);
        }
}
END_TEST

START_TEST(broken_json_names_line_and_column) {
        struct error e = read_error(HCS_DOC_CREATE, "{\n x");
        ck_assert_uint_eq(e.hresult, HCS_E_INVALID_JSON);
        ck_assert_str_eq(e.text, "$: line 2, column 2: a string was expected");
        e = read_error(HCS_DOC_HCN_NETWORK, "{");
        ck_assert_uint_eq(e.hresult, HCN_E_INVALID_JSON);
        e = read_error(HCS_DOC_CREATE, "");
        ck_assert_uint_eq(e.hresult, HCS_E_INVALID_JSON);
}
END_TEST

START_TEST(gives_the_document_that_passed) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *doc = NULL;
        static const char text[] = "{\"Signal\":9}";
        assert_ok(hcs_document_read(HCS_DOC_SIGNAL, text, sizeof text - 1, 0, &e, &doc));
        ck_assert_int_eq(json_get_i64(doc, "Signal", 0), 9);
}
END_TEST

TEST_MAIN("hcs-document", every_kind_has_its_type, broken_json_names_line_and_column,
        gives_the_document_that_passed)
