// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "base/fd.h"
#include "base/wr.h"
#include "bootimage/bootimage.h"

enum { PLAIN_SIZE = 3 * 1024 * 1024 + 17 };

static uint8_t plain[PLAIN_SIZE];
static uint8_t packed[PLAIN_SIZE * 2];

static void make_plain(void) {
        for (size_t i = 0; i < sizeof plain; i++)
                plain[i] = (uint8_t)(i * i >> 7);
        memcpy(plain,
                "\x7f"
                "ELF",
                4);
}

static size_t pack(enum bootimage_format format) {
        make_plain();
        size_t n = 0;
        if (format == BOOTIMAGE_GZIP) {
                z_stream z = {.next_in = plain,
                        .avail_in = sizeof plain,
                        .next_out = packed,
                        .avail_out = sizeof packed};
                ck_assert_int_eq(
                        deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                        Z_OK);
                ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
                n = z.total_out;
                deflateEnd(&z);
        } else if (format == BOOTIMAGE_XZ) {
                ck_assert_int_eq(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, plain,
                                         sizeof plain, packed, &n, sizeof packed),
                        LZMA_OK);
        } else if (format == BOOTIMAGE_ZSTD) {
                n = ZSTD_compress(packed, sizeof packed, plain, sizeof plain, 1);
                ck_assert(!ZSTD_isError(n));
        } else {
                memcpy(packed, "\x02\x21\x4c\x18", 4);
                int m = LZ4_compress_default(
                        (const char *)plain, (char *)packed + 8, sizeof plain, sizeof packed - 8);
                for (int i = 0; i < 4; i++)
                        packed[4 + i] = (uint8_t)(m >> (8 * i));
                n = (size_t)m + 8;
        }
        /* The kernel's build appends the unpacked size. */
        for (int i = 0; i < 4; i++)
                packed[n++] = (uint8_t)(PLAIN_SIZE >> (8 * i));
        return n;
}

/* A bzImage around packed[0..n). */
static struct wr bzimage(size_t n, uint32_t length) {
        struct wr wr = wr_new(PLAIN_SIZE * 2 + 8192);
        wr_zero(&wr, 0x1f1);
        wr_u8(&wr, 3); /* setup sectors */
        wr_zero(&wr, 0x202 - wr.size);
        wr_bytes(&wr, "HdrS", 4);
        wr_le16(&wr, 0x20f);
        wr_zero(&wr, 0x248 - wr.size);
        wr_le32(&wr, 100);
        wr_le32(&wr, length);
        wr_zero(&wr, 4 * 512 + 100 - wr.size);
        wr_bytes(&wr, packed, n);
        ck_assert_int_eq(wr_error(&wr), 0);
        return wr;
}

static int temp_file(const void *data, size_t size) {
        int fd;
        assert_ok(fd_memfd("kernel", 0, &fd));
        assert_ok(fd_write_full(fd, data, size));
        return fd;
}

static int temp_dir(char path[32]) {
        strcpy(path, "/tmp/test-kernel-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

static void unpacks(enum bootimage_format format) {
        size_t n = pack(format);
        struct wr image = bzimage(n, (uint32_t)n);
        struct error e = {0};
        char path[32];
        int kernel = temp_file(image.data, image.size), dir = temp_dir(path), elf = -1, again = -1;
        ck_assert_msg(bootimage_open_kernel(kernel, dir, &e, &elf) == 0, "%s", e.text);
        static uint8_t out[PLAIN_SIZE + 1];
        ck_assert_int_eq(fd_pread_full(elf, out, sizeof out, 0), PLAIN_SIZE);
        ck_assert_mem_eq(out, plain, PLAIN_SIZE);
        /* The second time it comes from the cache: the same file. */
        struct stat a, b;
        assert_ok(bootimage_open_kernel(kernel, dir, &e, &again));
        fstat(elf, &a);
        fstat(again, &b);
        ck_assert_uint_eq(a.st_ino, b.st_ino);
        close(elf);
        close(again);
        close(kernel);
        close(dir);
        char command[64];
        snprintf(command, sizeof command, "rm -r %s", path);
        ck_assert_int_eq(system(command), 0);
        wr_done(&image);
}

START_TEST(unpacks_gzip) {
        unpacks(BOOTIMAGE_GZIP);
}
END_TEST
START_TEST(unpacks_xz) {
        unpacks(BOOTIMAGE_XZ);
}
END_TEST
START_TEST(unpacks_zstd) {
        unpacks(BOOTIMAGE_ZSTD);
}
END_TEST
START_TEST(unpacks_lz4) {
        unpacks(BOOTIMAGE_LZ4);
}
END_TEST

START_TEST(an_elf_kernel_is_taken_as_it_is) {
        make_plain();
        struct error e = {0};
        int kernel = temp_file(plain, sizeof plain), elf;
        assert_ok(bootimage_open_kernel(kernel, -1, &e, &elf));
        close(elf);
        close(kernel);
}
END_TEST

START_TEST(another_kernel_is_not_taken_for_the_one_in_the_cache) {
        size_t n = pack(BOOTIMAGE_GZIP);
        struct wr image = bzimage(n, (uint32_t)n);
        struct error e = {0};
        char path[32], command[64];
        int kernel = temp_file(image.data, image.size), dir = temp_dir(path);
        ino_t seen[3];
        for (int i = 0; i < 3; i++) {
                const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = i == 2 ? 2 : 1}};
                int elf = -1;
                struct stat st;
                /* The first byte of the file is of no meaning to anybody. */
                ck_assert_int_eq(pwrite(kernel, i == 1 ? "x" : "", 1, 0), 1);
                assert_ok(futimens(kernel, times));
                ck_assert_msg(bootimage_open_kernel(kernel, dir, &e, &elf) == 0, "%s", e.text);
                fstat(elf, &st);
                seen[i] = st.st_ino;
                close(elf);
        }
        ck_assert_uint_ne(seen[0], seen[1]);
        ck_assert_uint_eq(seen[0], seen[2]); /* anybody may write it: its content counts alone */
        close(kernel);
        close(dir);
        snprintf(command, sizeof command, "rm -r %s", path);
        ck_assert_int_eq(system(command), 0);
        wr_done(&image);
}
END_TEST

static void refuses(const struct wr *image) {
        struct error e = {0};
        char path[32];
        int kernel = temp_file(image->data, image->size), dir = temp_dir(path), elf = -1;
        ck_assert_int_lt(bootimage_open_kernel(kernel, dir, &e, &elf), 0);
        ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
        ck_assert_int_eq(elf, -1);
        close(kernel);
        close(dir);
        ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(a_payload_cut_short_is_refused_and_leaves_no_cache_entry) {
        for (int format = BOOTIMAGE_GZIP; format <= BOOTIMAGE_LZ4; format++) {
                size_t n = pack(format) / 2;
                struct wr image = bzimage(n, (uint32_t)n);
                refuses(&image);
                wr_done(&image);
        }
}
END_TEST

/* zstd and lz4 carry no checksum unless asked to. */
START_TEST(a_flipped_payload_is_refused_where_the_format_has_a_checksum) {
        for (int format = BOOTIMAGE_GZIP; format <= BOOTIMAGE_XZ; format++) {
                size_t n = pack(format);
                memset(packed + n / 2, 0xff, 64);
                struct wr image = bzimage(n, (uint32_t)n);
                refuses(&image);
                wr_done(&image);
        }
}
END_TEST

START_TEST(names_what_is_wrong_with_a_file_that_is_no_kernel) {
        struct bootimage_payload payload;
        struct error e = {0};
        assert_error(bootimage_probe("hello", 5, &e, &payload), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "neither ELF nor a bzImage"));
        size_t n = pack(BOOTIMAGE_GZIP);
        struct wr image = bzimage(n, (uint32_t)n + 1);
        e = (struct error){0};
        assert_error(bootimage_probe(image.data, image.size, &e, &payload), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "cut short"));
        e = (struct error){0};
        image.data[0x206] = 7;
        assert_error(bootimage_probe(image.data, image.size, &e, &payload), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "2.08"));
        wr_done(&image);
        memcpy(packed, "BZh9", 4);
        image = bzimage(n, (uint32_t)n);
        e = (struct error){0};
        assert_error(bootimage_probe(image.data, image.size, &e, &payload), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "gzip, xz, zstd, lz4"));
        wr_done(&image);
}
END_TEST

START_TEST(the_limit_on_the_unpacked_size_holds_for_every_format) {
        for (int format = BOOTIMAGE_GZIP; format <= BOOTIMAGE_LZ4; format++) {
                size_t n = pack(format);
                struct error e = {0};
                int out = temp_file("", 0);
                assert_error(bootimage_unpack(format, packed, n, out, PLAIN_SIZE - 1, &e), -EFBIG);
                e = (struct error){0};
                assert_ok(bootimage_unpack(format, packed, n, out, PLAIN_SIZE, &e));
                close(out);
        }
}
END_TEST

START_TEST(picks_the_newest_kernel_that_has_modules) {
        char root[32], command[512];
        close(temp_dir(root));
        snprintf(command, sizeof command,
                "cd %s && mkdir -p boot lib/modules/6.1.0-9 lib/modules/6.1.0-10 && "
                "touch boot/vmlinuz-6.1.0-9 boot/vmlinuz-6.1.0-10 boot/vmlinuz-6.2.0 "
                "lib/modules/6.1.0-9/modules.dep lib/modules/6.1.0-10/modules.dep",
                root);
        ck_assert_int_eq(system(command), 0);
        struct error e = {0};
        char *path, *version;
        assert_ok(bootimage_newest_kernel(root, &e, &path, &version));
        ck_assert_str_eq(version, "6.1.0-10");
        ck_assert_str_eq(path + strlen(root), "/boot/vmlinuz-6.1.0-10");
        free(path);
        free(version);
        snprintf(command, sizeof command, "rm -r %s/boot", root);
        ck_assert_int_eq(system(command), 0);
        assert_error(bootimage_newest_kernel(root, &e, &path, &version), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "--kernel"));
        snprintf(command, sizeof command, "rm -r %s", root);
        ck_assert_int_eq(system(command), 0);
}
END_TEST

TEST_MAIN("kernel", unpacks_gzip, unpacks_xz, unpacks_zstd, unpacks_lz4,
        an_elf_kernel_is_taken_as_it_is, another_kernel_is_not_taken_for_the_one_in_the_cache,
        a_payload_cut_short_is_refused_and_leaves_no_cache_entry,
        a_flipped_payload_is_refused_where_the_format_has_a_checksum,
        names_what_is_wrong_with_a_file_that_is_no_kernel,
        the_limit_on_the_unpacked_size_holds_for_every_format,
        picks_the_newest_kernel_that_has_modules)
