// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "bootimage/bootimage.h"

static const struct bootimage_entry entries[] = {
        {.path = "etc/motd", .mode = S_IFREG | 0644, .text = "hello\n"},
        {.path = "bin/sh", .mode = S_IFLNK | 0777, .source = "busybox"},
        {.path = "dev/console", .mode = S_IFCHR | 0600, .major = 5, .minor = 1},
        {.path = "proc", .mode = S_IFDIR | 0555},
        {.path = "etc/self", .mode = S_IFREG | 0755, .source = "/proc/version"},
};

static void list_with_cpio(const struct wr *archive, char *out, size_t size) {
        char path[] = "/tmp/test-initramfs-XXXXXX", command[128];
        int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, archive->data, archive->size), (ssize_t)archive->size);
        close(fd);
        snprintf(command, sizeof command, "cpio -tv --quiet --numeric-uid-gid < %s", path);
        FILE *f = popen(command, "r");
        size_t n = fread(out, 1, size - 1, f);
        out[n] = 0;
        ck_assert_int_eq(pclose(f), 0);
        unlink(path);
}

START_TEST(cpio_reads_what_was_written_with_parents_made_once) {
        struct bootimage_initramfs spec = {.entries = entries, .n_entries = 5, .module_root = ""};
        struct wr archive = wr_new(1 << 20);
        struct error e = {0};
        char list[8192];
        ck_assert_msg(bootimage_write_initramfs(&spec, &archive, &e) == 0, "%s", e.text);
        list_with_cpio(&archive, list, sizeof list);
        static const char *const want[] = {"drwxr-xr-x", " etc\n", "-rw-r--r--", " etc/motd\n",
                "bin/sh -> busybox\n", "crw-------", "5,   1", "dr-xr-xr-x", " proc\n",
                "-rwxr-xr-x"};
        for (size_t i = 0; i < sizeof want / sizeof *want; i++)
                ck_assert_msg(strstr(list, want[i]), "%s misses in\n%s", want[i], list);
        char *etc = strstr(list, " etc\n");
        ck_assert_ptr_null(strstr(etc + 1, " etc\n"));
        wr_done(&archive);
}
END_TEST

START_TEST(the_same_input_gives_the_same_bytes) {
        struct bootimage_initramfs spec = {.entries = entries, .n_entries = 4, .module_root = ""};
        struct wr a = wr_new(1 << 20), b = wr_new(1 << 20);
        struct error e = {0};
        assert_ok(bootimage_write_initramfs(&spec, &a, &e));
        assert_ok(bootimage_write_initramfs(&spec, &b, &e));
        ck_assert_uint_eq(a.size, b.size);
        ck_assert_mem_eq(a.data, b.data, a.size);
        wr_done(&a);
        wr_done(&b);
}
END_TEST

START_TEST(a_missing_source_is_named) {
        struct bootimage_entry missing = {.path = "x", .mode = S_IFREG, .source = "/nowhere/x"};
        struct bootimage_initramfs spec = {.entries = &missing, .n_entries = 1, .module_root = ""};
        struct wr archive = wr_new(1 << 20);
        struct error e = {0};
        assert_error(bootimage_write_initramfs(&spec, &archive, &e), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/x"));
        wr_done(&archive);
}
END_TEST

START_TEST(modules_come_with_their_dependencies_in_load_order) {
        struct error e = {0};
        char *path, *version;
        /* A machine without a kernel package cannot run a sandbox either. */
        ck_assert_msg(bootimage_newest_kernel("", &e, &path, &version) == 0, "%s", e.text);
        static const char *const modules[] = {"hv_sock", "hv_vmbus", NULL};
        struct bootimage_initramfs spec = {.module_root = "",
                .kernel_version = version,
                .modules = modules,
                .module_list = "etc/modules"};
        struct wr archive = wr_new(16 << 20);
        ck_assert_msg(bootimage_write_initramfs(&spec, &archive, &e) == 0, "%s", e.text);
        char list[8192];
        list_with_cpio(&archive, list, sizeof list);
        const char *vsock = strstr(list, "/vsock.ko"), *hv_sock = strstr(list, "/hv_sock.ko");
        ck_assert_ptr_nonnull(vsock);
        ck_assert_ptr_nonnull(hv_sock);
        ck_assert(vsock < hv_sock);
        ck_assert_ptr_nonnull(strstr(list, "/hv_vmbus.ko"));
        ck_assert_ptr_nonnull(strstr(list, " etc/modules\n"));
        wr_done(&archive);
        static const char *const none[] = {"no_such_module", NULL};
        spec.modules = none;
        archive = wr_new(1 << 20);
        assert_error(bootimage_write_initramfs(&spec, &archive, &e), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "no_such_module"));
        wr_done(&archive);
        free(path);
        free(version);
}
END_TEST

START_TEST(an_archive_is_made_once_for_the_same_input) {
        char dir[] = "/tmp/test-initramfs-dir-XXXXXX";
        ck_assert_ptr_nonnull(mkdtemp(dir));
        struct bootimage_initramfs spec = {.entries = entries, .n_entries = 5, .module_root = ""};
        struct error e = {0};
        char *a, *b, *c;
        assert_ok(bootimage_cached_initramfs(&spec, dir, &e, &a));
        struct stat first, second;
        stat(a, &first);
        assert_ok(bootimage_cached_initramfs(&spec, dir, &e, &b));
        stat(b, &second);
        ck_assert_str_eq(a, b);
        ck_assert_uint_eq(first.st_ino, second.st_ino);
        spec.n_entries = 3;
        assert_ok(bootimage_cached_initramfs(&spec, dir, &e, &c));
        ck_assert_str_ne(a, c);
        unlink(a);
        unlink(c);
        ck_assert_int_eq(rmdir(dir), 0);
        free(a);
        free(b);
        free(c);
}
END_TEST

static int more(struct bootimage_archive *archive, void *ctx, struct error *e) {
        unsigned *calls = ctx;
        ++*calls;
        return bootimage_add(archive,
                &(struct bootimage_entry){
                        .path = "late", .mode = S_IFREG | 0644, .text = "what follows\n"},
                e);
}

START_TEST(what_follows_is_asked_for_only_when_an_archive_is_written) {
        char dir[] = "/tmp/test-initramfs-dir-XXXXXX";
        ck_assert_ptr_nonnull(mkdtemp(dir));
        unsigned calls = 0;
        struct bootimage_initramfs spec = {.entries = entries,
                .n_entries = 5,
                .module_root = "",
                .more = more,
                .more_ctx = &calls};
        struct error e = {0};
        for (int i = 0; i < 2; i++) {
                char *path, *data;
                size_t size;
                assert_ok(bootimage_cached_initramfs(&spec, dir, &e, &path));
                ck_assert_uint_eq(calls, 1);
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                ck_assert_int_ge(fd, 0);
                assert_ok(fd_read_file(fd, 1 << 20, &data, &size));
                ck_assert_ptr_nonnull(memmem(data, size, "what follows\n", 13));
                close(fd);
                if (i == 1)
                        unlink(path);
                free(data);
                free(path);
        }
        ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

TEST_MAIN("initramfs", cpio_reads_what_was_written_with_parents_made_once,
        the_same_input_gives_the_same_bytes, a_missing_source_is_named,
        modules_come_with_their_dependencies_in_load_order,
        an_archive_is_made_once_for_the_same_input,
        what_follows_is_asked_for_only_when_an_archive_is_written)
