// SPDX-License-Identifier: MIT
#include "bare.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/error.h"
#include "vmm/boot.h"

enum { IOAPIC_PINS = 24, CPUID_MAX = 256 };
#define APIC_ADDRESS 0xfee00000u

int bare_must(int r, const char *what) {
        if (r >= 0)
                return r;
        fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

double bare_now_us(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void bare_new(int kvm_fd, uint64_t memory, struct bare *ret) {
        struct bare b = {0};
        struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {IOAPIC_PINS}};
        bare_must(gmem_new(memory, &b.gm), "guest memory");
        bare_must(gmem_add(b.gm, 0, memory), "guest memory");
        b.vm_fd = bare_must(ioctl(kvm_fd, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
        bare_must(ioctl(b.vm_fd, KVM_ENABLE_CAP, &split), "KVM_CAP_SPLIT_IRQCHIP");
        struct kvm_userspace_memory_region slot = {
                .memory_size = memory,
                .userspace_addr = (uintptr_t)gmem_region(b.gm, 0).mapping,
        };
        bare_must(ioctl(b.vm_fd, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
        b.vcpu_fd = bare_must(ioctl(b.vm_fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
        b.run_size = (size_t)bare_must(
                ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
        b.run = mmap(NULL, b.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, b.vcpu_fd, 0);
        bare_must(b.run == MAP_FAILED ? -1 : 0, "mmap of a VP");
        *ret = b;
}

void bare_done(struct bare *b) {
        munmap(b->run, b->run_size);
        close(b->vcpu_fd);
        close(b->vm_fd);
        gmem_free(b->gm);
}

void bare_load_code(struct bare *b, const void *code, size_t size) {
        struct kvm_sregs sregs;
        struct kvm_regs regs = {.rflags = 2};
        bare_must(gmem_write(b->gm, 0, code, size), "guest memory");
        bare_must(ioctl(b->vcpu_fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        bare_must(ioctl(b->vcpu_fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
        bare_must(ioctl(b->vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void set_cpuid(struct bare *b, int kvm_fd) {
        struct kvm_cpuid2 *table = calloc(1, sizeof *table + CPUID_MAX * sizeof table->entries[0]);
        bare_must(table ? 0 : -1, "calloc");
        table->nent = CPUID_MAX;
        bare_must(ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, table), "KVM_GET_SUPPORTED_CPUID");
        bare_must(ioctl(b->vcpu_fd, KVM_SET_CPUID2, table), "KVM_SET_CPUID2");
        free(table);
}

void bare_load_kernel(struct bare *b, int kvm_fd, int kernel_fd, const char *cmdline) {
        const struct boot boot = {.kernel_fd = kernel_fd, .initrd_fd = -1, .cmdline = cmdline};
        struct error e = {0};
        uint64_t entry = 0;
        if (boot_load(b->gm, &boot, &e, &entry) < 0) {
                fprintf(stderr, "bench: %s\n", e.text);
                exit(EXIT_FAILURE);
        }
        struct kvm_regs regs;
        struct kvm_sregs sregs;
        set_cpuid(b, kvm_fd);
        bare_must(ioctl(b->vcpu_fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
        boot_registers(entry, &regs, &sregs);
        bare_must(ioctl(b->vcpu_fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
        bare_must(ioctl(b->vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

void bare_run(struct bare *b) {
        int r;
        do
                r = ioctl(b->vcpu_fd, KVM_RUN, 0);
        while (r < 0 && errno == EINTR);
        bare_must(r, "KVM_RUN");
}

void bare_signal_msi(struct bare *b, uint8_t vector) {
        struct kvm_msi msi = {.address_lo = APIC_ADDRESS, .data = vector};
        bare_must(ioctl(b->vm_fd, KVM_SIGNAL_MSI, &msi), "KVM_SIGNAL_MSI");
}
