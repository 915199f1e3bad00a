// SPDX-License-Identifier: MIT
#include "../test.h"
#include "wire/hresult.h"
#include "wsb/xml.h"

static int parse(const char *utf8, struct wsb_error *we, struct wsb_element **ret) {
        _cleanup_free_ char *copy = strdup(utf8);
        struct wsb_text text = {.utf8 = copy, .n = strlen(utf8)};
        *we = (struct wsb_error){0};
        return wsb_xml_parse(&text, we, ret);
}

START_TEST(makes_a_tree_with_places) {
        struct wsb_error we;
        _cleanup_(wsb_xml_freep) struct wsb_element *root = NULL;
        assert_ok(parse("<?xml version='1.0'?>\n<a>\n  <b\n>x<!-- -->y</b><b><c/></b>&lt;</a>\n",
                &we, &root));
        ck_assert_str_eq(root->name, "a");
        ck_assert_uint_eq(root->line, 2);
        ck_assert_uint_eq(root->column, 1);
        ck_assert_str_eq(root->text, "\n  <");
        const struct wsb_element *b = root->children;
        ck_assert_str_eq(b->text, "xy");
        ck_assert_uint_eq(b->line, 3);
        ck_assert_uint_eq(b->column, 3);
        ck_assert_uint_eq(b->next->line, 4);
        ck_assert_uint_eq(b->next->column, 16);
        char path[64];
        wsb_xml_path(b, path, sizeof path);
        ck_assert_str_eq(path, "/a/b");
        wsb_xml_path(b->next->children, path, sizeof path);
        ck_assert_str_eq(path, "/a/b[2]/c");
        wsb_xml_path(b->next->children, path, 6);
        ck_assert_str_eq(path, "/a/b[");
        wsb_xml_path(NULL, path, sizeof path);
        ck_assert_str_eq(path, "/");
}
END_TEST

START_TEST(gives_each_mistake_its_code_and_place) {
        static const struct {
                const char *text;
                uint32_t code;
                const char *path;
        } cases[] = {
                {"", MX_E_INPUTEND, "/"},
                {" \n", MX_E_INPUTEND, "/"},
                {"text", WC_E_SYNTAX, "/"},
                {"<a", MX_E_INPUTEND, "/a"},
                {"<a><b>", MX_E_INPUTEND, "/a/b"},
                {"<a></b>", WC_E_ELEMENTMATCH, "/a"},
                {"<a/><b/>", WC_E_SYNTAX, "/"},
                {"<a b='1' b='2'/>", WC_E_UNIQUEATTRIBUTE, "/"},
                {"<a b/>", WC_E_EQUAL, "/"},
                {"<a b=1/>", WC_E_QUOTE, "/"},
                {"<a b='<'/>", WC_E_LESSTHAN, "/"},
                {"<a b='1'c='2'/>", WC_E_WHITESPACE, "/"},
                {"<a>&b</a>", WC_E_SEMICOLON, "/a"},
                {"<a>&b;</a>", WC_E_SYNTAX, "/a"},
                {"<a>& </a>", WC_E_NAMECHARACTER, "/a"},
                {"<a>&#0;</a>", WC_E_XMLCHARACTER, "/a"},
                {"<a>\x02</a>", WC_E_XMLCHARACTER, "/a"},
                {" <?xml version='1.0'?><a/>", WC_E_LEADINGXML, "/"},
                {"<?xml encoding='utf-8'?><a/>", WC_E_XMLDECL, "/"},
                {"<!DOCTYPE a><a/>", WC_E_DTDPROHIBITED, "/"},
                {"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", WC_E_DTDPROHIBITED, "/"},
                {"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", WC_E_DTDPROHIBITED, "/"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wsb_error we;
                struct wsb_element *root = NULL;
                int r = parse(cases[i].text, &we, &root);
                ck_assert_msg(r == -EINVAL && !root, "%s", cases[i].text);
                ck_assert_msg(we.xmllite == cases[i].code, "%s: %08X: %s", cases[i].text,
                        we.xmllite, we.message);
                ck_assert_msg(
                        strcmp(we.path, cases[i].path) == 0, "%s: %s", cases[i].text, we.path);
                ck_assert_int_eq(we.class, WSB_CLASS_XML);
                ck_assert(we.line > 0 && we.accepted[0]);
        }
}
END_TEST

static char *repeat(const char *head, const char *unit, unsigned n, const char *tail) {
        char *out = malloc(strlen(head) + strlen(unit) * n + strlen(tail) + 1), *p = out;
        p = stpcpy(p, head);
        for (unsigned i = 0; i < n; i++)
                p = stpcpy(p, unit);
        memcpy(p, tail, strlen(tail) + 1);
        return out;
}

static int parse_consume(char *text_consume, struct wsb_error *we) {
        _cleanup_free_ char *text = text_consume;
        _cleanup_(wsb_xml_freep) struct wsb_element *root = NULL;
        return parse(text, we, &root);
}

START_TEST(keeps_to_its_limits) {
        struct wsb_error we;
        _cleanup_free_ char *close16 = repeat("", "</a>", WSB_DEPTH_MAX, "");
        assert_ok(parse_consume(repeat("", "<a>", WSB_DEPTH_MAX, close16), &we));
        assert_error(parse_consume(repeat("", "<a>", WSB_DEPTH_MAX + 1, close16), &we), -EINVAL);
        ck_assert_int_eq(we.class, WSB_CLASS_STRUCTURE);
        ck_assert_str_eq(we.path, "/a");
        assert_ok(parse_consume(repeat("<a>", "<b/>", WSB_ELEMENTS_MAX - 1, "</a>"), &we));
        assert_error(parse_consume(repeat("<a>", "<b/>", WSB_ELEMENTS_MAX, "</a>"), &we), -EINVAL);
        ck_assert_int_eq(we.class, WSB_CLASS_STRUCTURE);
        assert_ok(parse_consume(repeat("<a>", "x", WSB_TEXT_MAX, "</a>"), &we));
        assert_error(parse_consume(repeat("<a>", "x", WSB_TEXT_MAX + 1, "</a>"), &we), -EINVAL);
        ck_assert_int_eq(we.class, WSB_CLASS_VALUE);
        ck_assert_str_eq(we.path, "/a");
}
END_TEST

START_TEST(remembers_attributes_and_namespaces) {
        struct wsb_error we;
        _cleanup_(wsb_xml_freep) struct wsb_element *root = NULL;
        assert_ok(parse("<a xml:lang='x' xmlns:p='u'><b q='1' r='2'/><p:c/><d xmlns='u'/></a>", &we,
                &root));
        ck_assert_ptr_null(root->attribute);
        const struct wsb_element *b = root->children;
        ck_assert_str_eq(b->attribute, "q");
        ck_assert(!root->foreign && !b->foreign);
        ck_assert(b->next->foreign && b->next->next->foreign);
        ck_assert_str_eq(b->next->name, "p:c");
}
END_TEST

START_TEST(names_the_element_around_undecodable_bytes) {
        struct wsb_error we = {0};
        char utf8[] = "<a><b>x";
        struct wsb_text text = {.utf8 = utf8, .n = strlen(utf8), .broken = true};
        struct wsb_element *root = NULL;
        assert_error(wsb_xml_parse(&text, &we, &root), -EINVAL);
        ck_assert_uint_eq(we.xmllite, MX_E_ENCODING);
        ck_assert_str_eq(we.path, "/a/b");
        ck_assert_uint_eq(we.column, 8);
        /* A mistake in front of them counts first. */
        char wrong[] = "<a></b>";
        text = (struct wsb_text){.utf8 = wrong, .n = strlen(wrong), .broken = true};
        we = (struct wsb_error){0};
        assert_error(wsb_xml_parse(&text, &we, &root), -EINVAL);
        ck_assert_uint_eq(we.xmllite, WC_E_ELEMENTMATCH);
        char blank[] = " ";
        text = (struct wsb_text){.utf8 = blank, .n = 1, .broken = true};
        we = (struct wsb_error){0};
        assert_error(wsb_xml_parse(&text, &we, &root), -EINVAL);
        ck_assert_uint_eq(we.xmllite, MX_E_ENCODING);
}
END_TEST

TEST_MAIN("wsb-xml", makes_a_tree_with_places, gives_each_mistake_its_code_and_place,
        keeps_to_its_limits, remembers_attributes_and_namespaces,
        names_the_element_around_undecodable_bytes)
