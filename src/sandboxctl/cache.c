// SPDX-License-Identifier: MIT
/* `sandboxctl cache`: the files that a first start makes and later ones find. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "bootimage/bootimage.h"
#include "sandboxctl/boot.h"
#include "sandboxctl/command.h"

static int cache_fill(struct error *e) {
        _cleanup_(boot_files_done) struct boot_files files = {0};
        _cleanup_free_ char *cache = NULL;
        int r = boot_files_find(NULL, e, &files);
        if (r == 0)
                r = boot_cache_dir(e, &cache);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int kernel_fd = open(files.kernel, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int elf_fd = -1;
        if (dir_fd < 0 || kernel_fd < 0)
                return error_set(
                        e, -errno, 0, "%s: %s", dir_fd < 0 ? cache : files.kernel, strerror(errno));
        r = bootimage_open_kernel(kernel_fd, dir_fd, e, &elf_fd);
        return r < 0 ? error_prefix(e, r, "%s", files.kernel) : 0;
}

/* Only what we name ourselves is removed. */
static int cache_clear(struct error *e) {
        _cleanup_free_ char *cache = NULL;
        int r = boot_cache_dir(e, &cache);
        if (r < 0)
                return r;
        DIR *dir = opendir(cache);
        if (!dir)
                return error_set(e, -errno, 0, "%s: %s", cache, strerror(errno));
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (strncmp(entry->d_name, "kernel-", 7) != 0 &&
                        strncmp(entry->d_name, "initramfs-", 10) != 0 &&
                        strncmp(entry->d_name, "tmp-", 4) != 0)
                        continue;
                if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT)
                        r = error_set(
                                e, -errno, 0, "%s/%s: %s", cache, entry->d_name, strerror(errno));
        }
        closedir(dir);
        return r;
}

int command_cache(int argc, char **argv) {
        struct error e = {0};
        if (argc != 2)
                return command_usage("cache", EXIT_USAGE, "one of fill and clear is needed");
        int r;
        if (strcmp(argv[1], "fill") == 0)
                r = cache_fill(&e);
        else if (strcmp(argv[1], "clear") == 0)
                r = cache_clear(&e);
        else
                return command_usage("cache", EXIT_USAGE, "%s is neither fill nor clear", argv[1]);
        if (r < 0)
                command_failed(&e);
        return r < 0 ? 1 : 0;
}
