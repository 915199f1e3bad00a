// SPDX-License-Identifier: MIT
/* What a guest boots from: a kernel that the worker can load as it is (ELF), and an initramfs made
 * from files of this host. Both are made once and cached by content.
 *
 * Threads: none of its own; functions block. Files are read with the rights of the caller. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wr.h"

enum {
        BOOTIMAGE_KERNEL_MAX = 512 * 1024 * 1024,    /* an unpacked kernel */
        BOOTIMAGE_INITRAMFS_MAX = 512 * 1024 * 1024, /* an archive */
};

/* ---- kernel ---- */

enum bootimage_format {
        BOOTIMAGE_ELF, /* nothing to unpack */
        BOOTIMAGE_GZIP,
        BOOTIMAGE_XZ,
        BOOTIMAGE_ZSTD,
        BOOTIMAGE_LZ4,
};

/* Where the payload of a kernel file is (Documentation/arch/x86/boot.rst, payload_offset). */
struct bootimage_payload {
        enum bootimage_format format;
        uint64_t offset, size;
};

/* -EINVAL with a text for what is neither ELF nor a bzImage of protocol 2.08 or later with a
 * payload of the formats above. */
_warn_unused_ int bootimage_probe(
        const void *image, size_t size, struct error *e, struct bootimage_payload *ret);
/* Unpacks a payload of known format; stops at the end of its stream, ignores what stands behind it
 * (x86 appends the size). -EBADMSG for a broken stream, -EFBIG past `limit` bytes. */
_warn_unused_ int bootimage_unpack(enum bootimage_format format, const void *data, size_t size,
        int out_fd, uint64_t limit, struct error *e);
/* A descriptor of the ELF image of the kernel in kernel_fd: kernel_fd itself (duplicated) when it
 * is ELF, else the unpacked copy, kept in the cache directory by the kernel's size, time and both
 * ends. The decompressors run in a child that can do nothing else. */
_warn_unused_ int bootimage_open_kernel(
        int kernel_fd, int cache_dir_fd, struct error *e, int *ret_elf_fd);
/* The newest /boot/vmlinuz-VERSION that has /lib/modules/VERSION below `root` ("" for the host):
 * free() both. -ENOENT with the remedy when there is none. */
_warn_unused_ int bootimage_newest_kernel(
        const char *root, struct error *e, char **ret_path, char **ret_version);

/* The version whose modules a kernel file wants: what a bzImage's setup header says, else what
 * stands behind "vmlinuz-" or "vmlinux-" in its name. free() it. */
_warn_unused_ int bootimage_kernel_version(const char *path, struct error *e, char **ret);

/* ---- initramfs ---- */

/* One thing that goes in. Parents are made as needed (0755, root). */
struct bootimage_entry {
        const char *path;      /* in the archive, without leading slash */
        uint32_t mode;         /* S_IFREG, S_IFDIR, S_IFLNK or S_IFCHR with permissions */
        const char *source;    /* S_IFREG: a host file; S_IFLNK: the target */
        const char *text;      /* S_IFREG without source: the content */
        uint32_t major, minor; /* S_IFCHR */
};

struct bootimage_archive; /* while it is written */
_warn_unused_ int bootimage_add(
        struct bootimage_archive *archive, const struct bootimage_entry *entry, struct error *e);

struct bootimage_initramfs {
        const struct bootimage_entry *entries;
        size_t n_entries;
        const char *module_root; /* "" for the host; modules come from ROOT/lib/modules/VERSION */
        const char *kernel_version; /* NULL: no modules */
        const char *const *modules; /* names, NULL-terminated; dependencies are added */
        const char *module_list;    /* archive path of a text file with the modules' archive paths
                                     * in the order in which they must be loaded */
        /* Adds what follows from the entries and costs time to find out. Called only when the
         * archive is written, not when the cache has it. NULL: nothing. */
        int (*more)(struct bootimage_archive *archive, void *ctx, struct error *e);
        void *more_ctx;
};

/* Writes the archive (newc cpio, not compressed, reproducible) to out. */
_warn_unused_ int bootimage_write_initramfs(
        const struct bootimage_initramfs *spec, struct wr *out, struct error *e);
/* The path below cache_dir of an archive for that spec, made when it is not there. free() it. */
_warn_unused_ int bootimage_cached_initramfs(const struct bootimage_initramfs *spec,
        const char *cache_dir, struct error *e, char **ret_path);

/* ---- cache ---- */

/* ${XDG_CACHE_HOME:-$HOME/.cache}/sandbar, made with mode 0700. free() it. */
_warn_unused_ int bootimage_cache_dir(
        const char *xdg_cache_home, const char *home, struct error *e, char **ret);
