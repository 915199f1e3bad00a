// SPDX-License-Identifier: MIT
#include "wsb/xml.h"
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/fault.h"
#include "wire/hresult.h"
#include "wsb/error.h"

struct builder {
        xmlParserCtxt *ctxt;
        const struct wsb_text *source;
        struct wsb_error *error;
        struct wsb_element *root, *open; /* open: where the parser is */
        unsigned depth, elements;
        struct { /* the place of the latest start tag, to count on from */
                size_t offset;
                unsigned line, column;
        } cursor;
        int result; /* the first failure; parsing stops there */
};

/* ── The tree ──────────────────────────────────────────────────────────────────────────────── */

struct wsb_element *wsb_xml_free(struct wsb_element *root) {
        struct wsb_element *e = root;
        /* Bottom-up and without recursion: the child list is eaten from its head. */
        while (e) {
                if (e->children) {
                        struct wsb_element *child = e->children;
                        e->children = child->next;
                        child->next = NULL;
                        e = child;
                        continue;
                }
                struct wsb_element *parent = e == root ? NULL : e->parent;
                free(e->name);
                free(e->text);
                free(e->attribute);
                free(e);
                e = parent;
        }
        return NULL;
}

/* The how-manieth of its name among its siblings, from 1. */
static unsigned ordinal(const struct wsb_element *element) {
        unsigned n = 1;
        if (element->parent)
                for (const struct wsb_element *e = element->parent->children; e != element;
                        e = e->next)
                        n += strcmp(e->name, element->name) == 0;
        return n;
}

void wsb_xml_path(const struct wsb_element *element, char *buf, size_t size) {
        const struct wsb_element *chain[WSB_DEPTH_MAX];
        size_t n = 0, used = 0;
        for (const struct wsb_element *e = element; e && n < ARRAY_SIZE(chain); e = e->parent)
                chain[n++] = e;
        snprintf(buf, size, "/");
        while (n > 0 && used < size) {
                const struct wsb_element *e = chain[--n];
                unsigned nth = ordinal(e);
                int r = nth > 1 ? snprintf(buf + used, size - used, "/%s[%u]", e->name, nth)
                                : snprintf(buf + used, size - used, "/%s", e->name);
                used += r > 0 ? (size_t)r : 0;
        }
}

/* ── Failing ───────────────────────────────────────────────────────────────────────────────── */

static size_t offset_now(const struct builder *b) {
        long n = xmlByteConsumed(b->ctxt);
        return n < 0 ? 0 : (size_t)n < b->source->n ? (size_t)n : b->source->n;
}

static void stop(struct builder *b, int r) {
        b->result = r;
        xmlStopParser(b->ctxt);
}

/* The error to fill, with its place set. */
static struct wsb_error *at(struct builder *b, size_t offset, const struct wsb_element *element) {
        wsb_locate(b->source->utf8, offset, &b->error->line, &b->error->column);
        wsb_xml_path(element, b->error->path, sizeof b->error->path);
        return b->error;
}

static void stop_out_of_memory(struct builder *b) {
        stop(b, wsb_out_of_memory(b->error));
}

/* The XmlLite code nearest to libxml2's. */
static uint32_t xmllite_code(int code) {
        static const struct {
                int code;
                uint32_t xmllite;
        } codes[] = {
                {XML_ERR_DOCUMENT_END, WC_E_SYNTAX},
                {XML_ERR_TAG_NOT_FINISHED, MX_E_INPUTEND},
                {XML_ERR_TAG_NAME_MISMATCH, WC_E_ELEMENTMATCH},
                {XML_ERR_RESERVED_XML_NAME, WC_E_LEADINGXML},
                {XML_ERR_INVALID_CHAR, WC_E_XMLCHARACTER},
                {XML_ERR_INVALID_CHARREF, WC_E_XMLCHARACTER},
                {XML_ERR_NAME_REQUIRED, WC_E_NAMECHARACTER},
                {XML_ERR_ENTITYREF_SEMICOL_MISSING, WC_E_SEMICOLON},
                {XML_ERR_SPACE_REQUIRED, WC_E_WHITESPACE},
                {XML_ERR_GT_REQUIRED, WC_E_GREATERTHAN},
                {XML_ERR_LT_REQUIRED, WC_E_LESSTHAN},
                {XML_ERR_LTSLASH_REQUIRED, WC_E_LESSTHAN},
                {XML_ERR_LT_IN_ATTRIBUTE, WC_E_LESSTHAN},
                {XML_ERR_EQUAL_REQUIRED, WC_E_EQUAL},
                {XML_ERR_ATTRIBUTE_WITHOUT_VALUE, WC_E_EQUAL},
                {XML_ERR_ATTRIBUTE_NOT_STARTED, WC_E_QUOTE},
                {XML_ERR_STRING_NOT_STARTED, WC_E_QUOTE},
                {XML_ERR_ATTRIBUTE_REDEFINED, WC_E_UNIQUEATTRIBUTE},
                {XML_ERR_XMLDECL_NOT_STARTED, WC_E_XMLDECL},
                {XML_ERR_XMLDECL_NOT_FINISHED, WC_E_XMLDECL},
                {XML_ERR_VERSION_MISSING, WC_E_XMLDECL},
                {XML_ERR_UNKNOWN_VERSION, WC_E_XMLDECL},
                {XML_ERR_ENCODING_NAME, WC_E_XMLDECL},
                {XML_ERR_STANDALONE_VALUE, WC_E_XMLDECL},
        };
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (codes[i].code == code)
                        return codes[i].xmllite;
        return WC_E_SYNTAX;
}

/* For the mistakes that people make by hand. */
static const char *remedy(int code) {
        switch (code) {
        case XML_ERR_NAME_REQUIRED:
        case XML_ERR_ENTITYREF_SEMICOL_MISSING:
        case XML_ERR_UNDECLARED_ENTITY:
                return "&amp; for an ampersand, &lt; for a less-than sign";
        case XML_ERR_TAG_NAME_MISMATCH:
                return "an end tag that is spelt as its start tag";
        case XML_ERR_RESERVED_XML_NAME:
                return "the XML declaration at the very start of the file, or none";
        case XML_ERR_DOCUMENT_END:
                return "one root element and nothing behind it";
        default:
                return "well-formed XML 1.0";
        }
}

/* The undecodable bytes behind the text are what stopped the parser. */
static int refuse_encoding(struct builder *b) {
        return wsb_refuse(at(b, b->source->n, b->open),
                (struct wsb_refusal){.class = WSB_CLASS_XML,
                        .xmllite = MX_E_ENCODING,
                        .accepted = "UTF-8, or UTF-16 with a byte order mark"},
                "bytes that are no character of the file's encoding");
}

static _printf_(2, 3) void on_error(void *userdata, const char *fmt, ...) {
        struct builder *b = userdata;
        (void)fmt;
        if (b->result < 0)
                return;
        int code = b->ctxt->lastError.code;
        if (code == XML_ERR_NO_MEMORY) {
                stop_out_of_memory(b);
                return;
        }
        size_t offset = offset_now(b);
        bool at_end = offset == b->source->n && code != XML_ERR_TAG_NAME_MISMATCH &&
                      code != XML_ERR_DOCUMENT_END;
        if (at_end && b->source->broken) {
                stop(b, refuse_encoding(b));
                return;
        }
        char message[256];
        snprintf(message, sizeof message, "%s", b->ctxt->lastError.message ?: "not well-formed");
        message[strcspn(message, "\n")] = 0;
        /* Text where the root should be is the one case that libxml2 calls the end. */
        bool no_root = code == XML_ERR_DOCUMENT_EMPTY;
        stop(b, wsb_refuse(at(b, offset, b->open),
                        (struct wsb_refusal){.class = WSB_CLASS_XML,
                                .xmllite = at_end && !no_root ? MX_E_INPUTEND : xmllite_code(code),
                                .accepted = no_root  ? "<Configuration> as the root element"
                                            : at_end ? "the end tags that are missing"
                                                     : remedy(code)},
                        "the XML is not well-formed: %s", message));
}

/* ── SAX ───────────────────────────────────────────────────────────────────────────────────── */

static void on_doctype(
        void *userdata, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
        struct builder *b = userdata;
        (void)name;
        (void)external;
        (void)system;
        if (b->result < 0)
                return;
        stop(b, wsb_refuse(at(b, offset_now(b), b->open),
                        (struct wsb_refusal){.class = WSB_CLASS_XML,
                                .xmllite = WC_E_DTDPROHIBITED,
                                .accepted = "a file without <!DOCTYPE>"},
                        "a document type declaration is not allowed"));
}

/* The start tag has been read up to its ">"; its "<" is the last one before that. */
static size_t start_of_tag(const struct builder *b) {
        size_t offset = offset_now(b);
        const char *lt = memrchr(b->source->utf8, '<', offset);
        return lt ? (size_t)(lt - b->source->utf8) : offset;
}

/* False when the parser was stopped. */
static bool within_limits(struct builder *b, size_t offset) {
        if (b->depth == WSB_DEPTH_MAX) {
                /* the root is what is too deep */
                stop(b, wsb_refuse(at(b, offset, b->root),
                                (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                        .accepted = "at most 16 elements within each other"},
                                "the elements are nested too deeply"));
                return false;
        }
        if (b->elements == WSB_ELEMENTS_MAX) {
                stop(b, wsb_refuse(at(b, offset, b->open),
                                (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                        .accepted = "at most 4096 elements"},
                                "the file has too many elements"));
                return false;
        }
        return true;
}

/* wsb_locate() for places that come in order: the whole file is counted through once. */
static void advance(struct builder *b, size_t offset) {
        unsigned lines, column;
        wsb_locate(b->source->utf8 + b->cursor.offset, offset - b->cursor.offset, &lines, &column);
        b->cursor.column = lines == 1 ? b->cursor.column + column - 1 : column;
        b->cursor.line += lines - 1;
        b->cursor.offset = offset;
}

static struct wsb_element *new_element(const char *name, size_t prefix_n, const char *prefix) {
        struct wsb_element *e = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *e);
        if (!e)
                return NULL;
        if (asprintf(&e->name, "%.*s%s%s", (int)prefix_n, prefix, prefix_n ? ":" : "", name) < 0) {
                free(e);
                return NULL;
        }
        return e;
}

static void on_start(void *userdata, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
        int n_namespaces, const xmlChar **namespaces, int n_attributes, int n_defaulted,
        const xmlChar **attributes) {
        struct builder *b = userdata;
        (void)n_namespaces; /* xmlns attributes are allowed, elements in a namespace are not */
        (void)namespaces;
        (void)n_defaulted;
        if (b->result < 0)
                return;
        size_t offset = start_of_tag(b);
        if (!within_limits(b, offset))
                return;
        const char *p = prefix ? (const char *)prefix : "";
        struct wsb_element *e = new_element((const char *)name, strlen(p), p);
        if (!e) {
                stop_out_of_memory(b);
                return;
        }
        advance(b, offset);
        e->line = b->cursor.line;
        e->column = b->cursor.column;
        e->foreign = prefix || (uri && *uri);
        e->parent = b->open;
        if (!b->open)
                b->root = e;
        else if (b->open->last_child)
                b->open->last_child->next = e;
        else
                b->open->children = e;
        if (b->open)
                b->open->last_child = e;
        b->open = e;
        b->depth++;
        b->elements++;
        for (int i = 0; i < n_attributes && !e->attribute;
                i++) { /* name, prefix, uri, value, end */
                const xmlChar *attribute_prefix = attributes[i * 5 + 1];
                if (attribute_prefix && strcmp((const char *)attribute_prefix, "xml") == 0)
                        continue;
                e->attribute = strdup((const char *)attributes[i * 5]);
                if (!e->attribute)
                        stop_out_of_memory(b);
        }
}

static void on_end(void *userdata, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
        struct builder *b = userdata;
        (void)name;
        (void)prefix;
        (void)uri;
        if (b->result < 0)
                return;
        b->open = b->open->parent;
        b->depth--;
}

static void on_text(void *userdata, const xmlChar *text, int n) {
        struct builder *b = userdata;
        if (b->result < 0 || !b->open)
                return;
        struct wsb_element *e = b->open;
        size_t size = e->text_n + (size_t)n;
        if (size > WSB_TEXT_MAX) {
                stop(b, wsb_refuse(at(b, offset_now(b), e),
                                (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                        .accepted = "at most 32768 bytes of text in an element"},
                                "the text is too long"));
                return;
        }
        char *grown = fault_hit(FAULT_ALLOC) ? NULL : realloc(e->text, size + 1);
        if (!grown) {
                stop_out_of_memory(b);
                return;
        }
        memcpy(grown + e->text_n, text, (size_t)n);
        grown[size] = 0;
        e->text = grown;
        e->text_n = size;
}

/* ── The whole ─────────────────────────────────────────────────────────────────────────────── */

static bool is_blank(const struct wsb_text *text) {
        return strspn(text->utf8, " \t\r\n") == text->n;
}

static int run_parser(struct builder *b) {
        xmlSAXHandler sax = {
                .initialized = XML_SAX2_MAGIC,
                .internalSubset = on_doctype,
                .startElementNs = on_start,
                .endElementNs = on_end,
                .characters = on_text,
                .ignorableWhitespace = on_text,
                .error = on_error,
        };
        b->ctxt = xmlCreateMemoryParserCtxt(b->source->utf8, (int)b->source->n);
        if (!b->ctxt)
                return wsb_out_of_memory(b->error);
        xmlCtxtUseOptions(b->ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
        xmlSAXHandler *own = b->ctxt->sax;
        b->ctxt->sax = &sax;
        b->ctxt->userData = b;
        xmlParseDocument(b->ctxt);
        bool well_formed = b->ctxt->wellFormed;
        b->ctxt->sax = own;
        if (b->ctxt->myDoc)
                xmlFreeDoc(b->ctxt->myDoc);
        xmlFreeParserCtxt(b->ctxt);
        if (b->result == 0 && !well_formed)
                return wsb_refuse(b->error,
                        (struct wsb_refusal){.class = WSB_CLASS_XML, .xmllite = WC_E_SYNTAX},
                        "the XML is not well-formed");
        return b->result;
}

int wsb_xml_parse(const struct wsb_text *text, struct wsb_error *we, struct wsb_element **ret) {
        struct builder b = {.source = text, .error = we, .cursor = {.line = 1, .column = 1}};
        if (is_blank(text) && !text->broken) {
                return wsb_refuse(at(&b, text->n, NULL),
                        (struct wsb_refusal){.class = WSB_CLASS_XML,
                                .xmllite = MX_E_INPUTEND,
                                .accepted = "<Configuration> as the root element"},
                        "the file is empty");
        }
        int r = is_blank(text) ? 0 : run_parser(&b);
        if (r == 0 && text->broken) {
                r = refuse_encoding(&b);
        }
        if (r < 0) {
                wsb_xml_free(b.root);
                return r;
        }
        *ret = b.root;
        return 0;
}
