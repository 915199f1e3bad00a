// SPDX-License-Identifier: MIT
#include "bootimage/cache.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "bootimage/bootimage.h"

int cache_name(const char *prefix, const void *data, size_t size, char ret[CACHE_NAME_MAX]) {
        /* BLAKE2b rather than SHA-256: as safe, and fast where there are no SHA instructions. */
        uint8_t digest[EVP_MAX_MD_SIZE];
        if (EVP_Digest(data, size, digest, NULL, EVP_blake2b512(), NULL) != 1)
                return -ENOMEM;
        int n = snprintf(ret, CACHE_NAME_MAX, "%s-", prefix);
        for (int i = 0; i < 32; i++)
                n += snprintf(ret + n, CACHE_NAME_MAX - (size_t)n, "%02x", digest[i]);
        return 0;
}

int cache_create(int dir_fd, struct cache_file *ret, struct error *e) {
        uint64_t random;
        struct cache_file file = {.dir_fd = dir_fd};
        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return error_set(e, -EIO, 0, "no random numbers");
        snprintf(file.name, sizeof file.name, "tmp-%016llx", (unsigned long long)random);
        file.fd = openat(dir_fd, file.name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (file.fd < 0)
                return error_set(e, -errno, 0, "creating a file in the cache directory: %s",
                        strerror(errno));
        *ret = file;
        return 0;
}

int cache_publish(struct cache_file *file, const char *name, struct error *e) {
        if (renameat(file->dir_fd, file->name, file->dir_fd, name) < 0)
                return error_set(e, -errno, 0, "naming %s in the cache directory: %s", name,
                        strerror(errno));
        file->name[0] = 0;
        return 0;
}

void cache_file_done(struct cache_file *file) {
        if (file->fd < 0)
                return;
        file->fd = fd_close(file->fd);
        if (file->name[0])
                (void)unlinkat(file->dir_fd, file->name, 0);
}

int bootimage_cache_dir(const char *xdg_cache_home, const char *home, struct error *e, char **ret) {
        char path[4096];
        int n;
        if (xdg_cache_home && xdg_cache_home[0] == '/')
                n = snprintf(path, sizeof path, "%s/sandbar", xdg_cache_home);
        else if (home && home[0] == '/')
                n = snprintf(path, sizeof path, "%s/.cache/sandbar", home);
        else
                return error_set(e, -ENOENT, 0,
                        "no place for the cache: set HOME or XDG_CACHE_HOME to an absolute path");
        if ((size_t)n >= sizeof path)
                return error_set(e, -ENAMETOOLONG, 0, "the cache directory's path is too long");
        for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = 0;
                if (mkdir(path, 0700) < 0 && errno != EEXIST)
                        return error_set(e, -errno, 0, "creating the cache directory %s: %s", path,
                                strerror(errno));
                if (!slash)
                        break;
                *slash = '/';
        }
        *ret = strdup(path);
        return *ret ? 0 : error_set(e, -ENOMEM, 0, "not enough memory");
}
