// SPDX-License-Identifier: MIT
#include "vmm/boot.h"
#include <asm/bootparam.h>
#include <elf.h>
#include <unistd.h>
#include "../test.h"
#include "base/fd.h"
#include "vmm/layout.h"
#include "wire/le.h"

enum { KERNEL = 0x1000000, ENTRY = KERNEL + 0x40, KERNEL_SIZE = 0x100 };
#define GIB (1ull << 30)

static int kernel_file(void) {
        int fd;
        struct {
                Elf64_Ehdr header;
                Elf64_Phdr segment;
                uint8_t code[KERNEL_SIZE];
        } image = {
                .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                        .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_entry = ENTRY,
                        .e_phoff = sizeof(Elf64_Ehdr),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 1},
                .segment = {.p_type = PT_LOAD,
                        .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                        .p_paddr = KERNEL,
                        .p_filesz = KERNEL_SIZE,
                        .p_memsz = 0x100000},
        };
        assert_ok(fd_memfd("kernel", 0, &fd));
        assert_ok(fd_write_full(fd, &image, sizeof image));
        return fd;
}

static int initrd_file(size_t size) {
        int fd;
        assert_ok(fd_memfd("initrd", size, &fd));
        if (size > 0)
                ck_assert_int_eq(pwrite(fd, "!", 1, (off_t)size - 1), 1);
        return fd;
}

static struct gmem *memory(uint64_t size) {
        struct gmem *gm;
        uint64_t low = size < LAYOUT_LOW_END ? size : LAYOUT_LOW_END;
        assert_ok(gmem_new(size, &gm));
        assert_ok(gmem_add(gm, 0, low));
        if (size > low)
                assert_ok(gmem_add(gm, LAYOUT_HIGH, size - low));
        return gm;
}

static struct boot_params loaded(struct gmem *gm, size_t initrd, const char *cmdline) {
        struct boot boot = {kernel_file(), initrd ? initrd_file(initrd) : -1, cmdline, 0xe0000};
        struct error e = {0};
        struct boot_params bp;
        uint64_t entry = 0;
        int r = boot_load(gm, &boot, &e, &entry);
        ck_assert_msg(r == 0, "%s", e.text);
        ck_assert_uint_eq(entry, ENTRY);
        assert_ok(gmem_read(gm, LAYOUT_BOOT_PARAMS, &bp, sizeof bp));
        close(boot.kernel_fd);
        fd_close(boot.initrd_fd);
        return bp;
}

static uint64_t entry_of(const struct gmem *gm, uint64_t table, uint64_t index) {
        le64 v;
        assert_ok(gmem_read(gm, (table & ~0xfffull) + 8 * index, &v, sizeof v));
        return le64_get(v);
}

START_TEST(the_zero_page_tells_the_kernel_what_it_needs) {
        struct gmem *gm = memory(64 << 20);
        char text[16];
        struct boot_params bp = loaded(gm, 5000, "console=ttyS0");
        ck_assert_uint_eq(bp.hdr.boot_flag, 0xaa55);
        ck_assert_uint_eq(bp.hdr.header, 0x53726448);
        ck_assert_uint_eq(bp.hdr.type_of_loader, 0xff);
        ck_assert_uint_eq(bp.acpi_rsdp_addr, 0xe0000);
        ck_assert_uint_eq(bp.sentinel, 0);
        assert_ok(gmem_read(gm, bp.hdr.cmd_line_ptr, text, 14));
        ck_assert_str_eq(text, "console=ttyS0");
        ck_assert_uint_eq(bp.hdr.ramdisk_size, 5000);
        ck_assert_uint_eq(bp.hdr.ramdisk_image % 4096, 0);
        ck_assert_uint_le(bp.hdr.ramdisk_image + 5000, 64 << 20);
        assert_ok(gmem_read(gm, bp.hdr.ramdisk_image + 4999, text, 1));
        ck_assert_int_eq(text[0], '!');
        gmem_free(gm);
}
END_TEST

START_TEST(the_memory_map_leaves_holes_for_kvm_and_devices) {
        struct gmem *gm = memory(4 * GIB);
        struct boot_params bp = loaded(gm, 0, "");
        uint64_t ram = 0, last = 0;
        bool hole = false;
        for (unsigned i = 0; i < bp.e820_entries; i++) {
                const struct boot_e820_entry *entry = &bp.e820_table[i];
                ck_assert_uint_ge(entry->addr, last);
                last = entry->addr + entry->size;
                ram += entry->type == 1 ? entry->size : 0;
                if (entry->type == 2 && entry->addr <= LAYOUT_IDENTITY_MAP &&
                        last >= LAYOUT_TSS + 0x3000)
                        hole = true;
                if (entry->type == 1)
                        ck_assert(last <= LAYOUT_LOW_END || entry->addr >= LAYOUT_HIGH);
        }
        ck_assert(hole);
        ck_assert_uint_eq(last, 5 * GIB);
        ck_assert_uint_eq(ram, 4 * GIB - (LAYOUT_KERNEL_MIN - LAYOUT_LOW_RAM_END));
        ck_assert_uint_eq(bp.hdr.ramdisk_size, 0);
        gmem_free(gm);
}
END_TEST

START_TEST(the_page_tables_map_four_gib_to_themselves) {
        struct gmem *gm = memory(64 << 20);
        struct kvm_regs regs;
        struct kvm_sregs sregs = {0};
        loaded(gm, 0, "");
        boot_registers(ENTRY, &regs, &sregs);
        for (uint64_t address = 0; address < 4 * GIB; address += 1 << 21) {
                uint64_t e4 = entry_of(gm, sregs.cr3, 0);
                uint64_t e3 = entry_of(gm, e4, address >> 30);
                uint64_t e2 = entry_of(gm, e3, address >> 21 & 511);
                ck_assert_uint_eq(e2, address | 0x83);
        }
        ck_assert_uint_eq(entry_of(gm, entry_of(gm, sregs.cr3, 0), 4), 0);
        ck_assert_uint_eq(regs.rip, ENTRY);
        ck_assert_uint_eq(regs.rsi, LAYOUT_BOOT_PARAMS);
        ck_assert_uint_eq(regs.rflags, 2);
        ck_assert_uint_eq(sregs.cs.l, 1);
        ck_assert_uint_eq(sregs.efer, 0x500);
        ck_assert_uint_eq(sregs.cr0 & 0x80000001, 0x80000001);
        gmem_free(gm);
}
END_TEST

START_TEST(the_initrd_must_fit_behind_the_kernel) {
        const uint64_t ram = 64 << 20, end = KERNEL + 0x100000;
        struct gmem *gm = memory(ram);
        struct boot_params bp = loaded(gm, ram - end, "");
        ck_assert_uint_eq(bp.hdr.ramdisk_image, end);
        struct boot boot = {kernel_file(), initrd_file(ram - end + 1), "", 0};
        struct error e = {0};
        uint64_t entry = 7;
        assert_error(boot_load(gm, &boot, &e, &entry), -ENOMEM);
        ck_assert(strstr(e.text, "initrd") && strstr(e.text, "more memory"));
        ck_assert_uint_eq(entry, 7);
        close(boot.kernel_fd);
        close(boot.initrd_fd);
        gmem_free(gm);
}
END_TEST

START_TEST(the_initrd_stays_below_two_gib) {
        struct gmem *gm = memory(3 * GIB);
        struct boot_params bp = loaded(gm, 4096, "");
        ck_assert_uint_eq(bp.hdr.ramdisk_image, 2 * GIB - 4096);
        gmem_free(gm);
}
END_TEST

TEST_MAIN("boot", the_zero_page_tells_the_kernel_what_it_needs,
        the_memory_map_leaves_holes_for_kvm_and_devices, the_page_tables_map_four_gib_to_themselves,
        the_initrd_must_fit_behind_the_kernel, the_initrd_stays_below_two_gib)
