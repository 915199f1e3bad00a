// SPDX-License-Identifier: MIT
// covers: src/json/parse.c
/* JSON text: it is refused with a line, or what is printed of it parses to the same text again. */
#include <stdlib.h>
#include <string.h>
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), in every build. */
static void must(bool holds) {
        if (!holds)
                abort();
}

static char *print(const struct json *value) {
        char *text = NULL;
        size_t n;
        int r = json_format(value, &text, &n);
        must(r == 0 && strlen(text) == n);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct error e = {0};
        struct json *value = NULL, *again = NULL;
        int r = json_parse((const char *)data, size, &json_limits_guest, &e, &value);
        must((r == 0) == (e.hresult == 0));
        if (r < 0)
                return 0;
        char *text = print(value);
        /* The text may be longer than what was read: escapes. */
        r = json_parse(text, strlen(text), &json_limits_client, &e, &again);
        must(r == 0);
        char *same = print(again);
        must(strcmp(text, same) == 0);
        free(text);
        free(same);
        json_unref(value);
        json_unref(again);
        return 0;
}
