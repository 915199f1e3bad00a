// SPDX-License-Identifier: MIT
/* Parses text in tests, keeping everything that can come out. */
#pragma once
#include "../test.h"
#include "wsb/wsb.h"

struct parsed {
        int result;
        struct wsb_error error;
        struct wsb_notes notes;
        struct wsb_settings *settings;
};

static inline struct parsed parse_n(const void *data, size_t n, const struct wsb_options *options) {
        struct parsed p = {0};
        p.result = wsb_parse(data, n, options, &p.error, &p.notes, &p.settings);
        /* Either settings or an error, never both. */
        ck_assert_int_eq(p.result == 0, p.settings != NULL);
        ck_assert_int_eq(p.result == 0, p.error.hresult == 0);
        return p;
}

static inline void parsed_done(struct parsed *p) {
        wsb_notes_done(&p->notes);
        p->settings = wsb_settings_free(p->settings);
}

static inline struct parsed accept(const char *text) {
        struct parsed p = parse_n(text, strlen(text), NULL);
        ck_assert_msg(p.result == 0, "%s: %s: %s", text, p.error.path, p.error.message);
        return p;
}

/* Refused at a place of the tree, saying `message`. */
static inline struct wsb_error refuse(const char *text, const char *path, const char *message) {
        struct parsed p = parse_n(text, strlen(text), NULL);
        ck_assert_msg(p.result == -EINVAL, "accepted: %s", text);
        ck_assert_str_eq(p.error.path, path);
        ck_assert_msg(
                strstr(p.error.message, message), "'%s' instead of '%s'", p.error.message, message);
        ck_assert_msg(p.error.accepted[0], "no remedy: %s", text);
        ck_assert_uint_gt(p.error.line, 0);
        struct wsb_error e = p.error;
        parsed_done(&p);
        return e;
}

#define CONFIG(inside) "<Configuration>" inside "</Configuration>"
#define FOLDER(inside)                                                                             \
        CONFIG("<MappedFolders><MappedFolder>" inside "</MappedFolder></MappedFolders>")
#define COMMAND(text) CONFIG("<LogonCommand><Command>" text "</Command></LogonCommand>")
