// SPDX-License-Identifier: MIT
/* Which kernels run on a KVM without VT-x or AMD-V behind it. Such a KVM interprets ring 0, and a
 * distribution's kernel hangs on it instead of failing; one that keeps to what is interpreted says
 * so in an ELF note {"Sandbar", VMM_NOTE_ANY_KVM}. */
#include <elf.h>
#include <string.h>
#include "base/fd.h"
#include "base/rd.h"
#include "vmm/boot-elf.h"
#include "vmm/vmm.h"

enum { NOTES_MAX = 64 * 1024 };
static const char note_owner[] = "Sandbar";

static bool notes_have_ours(const uint8_t *notes, size_t size) {
        struct rd rd = rd_make(notes, size);
        for (;;) {
                uint32_t name_size, desc_size, type;
                const uint8_t *name;
                if (rd_le32(&rd, &name_size) < 0 || rd_le32(&rd, &desc_size) < 0 ||
                        rd_le32(&rd, &type) < 0 || name_size > NOTES_MAX || desc_size > NOTES_MAX ||
                        rd_view(&rd, (name_size + 3) & ~3u, &name) < 0)
                        return false;
                if (type == VMM_NOTE_ANY_KVM && name_size == sizeof note_owner &&
                        memcmp(name, note_owner, sizeof note_owner) == 0)
                        return true;
                if (rd_skip(&rd, (desc_size + 3) & ~3u) < 0)
                        return false;
        }
}

bool vmm_kernel_needs_hardware(int kernel_fd) {
        Elf64_Ehdr header;
        Elf64_Phdr segments[BOOT_SEGMENTS_MAX];
        if (fd_pread_full(kernel_fd, &header, sizeof header, 0) != sizeof header ||
                memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
                header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > BOOT_SEGMENTS_MAX)
                return true;
        size_t size = header.e_phnum * sizeof *segments;
        if (fd_pread_full(kernel_fd, segments, size, header.e_phoff) != (ssize_t)size)
                return true;
        for (size_t i = 0; i < header.e_phnum; i++) {
                if (segments[i].p_type != PT_NOTE || segments[i].p_filesz > NOTES_MAX)
                        continue;
                _cleanup_free_ uint8_t *notes = malloc(segments[i].p_filesz + 1);
                ssize_t n = notes ? fd_pread_full(kernel_fd, notes, segments[i].p_filesz,
                                            segments[i].p_offset)
                                  : -1;
                if (n > 0 && notes_have_ours(notes, (size_t)n))
                        return false;
        }
        return true;
}
