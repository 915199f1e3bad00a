// SPDX-License-Identifier: MIT
#include "sandboxctl/boot.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootimage/bootimage.h"

enum { ENTRIES_MAX = 64 };

/* What the guest's kernel needs to talk to us; the rest comes with them. */
static const char *const guest_modules[] = {"hv_vmbus", "hv_sock", "hv_utils", NULL};

static const struct bootimage_entry guest_tree[] = {
        {.path = "dev", .mode = S_IFDIR | 0755},
        {.path = "dev/console", .mode = S_IFCHR | 0600, .major = 5, .minor = 1},
        {.path = "dev/null", .mode = S_IFCHR | 0666, .major = 1, .minor = 3},
        {.path = "proc", .mode = S_IFDIR | 0555},
        {.path = "sys", .mode = S_IFDIR | 0555},
        {.path = "run", .mode = S_IFDIR | 0755},
        {.path = "tmp", .mode = S_IFDIR | 01777},
        {.path = "root", .mode = S_IFDIR | 0700},
        {.path = "sbin/poweroff", .mode = S_IFLNK | 0777, .source = "/init"},
        {.path = "sbin/reboot", .mode = S_IFLNK | 0777, .source = "/init"},
        {.path = "etc/passwd", .mode = S_IFREG | 0644, .text = "root:x:0:0:root:/root:/bin/sh\n"},
        {.path = "etc/group", .mode = S_IFREG | 0644, .text = "root:x:0:\n"},
        {.path = "etc/hostname", .mode = S_IFREG | 0644, .text = "sandbox\n"},
        {.path = "etc/profile", .mode = S_IFREG | 0644, .text = "export PS1='sandbox:\\w# '\n"},
};

/* A program that is installed with us: beside this one, or in libexecdir. */
static int find_program(const char *name, struct error *e, char ret[PATH_MAX]) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n > 0) {
                self[n] = 0;
                char *slash = strrchr(self, '/');
                if (slash) {
                        *slash = 0;
                        if (snprintf(ret, PATH_MAX, "%s/%s", self, name) < PATH_MAX &&
                                access(ret, R_OK) == 0)
                                return 0;
                }
        }
        snprintf(ret, PATH_MAX, "/usr/libexec/sandbar/%s", name);
        if (access(ret, R_OK) == 0)
                return 0;
        return error_set(
                e, -ENOENT, 0, "%s is neither beside sandboxctl nor in /usr/libexec/sandbar", name);
}

/* busybox must run alone in the guest: the static one. */
static int find_busybox(struct error *e, char ret[PATH_MAX]) {
        static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox"};
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                if (access(places[i], X_OK) == 0) {
                        snprintf(ret, PATH_MAX, "%s", places[i]);
                        return 0;
                }
        }
        return error_set(
                e, -ENOENT, 0, "there is no busybox for the guest; install busybox-static");
}

static int add_applet(struct bootimage_archive *archive, const char *path, struct error *e) {
        static const char *const ours[] = {
                "sbin/poweroff", "sbin/reboot", "sbin/init", "bin/busybox"};
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                if (strcmp(path, ours[i]) == 0)
                        return 0;
        return bootimage_add(archive,
                &(struct bootimage_entry){
                        .path = path, .mode = S_IFLNK | 0777, .source = "/bin/busybox"},
                e);
}

/* Busybox tells the full paths of its applets, one per line. */
static int add_applets(struct bootimage_archive *archive, void *ctx, struct error *e) {
        const char *busybox = ctx;
        char command[PATH_MAX + 16];
        snprintf(command, sizeof command, "%s --list-full", busybox);
        FILE *f = popen(command, "re");
        if (!f)
                return error_set(e, -errno, 0, "%s: %s", busybox, strerror(errno));
        _cleanup_free_ char *line = NULL;
        size_t capacity = 0, n = 0;
        int r = 0;
        for (ssize_t size; r == 0 && (size = getline(&line, &capacity, f)) > 1; n++) {
                line[size - 1] = 0;
                r = add_applet(archive, line, e);
        }
        if ((pclose(f) != 0 || n == 0) && r == 0)
                r = error_set(e, -EIO, 0, "%s --list-full failed", busybox);
        return r;
}

static int make_initrd(
        const struct boot_files *files, const char *cache, struct error *e, char **ret) {
        char agent[PATH_MAX], busybox[PATH_MAX];
        int r = find_program("cexecsvc", e, agent);
        if (r == 0)
                r = find_busybox(e, busybox);
        if (r < 0)
                return r;
        struct bootimage_entry entries[ENTRIES_MAX];
        static_assert(ARRAY_SIZE(guest_tree) + 2 <= ENTRIES_MAX, "room for all");
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_SIZE(guest_tree); i++)
                entries[n++] = guest_tree[i];
        entries[n++] =
                (struct bootimage_entry){.path = "init", .mode = S_IFREG | 0755, .source = agent};
        entries[n++] = (struct bootimage_entry){
                .path = "bin/busybox", .mode = S_IFREG | 0755, .source = busybox};
        struct bootimage_initramfs spec = {.entries = entries,
                .n_entries = n,
                .module_root = "",
                .kernel_version = files->version,
                .modules = guest_modules,
                .module_list = "etc/sandbar/modules",
                .more = add_applets,
                .more_ctx = busybox};
        r = bootimage_cached_initramfs(&spec, cache, e, ret);
        return r < 0 ? error_prefix(e, r, "making the guest's initramfs") : 0;
}

int boot_cache_dir(struct error *e, char **ret) {
        return bootimage_cache_dir(getenv("XDG_CACHE_HOME"), getenv("HOME"), e, ret);
}

int boot_files_find(const char *kernel, struct error *e, struct boot_files *ret) {
        _cleanup_(boot_files_done) struct boot_files files = {0};
        _cleanup_free_ char *cache = NULL;
        int r = boot_cache_dir(e, &cache);
        if (r < 0)
                return r;
        if (kernel) {
                files.kernel = realpath(kernel, NULL);
                if (!files.kernel)
                        return error_set(e, -errno, 0, "--kernel %s: %s", kernel, strerror(errno));
                r = bootimage_kernel_version(files.kernel, e, &files.version);
        } else {
                r = bootimage_newest_kernel("", e, &files.kernel, &files.version);
        }
        if (r == 0)
                r = make_initrd(&files, cache, e, &files.initrd);
        if (r < 0)
                return r;
        *ret = files;
        files = (struct boot_files){0};
        return 0;
}

void boot_files_done(struct boot_files *files) {
        free(files->kernel);
        free(files->version);
        free(files->initrd);
        *files = (struct boot_files){0};
}
