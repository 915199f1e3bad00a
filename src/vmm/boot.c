// SPDX-License-Identifier: MIT
/* Documentation/x86/boot.rst of Linux, "64-bit boot protocol". */
#include "vmm/boot.h"
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "vmm/boot-elf.h"
#include "vmm/layout.h"
#include "vmm/vmm.h"
#include "wire/le.h"

#define PAGE_PRESENT_WRITE 0x3ull
#define PAGE_LARGE         0x80ull
#define PAGE_LARGE_SIZE    0x200000ull
enum { PAGE_ENTRIES = 512, MAPPED_GIB = 4 };

#define CR0_PE   (1ull << 0)
#define CR0_ET   (1ull << 4)
#define CR0_PG   (1ull << 31)
#define CR4_PAE  (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)

enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18 }; /* what the protocol names */
enum { LOADER_UNDEFINED = 0xff, PROTOCOL = 0x020f, ALIGNMENT = 0x200000 };
#define SETUP_MAGIC 0x53726448u /* "HdrS" */

static int load_initrd(
        struct gmem *gm, int fd, uint64_t kernel_end, struct error *e, struct boot_params *bp) {
        struct stat st;
        if (fstat(fd, &st) < 0)
                return error_set(e, -errno, 0, "initrd: %s", strerror(errno));
        uint64_t size = (uint64_t)st.st_size;
        if (size == 0)
                return 0;
        uint64_t top = gmem_region(gm, 0).size;
        if (top > LAYOUT_INITRD_MAX + 1)
                top = LAYOUT_INITRD_MAX + 1;
        if (kernel_end > top || size > top - kernel_end)
                return error_set(e, -ENOMEM, 0,
                        "initrd: %llu bytes do not fit behind the kernel, which ends at 0x%llx: "
                        "give the machine more memory",
                        (unsigned long long)size, (unsigned long long)kernel_end);
        uint64_t at = (top - size) & ~(uint64_t)(GMEM_PAGE_SIZE - 1);
        if (at < kernel_end)
                return error_set(e, -ENOMEM, 0,
                        "initrd: it does not fit behind the kernel: give the machine more memory");
        for (uint64_t done = 0; done < size;) {
                struct iovec iov[GMEM_REGIONS_MAX];
                int pieces = gmem_iov(gm, at + done, size - done, iov, GMEM_REGIONS_MAX);
                if (pieces < 0)
                        return pieces;
                ssize_t got = preadv(fd, iov, pieces, (off_t)done);
                if (got < 0)
                        return error_set(e, -errno, 0, "initrd: %s", strerror(errno));
                if (got == 0)
                        return error_set(e, -EIO, 0, "initrd: the file became shorter");
                done += (uint64_t)got;
        }
        bp->hdr.ramdisk_image = (uint32_t)at;
        bp->hdr.ramdisk_size = (uint32_t)size;
        return 0;
}

static void e820_add(struct boot_params *bp, uint64_t address, uint64_t size, uint32_t type) {
        bp->e820_table[bp->e820_entries++] =
                (struct boot_e820_entry){.addr = address, .size = size, .type = type};
}

static void fill_e820(const struct gmem *gm, struct boot_params *bp) {
        enum { RAM = 1, RESERVED = 2 };
        e820_add(bp, 0, LAYOUT_LOW_RAM_END, RAM);
        e820_add(bp, LAYOUT_LOW_RAM_END, LAYOUT_KERNEL_MIN - LAYOUT_LOW_RAM_END, RESERVED);
        for (size_t i = 0; i < gmem_regions(gm); i++) {
                struct gmem_region region = gmem_region(gm, i);
                uint64_t skip = region.gpa == 0 ? LAYOUT_KERNEL_MIN : 0;
                e820_add(bp, region.gpa + skip, region.size - skip, RAM);
                if (i == 0)
                        e820_add(bp, LAYOUT_IDENTITY_MAP, LAYOUT_KVM_HOLE_SIZE, RESERVED);
        }
}

static int write_page_tables(struct gmem *gm) {
        le64 table[PAGE_ENTRIES] = {0};
        uint64_t pdpt = LAYOUT_PAGE_TABLES + GMEM_PAGE_SIZE, pd = pdpt + GMEM_PAGE_SIZE;

        table[0] = le64_make(pdpt | PAGE_PRESENT_WRITE);
        int r = gmem_write(gm, LAYOUT_PAGE_TABLES, table, sizeof table);
        if (r < 0)
                return r;
        for (uint64_t i = 0; i < MAPPED_GIB; i++)
                table[i] = le64_make((pd + i * GMEM_PAGE_SIZE) | PAGE_PRESENT_WRITE);
        r = gmem_write(gm, pdpt, table, sizeof table);
        for (uint64_t i = 0; r == 0 && i < MAPPED_GIB; i++) {
                for (uint64_t j = 0; j < PAGE_ENTRIES; j++)
                        table[j] = le64_make((i * PAGE_ENTRIES + j) * PAGE_LARGE_SIZE | PAGE_LARGE |
                                             PAGE_PRESENT_WRITE);
                r = gmem_write(gm, pd + i * GMEM_PAGE_SIZE, table, sizeof table);
        }
        return r;
}

static int write_gdt(struct gmem *gm) {
        const le64 gdt[] = {
                le64_make(0), le64_make(0), le64_make(0x00af9b000000ffff), /* 0x10: 64-bit code */
                le64_make(0x00cf93000000ffff),                             /* 0x18: data */
        };
        return gmem_write(gm, LAYOUT_GDT, gdt, sizeof gdt);
}

int boot_load(struct gmem *gm, const struct boot *boot, struct error *e, uint64_t *ret_entry) {
        struct boot_params bp = {
                .acpi_rsdp_addr = boot->rsdp,
                .hdr = {.boot_flag = 0xaa55,
                        .header = SETUP_MAGIC,
                        .version = PROTOCOL,
                        .type_of_loader = LOADER_UNDEFINED,
                        .loadflags = LOADED_HIGH,
                        .kernel_alignment = ALIGNMENT,
                        .initrd_addr_max = (uint32_t)LAYOUT_INITRD_MAX,
                        .cmdline_size = VMM_CMDLINE_MAX - 1,
                        .cmd_line_ptr = LAYOUT_CMDLINE},
        };
        uint64_t entry, end;
        int r = boot_elf(gm, boot->kernel_fd, e, &entry, &end);
        if (r < 0)
                return r;
        if (boot->initrd_fd >= 0) {
                r = load_initrd(gm, boot->initrd_fd, end, e, &bp);
                if (r < 0)
                        return r;
        }
        fill_e820(gm, &bp);
        r = gmem_write(gm, LAYOUT_BOOT_PARAMS, &bp, sizeof bp);
        if (r == 0)
                r = gmem_write(gm, LAYOUT_CMDLINE, boot->cmdline, strlen(boot->cmdline) + 1);
        if (r == 0)
                r = write_gdt(gm);
        if (r == 0)
                r = write_page_tables(gm);
        if (r < 0)
                return error_set(e, r, 0, "the boot tables do not fit into guest memory");
        *ret_entry = entry;
        return 0;
}

void boot_registers(uint64_t entry, struct kvm_regs *regs, struct kvm_sregs *sregs) {
        const struct kvm_segment code = {
                .selector = SELECTOR_CODE,
                .limit = 0xffffffff,
                .type = 11, /* execute, read, accessed */
                .present = 1,
                .s = 1,
                .l = 1,
                .g = 1,
        };
        const struct kvm_segment data = {
                .selector = SELECTOR_DATA,
                .limit = 0xffffffff,
                .type = 3, /* read, write, accessed */
                .present = 1,
                .s = 1,
                .db = 1,
                .g = 1,
        };
        sregs->cs = code;
        sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
        sregs->gdt = (struct kvm_dtable){.base = LAYOUT_GDT, .limit = 4 * 8 - 1};
        sregs->idt = (struct kvm_dtable){0};
        sregs->cr3 = LAYOUT_PAGE_TABLES;
        sregs->cr4 = CR4_PAE;
        sregs->cr0 = CR0_PE | CR0_ET | CR0_PG;
        sregs->efer = EFER_LME | EFER_LMA;
        *regs = (struct kvm_regs){
                .rip = entry,
                .rsi = LAYOUT_BOOT_PARAMS,
                .rsp = LAYOUT_BOOT_PARAMS, /* below it is free */
                .rflags = 2,
        };
}
