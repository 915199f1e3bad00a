// SPDX-License-Identifier: MIT
#include "bootimage/bootimage.h"
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "bootimage/cache.h"
#include "bootimage/cpio.h"

enum { ENTRIES_MAX = 65536 };

/* The archive while it is written: which directories are in already, and the next inode. */
struct bootimage_archive {
        struct wr *out;
        char **dirs;
        size_t n_dirs;
        uint32_t inode;
};

static void archive_done(struct bootimage_archive *a) {
        for (size_t i = 0; i < a->n_dirs; i++)
                free(a->dirs[i]);
        free(a->dirs);
}

static bool archive_has_dir(const struct bootimage_archive *a, const char *path, size_t n) {
        for (size_t i = 0; i < a->n_dirs; i++)
                if (strlen(a->dirs[i]) == n && memcmp(a->dirs[i], path, n) == 0)
                        return true;
        return false;
}

static int archive_dir(struct bootimage_archive *a, const char *path, size_t n, uint32_t mode) {
        if (archive_has_dir(a, path, n))
                return 0;
        char **dirs = reallocarray(a->dirs, a->n_dirs + 1, sizeof *dirs);
        if (!dirs)
                return -ENOMEM;
        a->dirs = dirs;
        char *name = strndup(path, n);
        if (!name)
                return -ENOMEM;
        a->dirs[a->n_dirs++] = name;
        cpio_add(a->out, ++a->inode, &(struct cpio_entry){.path = name, .mode = mode});
        return 0;
}

static int archive_parents(struct bootimage_archive *a, const char *path) {
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                int r = archive_dir(a, path, (size_t)(slash - path), S_IFDIR | 0755);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_source(const char *path, char **ret, size_t *ret_size, struct error *e) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(e, -errno, 0, "%s: %s", path, strerror(errno));
        int r = fd_read_file(fd, BOOTIMAGE_INITRAMFS_MAX, ret, ret_size);
        if (r < 0)
                return error_set(e, r, 0, "%s: %s", path, strerrordesc_np(-r));
        return 0;
}

int bootimage_add(
        struct bootimage_archive *a, const struct bootimage_entry *entry, struct error *e) {
        int r = archive_parents(a, entry->path);
        if (r < 0)
                return error_set(e, r, 0, "not enough memory");
        if (S_ISDIR(entry->mode)) {
                r = archive_dir(a, entry->path, strlen(entry->path), entry->mode);
                return r < 0 ? error_set(e, r, 0, "not enough memory") : 0;
        }
        _cleanup_free_ char *data = NULL;
        size_t size = 0;
        if (S_ISREG(entry->mode) && entry->source) {
                r = read_source(entry->source, &data, &size, e);
                if (r < 0)
                        return r;
        }
        const char *text = S_ISLNK(entry->mode) ? entry->source : entry->text;
        struct cpio_entry c = {.path = entry->path,
                .mode = entry->mode,
                .major = entry->major,
                .minor = entry->minor,
                .data = data,
                .size = size};
        if (!data && text) {
                c.data = text;
                c.size = strlen(text);
        }
        cpio_add(a->out, ++a->inode, &c);
        return 0;
}

/* Modules in the order in which they must be loaded, by their path on the host. */
struct module_list {
        char **paths;
        size_t n;
};

static void module_list_done(struct module_list *list) {
        for (size_t i = 0; i < list->n; i++)
                free(list->paths[i]);
        free(list->paths);
}

static int module_list_add(struct module_list *list, const char *path) {
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->paths[i], path) == 0)
                        return 0;
        char **paths = reallocarray(list->paths, list->n + 1, sizeof *paths);
        if (!paths)
                return -ENOMEM;
        list->paths = paths;
        list->paths[list->n] = strdup(path);
        return list->paths[list->n++] ? 0 : -ENOMEM;
}

static int module_resolve(
        struct kmod_ctx *kmod, const char *name, struct module_list *list, struct error *e) {
        struct kmod_list *found = NULL, *item, *probe;
        int r = kmod_module_new_from_lookup(kmod, name, &found);
        if (r < 0 || !found)
                return error_set(e, -ENOENT, 0,
                        "the kernel has no module %s; a kernel with Hyper-V guest support is "
                        "needed",
                        name);
        r = 0;
        kmod_list_foreach(item, found) {
                struct kmod_module *module = kmod_module_get_module(item);
                struct kmod_list *deps = kmod_module_get_dependencies(module);
                /* libkmod lists the nearest dependency last; the farthest must be loaded first. */
                kmod_list_foreach(probe, deps) {
                        struct kmod_module *dep = kmod_module_get_module(probe);
                        const char *dep_name = kmod_module_get_name(dep);
                        if (r == 0)
                                r = module_resolve(kmod, dep_name, list, e);
                        kmod_module_unref(dep);
                }
                kmod_module_unref_list(deps);
                const char *path = kmod_module_get_path(module); /* NULL: built in */
                if (r == 0 && path)
                        r = module_list_add(list, path);
                kmod_module_unref(module);
        }
        kmod_module_unref_list(found);
        return r < 0 ? error_set(e, r, 0, "not enough memory") : 0;
}

static int modules_find(
        const struct bootimage_initramfs *spec, struct module_list *list, struct error *e) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s/lib/modules/%s", spec->module_root, spec->kernel_version);
        const char *no_config = NULL;
        struct kmod_ctx *kmod = kmod_new(dir, &no_config);
        if (!kmod)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        int r = 0;
        for (const char *const *name = spec->modules; r == 0 && name && *name; name++)
                r = module_resolve(kmod, *name, list, e);
        kmod_unref(kmod);
        return r;
}

static int archive_modules(
        struct bootimage_archive *a, const struct bootimage_initramfs *spec, struct error *e) {
        _cleanup_(module_list_done) struct module_list list = {0};
        int r = modules_find(spec, &list, e);
        struct wr text = wr_new(1 << 20);
        for (size_t i = 0; r == 0 && i < list.n; i++) {
                const char *path = list.paths[i] + strlen(spec->module_root);
                path += strspn(path, "/");
                r = bootimage_add(a,
                        &(struct bootimage_entry){
                                .path = path, .mode = S_IFREG | 0644, .source = list.paths[i]},
                        e);
                wr_u8(&text, '/');
                wr_bytes(&text, path, strlen(path));
                wr_u8(&text, '\n');
        }
        wr_u8(&text, 0);
        if (r == 0 && wr_error(&text) < 0)
                r = error_set(e, wr_error(&text), 0, "the list of modules is too long");
        if (r == 0)
                r = bootimage_add(a,
                        &(struct bootimage_entry){.path = spec->module_list,
                                .mode = S_IFREG | 0644,
                                .text = (const char *)text.data},
                        e);
        wr_done(&text);
        return r;
}

int bootimage_write_initramfs(
        const struct bootimage_initramfs *spec, struct wr *out, struct error *e) {
        if (spec->n_entries > ENTRIES_MAX)
                return error_set(
                        e, -E2BIG, 0, "more than %d entries for an initramfs", ENTRIES_MAX);
        _cleanup_(archive_done) struct bootimage_archive a = {.out = out};
        for (size_t i = 0; i < spec->n_entries; i++) {
                int r = bootimage_add(&a, &spec->entries[i], e);
                if (r < 0)
                        return r;
        }
        if (spec->more) {
                int r = spec->more(&a, spec->more_ctx, e);
                if (r < 0)
                        return r;
        }
        if (spec->kernel_version) {
                int r = archive_modules(&a, spec, e);
                if (r < 0)
                        return r;
        }
        cpio_end(out);
        int r = wr_error(out);
        return r < 0 ? error_set(e, r, 0, "the initramfs is larger than %d MiB",
                               BOOTIMAGE_INITRAMFS_MAX >> 20)
                     : 0;
}

/* Everything that decides the archive's bytes, without reading the files themselves: their size
 * and times change when their content does. (Not the inode: a file system seen through another
 * machine numbers its own.) */
static void describe_file(struct wr *key, const char *path) {
        struct stat st = {0};
        if (stat(path, &st) < 0)
                st.st_size = -1; /* reported when the archive is written */
        wr_bytes(key, path, strlen(path) + 1);
        wr_le64(key, (uint64_t)st.st_size);
        wr_le64(key, (uint64_t)st.st_mtim.tv_sec);
        wr_le64(key, (uint64_t)st.st_mtim.tv_nsec);
}

static void describe_string(struct wr *key, const char *text) {
        if (text)
                wr_bytes(key, text, strlen(text));
        wr_u8(key, 0);
}

static void describe(const struct bootimage_initramfs *spec, struct wr *key) {
        for (size_t i = 0; i < spec->n_entries; i++) {
                const struct bootimage_entry *entry = &spec->entries[i];
                describe_string(key, entry->path);
                wr_le32(key, entry->mode);
                wr_le32(key, entry->major);
                wr_le32(key, entry->minor);
                describe_string(key, entry->text);
                if (S_ISREG(entry->mode) && entry->source)
                        describe_file(key, entry->source);
                else
                        describe_string(key, entry->source);
        }
        if (!spec->kernel_version)
                return;
        char path[4096];
        snprintf(path, sizeof path, "%s/lib/modules/%s/modules.dep", spec->module_root,
                spec->kernel_version);
        describe_file(key, path);
        describe_string(key, spec->module_list);
        for (const char *const *name = spec->modules; name && *name; name++)
                describe_string(key, *name);
}

static int cached_write(
        const struct bootimage_initramfs *spec, int dir_fd, const char *name, struct error *e) {
        _cleanup_(wr_done) struct wr out = wr_new(BOOTIMAGE_INITRAMFS_MAX);
        int r = bootimage_write_initramfs(spec, &out, e);
        if (r < 0)
                return r;
        _cleanup_(cache_file_done) struct cache_file file = CACHE_FILE_NONE;
        r = cache_create(dir_fd, &file, e);
        if (r < 0)
                return r;
        r = fd_write_full(file.fd, out.data, out.size);
        if (r < 0)
                return error_set(e, r, 0, "writing the initramfs to the cache directory: %s",
                        strerrordesc_np(-r));
        return cache_publish(&file, name, e);
}

int bootimage_cached_initramfs(const struct bootimage_initramfs *spec, const char *cache_dir,
        struct error *e, char **ret_path) {
        _cleanup_(wr_done) struct wr key = wr_new(16 << 20);
        describe(spec, &key);
        char name[CACHE_NAME_MAX];
        int r = wr_error(&key);
        if (r == 0)
                r = cache_name("initramfs", key.data, key.size, name);
        if (r < 0)
                return error_set(e, r, 0, "naming the initramfs: %s", strerrordesc_np(-r));
        _cleanup_close_ int dir_fd = open(cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return error_set(e, -errno, 0, "%s: %s", cache_dir, strerror(errno));
        if (faccessat(dir_fd, name, R_OK, 0) < 0) {
                r = cached_write(spec, dir_fd, name, e);
                if (r < 0)
                        return r;
        }
        if (asprintf(ret_path, "%s/%s", cache_dir, name) < 0)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        return 0;
}
