// SPDX-License-Identifier: MIT
#include "hcs-json/path.h"
#include <stdio.h>
#include <string.h>

struct hcs_path hcs_path_root(void) {
        return (struct hcs_path){.text = "$", .n = 1};
}

static void put(struct hcs_path *path, char c) {
        if (path->n + 1 < sizeof path->text) {
                path->text[path->n] = c;
                path->text[path->n + 1] = 0;
        }
        path->n++;
}

size_t hcs_path_push(struct hcs_path *path, const char *member) {
        size_t mark = path->n;
        put(path, '.');
        for (const char *s = member; *s; s++)
                put(path, (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
        return mark;
}

size_t hcs_path_push_index(struct hcs_path *path, size_t i) {
        size_t mark = path->n;
        char text[32];
        snprintf(text, sizeof text, "[%zu]", i);
        for (const char *s = text; *s; s++)
                put(path, *s);
        return mark;
}

void hcs_path_pop(struct hcs_path *path, size_t mark) {
        path->n = mark;
        if (mark < sizeof path->text)
                path->text[mark] = 0;
}

/* Goes on with a value that has matched one component, whose path is pushed. */
static int descend(
        struct hcs_visitor *v, const struct json *value, const char *key, const char *rest) {
        if (!value)
                return 0;
        return *rest ? hcs_visit(v, value, rest) : v->visit(v, value, key);
}

static int visit_each(struct hcs_visitor *v, const struct json *from, const char *rest) {
        int r = 0;
        if (json_type(from) == JSON_ARRAY) {
                for (size_t i = 0; i < json_length(from) && r >= 0; i++) {
                        size_t mark = hcs_path_push_index(&v->path, i);
                        r = descend(v, json_at(from, i), "", rest);
                        hcs_path_pop(&v->path, mark);
                }
                return r;
        }
        struct json_iter it = json_iter(from);
        while (r >= 0 && json_next(&it)) {
                size_t mark = hcs_path_push(&v->path, it.key);
                r = descend(v, it.value, it.key, rest);
                hcs_path_pop(&v->path, mark);
        }
        return r;
}

int hcs_visit(struct hcs_visitor *v, const struct json *from, const char *pattern) {
        size_t n = strcspn(pattern, "/");
        const char *rest = pattern + n + (pattern[n] == '/');
        if (n == 1 && pattern[0] == '#')
                return visit_each(v, from, rest);
        char member[64];
        snprintf(member, sizeof member, "%.*s", (int)n, pattern);
        size_t mark = hcs_path_push(&v->path, member);
        int r = descend(v, json_get(from, member), member, rest);
        hcs_path_pop(&v->path, mark);
        return r;
}
