// SPDX-License-Identifier: MIT
/* XML text to a small tree, within the limits of the format. libxml2's SAX parser does the reading:
 * no DTD, no entities but the five, no network, no files. */
#pragma once
#include "wsb/decode.h"

struct wsb_element {
        char *name;
        char *text; /* all character data of the element itself, or NULL; NUL behind */
        size_t text_n;
        char *attribute; /* the first one that is not allowed, or NULL */
        bool foreign;    /* in a namespace */
        unsigned line, column;
        struct wsb_element *parent, *children, *last_child, *next;
};

/* -EINVAL with *we filled whole, or -ENOMEM. */
_warn_unused_ int wsb_xml_parse(
        const struct wsb_text *text, struct wsb_error *we, struct wsb_element **ret);
struct wsb_element *wsb_xml_free(struct wsb_element *root);
DEFINE_CLEANUP(struct wsb_element, wsb_xml_free)

/* "/Configuration/LogonCommand/Command[2]": an index from the second of its name on. NULL is "/".
 */
void wsb_xml_path(const struct wsb_element *element, char *buf, size_t size);
