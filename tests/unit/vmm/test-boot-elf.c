// SPDX-License-Identifier: MIT
#include "vmm/boot-elf.h"
#include <elf.h>
#include <unistd.h>
#include "../test.h"
#include "base/fd.h"

/* A kernel of two segments, the second with memory behind its bytes. */
struct image {
        Elf64_Ehdr header;
        Elf64_Phdr segments[3];
        uint8_t text[64], data[64];
};
enum { TEXT = 0x100000, DATA = 0x200000, RAM = 4 << 20 };

static struct image good(void) {
        struct image image = {
                .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                        .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_entry = TEXT + 16,
                        .e_phoff = offsetof(struct image, segments),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 3},
                .segments = {{.p_type = PT_NOTE, .p_paddr = 0, .p_filesz = 4, .p_memsz = 4},
                        {.p_type = PT_LOAD,
                                .p_offset = offsetof(struct image, text),
                                .p_paddr = TEXT,
                                .p_filesz = 64,
                                .p_memsz = 64},
                        {.p_type = PT_LOAD,
                                .p_offset = offsetof(struct image, data),
                                .p_paddr = DATA,
                                .p_filesz = 64,
                                .p_memsz = 0x2000}},
        };
        memset(image.text, 0x90, sizeof image.text);
        memset(image.data, 0xda, sizeof image.data);
        return image;
}

struct result {
        int r;
        struct error e;
        uint64_t entry, end;
        uint8_t text[65], data[65];
};

static struct result load(const void *image, size_t size) {
        struct result result = {.entry = 7, .end = 7};
        struct gmem *gm;
        int fd;
        assert_ok(fd_memfd("kernel", 0, &fd));
        assert_ok(fd_write_full(fd, image, size));
        assert_ok(gmem_new(RAM, &gm));
        assert_ok(gmem_add(gm, 0, RAM));
        result.r = boot_elf(gm, fd, &result.e, &result.entry, &result.end);
        assert_ok(gmem_read(gm, TEXT, result.text, sizeof result.text));
        assert_ok(gmem_read(gm, DATA, result.data, sizeof result.data));
        gmem_free(gm);
        close(fd);
        return result;
}

START_TEST(loads_segments_at_their_physical_addresses) {
        struct image image = good();
        struct result result = load(&image, sizeof image);
        assert_ok(result.r);
        ck_assert_uint_eq(result.entry, TEXT + 16);
        ck_assert_uint_eq(result.end, DATA + 0x2000);
        ck_assert_mem_eq(result.text, image.text, 64);
        ck_assert_uint_eq(result.text[64], 0);
        ck_assert_mem_eq(result.data, image.data, 64);
        ck_assert_uint_eq(result.data[64], 0);
}
END_TEST

static void check_refused(const struct image *image, int error, const char *word) {
        struct result result = load(image, sizeof *image);
        ck_assert_int_eq(result.r, error);
        ck_assert_uint_eq(result.entry, 7);
        ck_assert_uint_ne(result.e.hresult, 0);
        ck_assert_msg(strstr(result.e.text, word), "%s", result.e.text);
}

START_TEST(refuses_what_is_no_x86_64_program) {
        struct image image = good();
        image.header.e_ident[0] = 'M';
        check_refused(&image, -ENOEXEC, "not an ELF file");
        image = good();
        image.header.e_ident[EI_CLASS] = ELFCLASS32;
        check_refused(&image, -ENOEXEC, "another machine");
        image = good();
        image.header.e_machine = EM_AARCH64;
        check_refused(&image, -ENOEXEC, "another machine");
        image = good();
        image.header.e_type = ET_REL;
        check_refused(&image, -ENOEXEC, "no program");
}
END_TEST

START_TEST(refuses_a_segment_table_out_of_bounds) {
        struct image image = good();
        image.header.e_phnum = 0;
        check_refused(&image, -ENOEXEC, "segment table");
        image.header.e_phnum = BOOT_SEGMENTS_MAX + 1;
        check_refused(&image, -ENOEXEC, "segment table");
        image.header.e_phnum = BOOT_SEGMENTS_MAX; /* more than the file holds */
        check_refused(&image, -ENOEXEC, "ends inside");
        image = good();
        image.header.e_phentsize = 32;
        check_refused(&image, -ENOEXEC, "segment table");
        image = good();
        image.header.e_phoff = UINT64_MAX - 8;
        check_refused(&image, -ENOEXEC, "ends inside");
}
END_TEST

START_TEST(refuses_segments_outside_of_ram) {
        struct image image = good();
        image.segments[2].p_paddr = RAM - 0x1000;
        check_refused(&image, -ENOMEM, "memory");
        image = good();
        image.segments[2].p_paddr = UINT64_MAX - 0xfff;
        check_refused(&image, -ENOMEM, "memory");
        image = good();
        image.segments[2].p_memsz = UINT64_MAX;
        check_refused(&image, -ENOMEM, "memory");
        image = good();
        image.segments[1].p_paddr = 0x8000; /* over the boot tables */
        check_refused(&image, -ENOMEM, "memory");
}
END_TEST

START_TEST(refuses_segments_that_lie_about_the_file) {
        struct image image = good();
        image.segments[2].p_filesz = image.segments[2].p_memsz + 1;
        check_refused(&image, -ENOEXEC, "larger in the file");
        image = good();
        image.segments[2].p_filesz = 0x1000;
        check_refused(&image, -ENOEXEC, "ends inside a segment");
        image = good();
        image.segments[2].p_offset = UINT64_MAX - 4;
        check_refused(&image, -ENOEXEC, "past the end");
        image = good();
        image.header.e_entry = 0xffffffff81000000;
        check_refused(&image, -ENOEXEC, "entry");
}
END_TEST

START_TEST(refuses_a_file_cut_anywhere) {
        struct image image = good();
        for (size_t n = 0; n < sizeof image; n++)
                ck_assert_int_lt(load(&image, n).r, 0);
}
END_TEST

TEST_MAIN("boot-elf", loads_segments_at_their_physical_addresses, refuses_what_is_no_x86_64_program,
        refuses_a_segment_table_out_of_bounds, refuses_segments_outside_of_ram,
        refuses_segments_that_lie_about_the_file, refuses_a_file_cut_anywhere)
