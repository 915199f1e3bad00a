// SPDX-License-Identifier: MIT
/* The corpora and schemas in the tree are copies of shared reference data. Where that stands beside
 * the tree, they must be the same; a clone of its own has nothing to compare with. */
#include <stdio.h>
#include <unistd.h>
#include "corpus.h"

static bool is_there(const char *path_in_tree) {
        const char *source = getenv("SANDBAR_SOURCE_ROOT");
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", source ? source : ".", path_in_tree);
        return access(path, F_OK) == 0;
}

static void same_file(const char *a, const char *b) {
        size_t n, m;
        _cleanup_free_ char *x = corpus_read(a, &n), *y = corpus_read(b, &m);
        ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s differs from %s", b, a);
}

/* Every file that the index of a corpus names, and the index. */
static void same_corpus(const char *name) {
        char a[512], b[512];
        snprintf(a, sizeof a, "../shared/corpora/%s/index.json", name);
        snprintf(b, sizeof b, "tests/corpora/%s/index.json", name);
        same_file(a, b);
        _cleanup_(json_unrefp) struct json *index = corpus_json(b);
        const struct json *samples = json_get(index, "samples");
        for (size_t i = 0; i < json_length(samples); i++) {
                const char *file = json_get_string(json_at(samples, i), "file", "");
                snprintf(a, sizeof a, "../shared/corpora/%s/%s", name, file);
                snprintf(b, sizeof b, "tests/corpora/%s/%s", name, file);
                same_file(a, b);
        }
}

START_TEST(copies_are_the_same_as_what_they_are_copied_from) {
        if (!is_there("../shared/corpora")) {
                printf("no ../shared beside the tree: nothing to compare with\n");
                return;
        }
        same_corpus("wsb");
        same_corpus("hcs");
        same_file("../shared/reference/hcs-schema.json", "src/hcs-json/schema/hcs-schema.json");
        same_file("../shared/reference/hcn-schema.json", "src/hcs-json/schema/hcn-schema.json");
}
END_TEST

TEST_MAIN("copies", copies_are_the_same_as_what_they_are_copied_from)
