// SPDX-License-Identifier: MIT
/* For tests over tests/corpora: files below the source root, and index.json. */
#pragma once
#include <fcntl.h>
#include <stdio.h>
#include "base/fd.h"
#include "json/json.h"
#include "../unit/test.h"

static inline char *corpus_read(const char *path_in_tree, size_t *ret_n) {
        const char *source = getenv("SANDBAR_SOURCE_ROOT");
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", source ? source : ".", path_in_tree);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        char *data = NULL;
        assert_ok(fd_read_file(fd, 4 << 20, &data, ret_n));
        return data;
}

static inline struct json *corpus_json(const char *path_in_tree) {
        size_t n;
        _cleanup_free_ char *text = corpus_read(path_in_tree, &n);
        struct error e = {0};
        struct json *doc = NULL;
        int r = json_parse(text, n, &json_limits_client, &e, &doc);
        ck_assert_msg(r == 0, "%s: %s", path_in_tree, e.text);
        return doc;
}
