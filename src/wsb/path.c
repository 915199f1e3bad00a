// SPDX-License-Identifier: MIT
#include "wsb/path.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/fault.h"

static bool is_slash(char c) {
        return c == '/' || c == '\\';
}

bool wsb_path_is_windows(const char *path) {
        char drive = path[0] | 0x20;
        return drive >= 'a' && drive <= 'z' && path[1] == ':' && is_slash(path[2]);
}

bool wsb_path_is_share(const char *path) {
        return is_slash(path[0]) && is_slash(path[1]);
}

bool wsb_path_is_absolute(const char *path) {
        return wsb_path_is_windows(path) || (path[0] == '/' && !wsb_path_is_share(path));
}

int wsb_path_normalise(const char *path, char **ret) {
        if (!wsb_path_is_absolute(path))
                return -EINVAL;
        bool windows = wsb_path_is_windows(path);
        const char *separators = windows ? "/\\" : "/";
        size_t root = windows ? 2 : 0, size = root; /* "C:" stays, what follows is built anew */
        _cleanup_free_ char *out = fault_hit(FAULT_ALLOC) ? NULL : malloc(strlen(path) + 1);
        if (!out)
                return -ENOMEM;
        memcpy(out, path, root);
        for (const char *s = path + root; *s;) {
                s += strspn(s, separators);
                size_t n = strcspn(s, separators);
                if (n == 2 && s[0] == '.' && s[1] == '.') {
                        if (size == root)
                                return -EINVAL;
                        while (!is_slash(out[--size]))
                                ;
                } else if (n > 0 && !(n == 1 && s[0] == '.')) {
                        out[size++] = windows ? '\\' : '/';
                        memcpy(out + size, s, n);
                        size += n;
                }
                s += n;
        }
        if (size == root)
                return -EINVAL;
        out[size] = 0;
        *ret = TAKE_PTR(out);
        return 0;
}

int wsb_path_default_target(const char *host_folder, char **ret) {
        bool windows = wsb_path_is_windows(host_folder) ||
                       (host_folder[0] != '/' && strchr(host_folder, '\\'));
        const char *end = host_folder + strlen(host_folder);
        while (end > host_folder && (windows ? is_slash(end[-1]) : end[-1] == '/'))
                end--;
        const char *name = end;
        while (name > host_folder && !(windows ? is_slash(name[-1]) : name[-1] == '/'))
                name--;
        size_t n = (size_t)(end - name);
        if (n == 0 || strspn(name, ".") >= n || (windows && name[n - 1] == ':'))
                return -EINVAL;
        char *out = NULL;
        const char *parent = windows ? "C:\\Users\\WDAGUtilityAccount\\Desktop\\" : "/mnt/";
        if (fault_hit(FAULT_ALLOC) || asprintf(&out, "%s%.*s", parent, (int)n, name) < 0)
                return -ENOMEM;
        *ret = out;
        return 0;
}

bool wsb_path_same(const char *a, const char *b) {
        return wsb_path_is_windows(a) ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}
