// SPDX-License-Identifier: MIT
/* A machine whose kernel is a few instructions, and what its owner was told. */
#pragma once
#include <dirent.h>
#include <elf.h>
#include <time.h>
#include <unistd.h>
#include "../test.h"
#include "base/fault.h"
#include "base/fd.h"
#include "vmwp/machine.h"

enum { RIG_MEMORY = 64 << 20, RIG_KERNEL = 0x1000000, RIG_ROUNDS = 5000 };

/* Kernels; ports are written again and again until the machine has ended. */
#define CODE_RESET      "\x66\xba\xf9\x0c\xb0\x0e\xee\xeb\xfd"     /* mov dx,0cf9; mov al,0e; out */
#define CODE_RESET_ONCE "\x66\xba\xf9\x0c\xb0\x0e\xee\xf4\xeb\xfd" /* then it halts */
#define CODE_POWER_OFF  "\x66\xba\x04\x06\x66\xb8\x00\x34\x66\xef\xeb\xfc" /* ACPI S5 */
#define CODE_FAULT      "\x0f\x0b"                                         /* ud2, and no IDT */
#define CODE_HALT       "\xf4\xeb\xfd"
/* 'A', a bell, 'B' on COM1, then it halts. */
#define CODE_HELLO "\x66\xba\xf8\x03\xb0\x41\xee\xb0\x07\xee\xb0\x42\xee\xf4\xeb\xfd"

struct rig {
        struct io_loop *loop;
        struct machine_config config;
        struct machine *machine;
        unsigned stops, restarts;
        enum machine_stop why;
};

static void rig_stopped(void *ctx, enum machine_stop why, const struct vmm_event *event) {
        struct rig *rig = ctx;
        (void)event;
        rig->stops++;
        rig->why = why;
}

static void rig_restarted(void *ctx) {
        ((struct rig *)ctx)->restarts++;
}

static const struct machine_ops rig_ops = {.stopped = rig_stopped, .restarted = rig_restarted};

static int rig_kernel(const char *code, size_t size) {
        int fd;
        struct {
                Elf64_Ehdr header;
                Elf64_Phdr segment;
                char code[64];
        } image = {
                .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                        .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_entry = RIG_KERNEL,
                        .e_phoff = sizeof(Elf64_Ehdr),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 1},
                .segment = {.p_type = PT_LOAD,
                        .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                        .p_paddr = RIG_KERNEL,
                        .p_filesz = sizeof image.code,
                        .p_memsz = sizeof image.code},
        };
        ck_assert_uint_le(size, sizeof image.code);
        memcpy(image.code, code, size);
        assert_ok(fd_memfd("kernel", 0, &fd));
        assert_ok(fd_write_full(fd, &image, sizeof image));
        return fd;
}

/* Everything but the machine. */
static struct rig *rig_prepare(const char *code, size_t size) {
        struct rig *rig = calloc(1, sizeof *rig);
        struct error e = {0};
        rig->config = (struct machine_config){.initrd_fd = -1, .vps = 1, .memory = RIG_MEMORY};
        ck_assert_msg(vmm_open_kvm(false, &e, &rig->config.kvm_fd) == 0, "%s", e.text);
        rig->config.kernel_fd = rig_kernel(code, size);
        assert_ok(io_loop_new(&rig->loop));
        return rig;
}

static void rig_make(struct rig *rig) {
        struct error e = {0};
        int r = machine_new(rig->loop, &rig->config, &rig_ops, rig, &e, &rig->machine);
        ck_assert_msg(r == 0, "%s", e.text);
}

#define rig_new(code) rig_new_sized(code, sizeof code - 1)
static _unused_ struct rig *rig_new_sized(const char *code, size_t size) {
        struct rig *rig = rig_prepare(code, size);
        rig_make(rig);
        return rig;
}

static _unused_ void rig_start(struct rig *rig) {
        struct error e = {0};
        int r = machine_start(rig->machine, &e);
        ck_assert_msg(r == 0, "%s", e.text);
}

static _unused_ void rig_turn(struct rig *rig, unsigned rounds) {
        for (unsigned i = 0; i < rounds; i++)
                assert_ok(io_loop_once(rig->loop, 1));
}

static _unused_ void rig_sleep(unsigned ms) {
        const struct timespec t = {.tv_nsec = ms * 1000000L};
        nanosleep(&t, NULL);
}

static struct rig *rig_free(struct rig *rig) {
        ck_assert_ptr_null(machine_free(rig->machine));
        io_loop_free(rig->loop);
        fd_close(rig->config.kernel_fd);
        fd_close(rig->config.kvm_fd);
        free(rig);
        return NULL;
}

/* Entries of /proc/self/fd, or of /proc/self/task. */
static _unused_ unsigned rig_count(const char *directory) {
        unsigned n = 0;
        DIR *d = opendir(directory);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}
