// SPDX-License-Identifier: MIT
#include "base/program.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int try(const char *dir, const char *name, char **ret) {
        char *path;
        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        if (access(path, X_OK) < 0) {
                free(path);
                return -ENOENT;
        }
        *ret = path;
        return 0;
}

int program_find(const char *name, struct error *e, char **ret) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        int r = -ENOENT;
        if (n > 0) {
                self[n] = 0;
                char *slash = strrchr(self, '/');
                if (slash) {
                        *slash = 0;
                        r = try(self, name, ret);
                }
        }
        if (r < 0)
                r = try(SANDBAR_LIBEXECDIR, name, ret);
        return r < 0 ? error_set(e, r, 0,
                               "%s is neither beside the running program nor in %s; install it "
                               "there",
                               name, SANDBAR_LIBEXECDIR)
                     : 0;
}
