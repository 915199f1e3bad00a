// SPDX-License-Identifier: MIT
#include "vmm/boot-elf.h"
#include <elf.h>
#include <errno.h>
#include <string.h>
#include "base/fd.h"
#include "vmm/layout.h"
#include "wire/hresult.h"

enum { COPY_SIZE = 1 << 20 };

static int bad(struct error *e, const char *what) {
        return error_set(e, -ENOEXEC, 0,
                "kernel: %s: what is accepted is an x86-64 ELF file (vmlinux) with a 64-bit entry; "
                "a compressed bzImage is unpacked before it comes here",
                what);
}

/* Segments are read straight into guest memory, in pieces that one system call may shorten. */
static int load_segment(struct gmem *gm, int fd, const Elf64_Phdr *segment, struct error *e) {
        uint64_t done = 0;
        while (done < segment->p_filesz) {
                struct iovec iov[GMEM_REGIONS_MAX];
                uint64_t n = segment->p_filesz - done;
                if (n > COPY_SIZE)
                        n = COPY_SIZE;
                int pieces = gmem_iov(gm, segment->p_paddr + done, n, iov, GMEM_REGIONS_MAX);
                if (pieces < 0)
                        return pieces;
                ssize_t got = preadv(fd, iov, pieces, (off_t)(segment->p_offset + done));
                if (got < 0)
                        return error_set(e, -errno, 0, "kernel: %s", strerror(errno));
                if (got == 0)
                        return bad(e, "the file ends inside a segment");
                done += (uint64_t)got;
        }
        return 0;
}

static int check_header(const Elf64_Ehdr *header, struct error *e) {
        if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
                return bad(e, "not an ELF file");
        if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
                header->e_machine != EM_X86_64)
                return bad(e, "an ELF file for another machine");
        if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
                return bad(e, "an ELF file that is no program");
        if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
                header->e_phnum > BOOT_SEGMENTS_MAX)
                return bad(e, "an ELF file with a strange segment table");
        return 0;
}

static int check_segment(const struct gmem *gm, const Elf64_Phdr *segment, struct error *e) {
        if (segment->p_filesz > segment->p_memsz)
                return bad(e, "a segment larger in the file than in memory");
        if (segment->p_offset > INT64_MAX - segment->p_filesz)
                return bad(e, "a segment past the end of every file");
        if (segment->p_paddr < LAYOUT_KERNEL_MIN ||
                !gmem_valid(gm, segment->p_paddr, segment->p_memsz))
                return error_set(e, -ENOMEM, 0,
                        "kernel: a segment of %llu bytes at address 0x%llx is not in RAM: give the "
                        "machine more memory",
                        (unsigned long long)segment->p_memsz, (unsigned long long)segment->p_paddr);
        return 0;
}

int boot_elf(struct gmem *gm, int fd, struct error *e, uint64_t *ret_entry, uint64_t *ret_end) {
        Elf64_Ehdr header;
        Elf64_Phdr segments[BOOT_SEGMENTS_MAX];
        ssize_t n = fd_pread_full(fd, &header, sizeof header, 0);
        if (n < 0)
                return error_set(e, (int)n, 0, "kernel: %s", strerror((int)-n));
        if ((size_t)n < sizeof header)
                return bad(e, "not an ELF file");
        int r = check_header(&header, e);
        if (r < 0)
                return r;
        size_t size = header.e_phnum * sizeof *segments;
        n = fd_pread_full(fd, segments, size, header.e_phoff);
        if (n < 0 || (size_t)n < size)
                return bad(e, "the file ends inside its segment table");

        uint64_t end = 0;
        bool entry_loaded = false;
        for (size_t i = 0; i < header.e_phnum; i++) {
                const Elf64_Phdr *segment = &segments[i];
                if (segment->p_type != PT_LOAD || segment->p_memsz == 0)
                        continue;
                r = check_segment(gm, segment, e);
                if (r < 0)
                        return r;
                r = load_segment(gm, fd, segment, e);
                if (r < 0)
                        return r;
                if (segment->p_paddr + segment->p_memsz > end)
                        end = segment->p_paddr + segment->p_memsz;
                if (header.e_entry >= segment->p_paddr &&
                        header.e_entry - segment->p_paddr < segment->p_filesz)
                        entry_loaded = true;
        }
        if (!entry_loaded)
                return bad(e, "the entry is in no segment (a physical address is needed)");
        *ret_entry = header.e_entry;
        *ret_end = end;
        return 0;
}
