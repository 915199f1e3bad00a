// SPDX-License-Identifier: MIT
#include "bootimage/bootimage.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "bootimage/cache.h"
#include "wire/hresult.h"
#include "wire/le.h"

/* The setup header of a bzImage (Documentation/arch/x86/boot.rst). */
enum {
        SETUP_SECTS = 0x1f1,
        SETUP_MAGIC = 0x202,
        SETUP_VERSION = 0x206,
        SETUP_KERNEL_VERSION = 0x20e, /* offset of a text, less 0x200 */
        SETUP_PAYLOAD_OFFSET = 0x248,
        SETUP_PAYLOAD_LENGTH = 0x24c,
        SETUP_SIZE = 0x250,
        SETUP_VERSION_WITH_PAYLOAD = 0x208,
        SETUP_SECTS_DEFAULT = 4,
        SECTOR = 512,
};

static uint32_t field(const uint8_t *image, size_t offset, size_t size) {
        uint32_t v = 0;
        for (size_t i = 0; i < size; i++)
                v |= (uint32_t)image[offset + i] << (8 * i);
        return v;
}

static int payload_format(
        const uint8_t *data, size_t size, struct error *e, enum bootimage_format *ret) {
        static const struct {
                const char *magic;
                size_t n;
                enum bootimage_format format;
        } known[] = {
                {"\x7f"
                 "ELF",
                        4, BOOTIMAGE_ELF},
                {"\x1f\x8b", 2, BOOTIMAGE_GZIP},
                {"\xfd"
                 "7zXZ\0",
                        6, BOOTIMAGE_XZ},
                {"\x28\xb5\x2f\xfd", 4, BOOTIMAGE_ZSTD},
                {"\x02\x21\x4c\x18", 4, BOOTIMAGE_LZ4},
        };
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (size >= known[i].n && memcmp(data, known[i].magic, known[i].n) == 0) {
                        *ret = known[i].format;
                        return 0;
                }
        }
        return error_set(e, -EINVAL, 0,
                "the kernel's payload is packed in a way that is not known here; gzip, xz, zstd, "
                "lz4 "
                "and none at all are");
}

int bootimage_probe(
        const void *image, size_t size, struct error *e, struct bootimage_payload *ret) {
        const uint8_t *p = image;
        if (size >= 4 && memcmp(p,
                                 "\x7f"
                                 "ELF",
                                 4) == 0) {
                *ret = (struct bootimage_payload){.format = BOOTIMAGE_ELF, .size = size};
                return 0;
        }
        if (size < SETUP_SIZE || memcmp(p + SETUP_MAGIC, "HdrS", 4) != 0)
                return error_set(
                        e, -EINVAL, 0, "not a kernel: neither ELF nor a bzImage (no setup header)");
        uint32_t version = field(p, SETUP_VERSION, 2);
        if (version < SETUP_VERSION_WITH_PAYLOAD)
                return error_set(e, -EINVAL, 0,
                        "the bzImage has boot protocol %u.%02u; 2.08 or later is needed",
                        version >> 8, version & 0xff);
        uint32_t sects = field(p, SETUP_SECTS, 1);
        uint64_t start = ((sects ? sects : SETUP_SECTS_DEFAULT) + 1ull) * SECTOR;
        uint64_t offset = start + field(p, SETUP_PAYLOAD_OFFSET, 4);
        uint64_t length = field(p, SETUP_PAYLOAD_LENGTH, 4);
        if (offset > size || length > size - offset || length == 0)
                return error_set(e, -EINVAL, 0,
                        "the bzImage is cut short: its payload ends at byte %llu "
                        "of %zu",
                        (unsigned long long)(offset + length), size);
        enum bootimage_format format = BOOTIMAGE_ELF;
        int r = payload_format(p + offset, length, e, &format);
        if (r < 0)
                return r;
        *ret = (struct bootimage_payload){.format = format, .offset = offset, .size = length};
        return 0;
}

/* Decompressors are large and fed with a file from anywhere: they run in a child with a bounded
 * address space, no files and no network, whose only outcome is the bytes in out_fd. */
static int unpack_in_child(const struct bootimage_payload *payload, const uint8_t *image,
        int out_fd, struct error *e) {
        int pipe_fds[2];
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_set(e, -errno, 0, "pipe: %s", strerror(errno));
        _cleanup_close_ int from_child = pipe_fds[0];
        _cleanup_close_ int to_parent = pipe_fds[1];
        pid_t pid = fork();
        if (pid < 0)
                return error_set(e, -errno, 0, "fork: %s", strerror(errno));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0});
                setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0});
                setrlimit(
                        RLIMIT_FSIZE, &(struct rlimit){BOOTIMAGE_KERNEL_MAX, BOOTIMAGE_KERNEL_MAX});
                struct error child = {0};
                if (bootimage_unpack(payload->format, image + payload->offset, payload->size,
                            out_fd, BOOTIMAGE_KERNEL_MAX, &child) < 0)
                        (void)!write(to_parent, &child, sizeof child);
                _exit(child.hresult != 0);
        }
        to_parent = fd_close(to_parent);
        struct error child = {0};
        ssize_t n = fd_read_full(from_child, &child, sizeof child);
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        child.text[sizeof child.text - 1] = 0;
        if (n == sizeof child && child.hresult)
                return error_set(e, -EBADMSG, child.hresult, "%s", child.text);
        return error_set(e, -EBADMSG, 0, "unpacking the kernel ended with wait status 0x%x",
                (unsigned)status);
}

/* What only root can write is what its size, its time and both its ends say that it is. */
static bool is_systems(const struct stat *st) {
        return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int content_name(int kernel_fd, struct error *e, char ret[CACHE_NAME_MAX]) {
        _cleanup_free_ char *image = NULL;
        size_t size = 0;
        int r = lseek(kernel_fd, 0, SEEK_SET) < 0 ? -errno : 0;
        if (r == 0)
                r = fd_read_file(kernel_fd, BOOTIMAGE_KERNEL_MAX, &image, &size);
        if (r == 0)
                r = cache_name("kernel", image, size, ret);
        return r < 0 ? error_set(e, r, 0, "hashing the kernel: %s", strerrordesc_np(-r)) : 0;
}

/* The name of a kernel's unpacked copy: the hash of its content, so that no crafted file takes the
 * place of another. For a kernel of the system, which nobody else can craft, that would take longer
 * than anything else before the machine runs: its version and build stand at its beginning, its
 * checksum or signature at its end. */
static int unpacked_name(
        int kernel_fd, const struct stat *st, struct error *e, char ret[CACHE_NAME_MAX]) {
        if (!is_systems(st))
                return content_name(kernel_fd, e, ret);
        enum { END = 4096 };
        uint8_t key[2 * END + 24] = {0};
        uint64_t size = (uint64_t)st->st_size;
        const le64 numbers[] = {le64_make(size), le64_make((uint64_t)st->st_mtim.tv_sec),
                le64_make((uint64_t)st->st_mtim.tv_nsec)};
        static_assert(sizeof numbers + 2 * END == sizeof key, "room for all");
        memcpy(key + 2 * END, numbers, sizeof numbers);
        ssize_t n = fd_pread_full(kernel_fd, key, END, 0);
        if (n >= 0)
                n = fd_pread_full(kernel_fd, key + END, END, size > END ? size - END : 0);
        if (n < 0)
                return error_set(e, (int)n, 0, "reading: %s", strerrordesc_np((int)-n));
        int r = cache_name("kernel-system", key, sizeof key, ret);
        return r < 0 ? error_set(e, r, 0, "hashing the kernel: %s", strerrordesc_np(-r)) : 0;
}

static int unpack_into_cache(int kernel_fd, const char *name, int cache_dir_fd, struct error *e) {
        /* A private copy, not a mapping: the file may change or shrink while we look at it. */
        _cleanup_free_ char *image = NULL;
        size_t size = 0;
        if (lseek(kernel_fd, 0, SEEK_SET) < 0)
                return error_set(e, -errno, 0, "%s", strerror(errno));
        int r = fd_read_file(kernel_fd, BOOTIMAGE_KERNEL_MAX, &image, &size);
        if (r < 0)
                return error_set(e, r, 0, "reading: %s", strerrordesc_np(-r));
        struct bootimage_payload payload;
        r = bootimage_probe(image, size, e, &payload);
        if (r < 0)
                return r;
        _cleanup_(cache_file_done) struct cache_file file = CACHE_FILE_NONE;
        r = cache_create(cache_dir_fd, &file, e);
        if (r < 0)
                return r;
        r = unpack_in_child(&payload, (const uint8_t *)image, file.fd, e);
        return r < 0 ? r : cache_publish(&file, name, e);
}

static int open_unpacked(
        int kernel_fd, const struct stat *st, int cache_dir_fd, struct error *e, int *ret) {
        char name[CACHE_NAME_MAX];
        int r = unpacked_name(kernel_fd, st, e, name);
        if (r < 0)
                return r;
        int fd = openat(cache_dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) {
                r = unpack_into_cache(kernel_fd, name, cache_dir_fd, e);
                if (r < 0)
                        return r;
                fd = openat(cache_dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        }
        if (fd < 0)
                return error_set(e, -errno, 0, "opening the unpacked kernel in the cache: %s",
                        strerror(errno));
        *ret = fd;
        return 0;
}

int bootimage_open_kernel(int kernel_fd, int cache_dir_fd, struct error *e, int *ret_elf_fd) {
        struct stat st;
        uint8_t magic[4] = {0};
        if (fstat(kernel_fd, &st) < 0)
                return error_set(e, -errno, 0, "%s", strerror(errno));
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, 0, "not a regular file");
        if (st.st_size < 4 || st.st_size > BOOTIMAGE_KERNEL_MAX)
                return error_set(e, -EINVAL, 0, "not a kernel: %lld bytes", (long long)st.st_size);
        ssize_t n = fd_pread_full(kernel_fd, magic, sizeof magic, 0);
        if (n < 0)
                return error_set(e, (int)n, 0, "reading: %s", strerrordesc_np((int)-n));
        if (memcmp(magic,
                    "\x7f"
                    "ELF",
                    sizeof magic) != 0)
                return open_unpacked(kernel_fd, &st, cache_dir_fd, e, ret_elf_fd);
        int fd = fcntl(kernel_fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return error_set(e, -errno, 0, "%s", strerror(errno));
        *ret_elf_fd = fd;
        return 0;
}

int bootimage_newest_kernel(
        const char *root, struct error *e, char **ret_path, char **ret_version) {
        static const char prefix[] = "vmlinuz-";
        char path[4096];
        _cleanup_free_ char *best = NULL;
        snprintf(path, sizeof path, "%s/boot", root);
        DIR *dir = opendir(path);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                const char *version = entry->d_name + sizeof prefix - 1;
                struct stat st;
                if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0)
                        continue;
                snprintf(path, sizeof path, "%s/lib/modules/%s/modules.dep", root, version);
                if (stat(path, &st) < 0 || (best && strverscmp(version, best) <= 0))
                        continue;
                free(best);
                best = strdup(version);
        }
        if (dir)
                closedir(dir);
        if (!best)
                return error_set(e, -ENOENT, HR_FILE_NOT_FOUND,
                        "no kernel in %s/boot has its modules in %s/lib/modules; install one "
                        "(linux-image-amd64) or name one with --kernel",
                        root, root);
        if (asprintf(ret_path, "%s/boot/%s%s", root, prefix, best) < 0)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        *ret_version = TAKE_PTR(best);
        return 0;
}

int bootimage_kernel_version(const char *path, struct error *e, char **ret) {
        enum { HEAD = 64 * 1024 };
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(e, -errno, 0, "%s: %s", path, strerror(errno));
        _cleanup_free_ char *head = calloc(1, HEAD + 1);
        if (!head)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        ssize_t n = fd_pread_full(fd, head, HEAD, 0);
        if (n < 0)
                return error_set(e, (int)n, 0, "%s: %s", path, strerrordesc_np((int)-n));
        const char *text = NULL;
        if (n >= SETUP_SIZE && memcmp(head + SETUP_MAGIC, "HdrS", 4) == 0)
                text = head + 0x200 + field((const uint8_t *)head, SETUP_KERNEL_VERSION, 2);
        const char *name = strrchr(path, '/');
        name = name ? name + 1 : path;
        if (!text && (strncmp(name, "vmlinuz-", 8) == 0 || strncmp(name, "vmlinux-", 8) == 0))
                text = name + 8;
        size_t size = !text || text >= head + HEAD + 1 ? 0 : strcspn(text, " ");
        if (text == name + 8)
                size = strlen(text);
        if (size == 0 || memchr(text, '/', size))
                return error_set(e, -EINVAL, 0,
                        "%s: cannot tell its version, whose modules the guest needs; name the file "
                        "vmlinux-VERSION",
                        path);
        *ret = strndup(text, size);
        return *ret ? 0 : error_set(e, -ENOMEM, 0, "not enough memory");
}
