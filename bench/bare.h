// SPDX-License-Identifier: MIT
/* The least that KVM can do, against which we are measured: a machine with nothing but memory, a
 * split irqchip and one VP, without a thread, a device or a check of its own. Failures end the
 * program with a message. Threads: the caller's only. */
#pragma once
#include <linux/kvm.h>
#include <stdint.h>
#include "gmem/gmem.h"

struct bare {
        int vm_fd, vcpu_fd;
        size_t run_size;
        struct kvm_run *run;
        struct gmem *gm;
};

void bare_new(int kvm_fd, uint64_t memory, struct bare *ret);
void bare_done(struct bare *bare);
/* Real mode at address 0, where the code is put. */
void bare_load_code(struct bare *bare, const void *code, size_t size);
/* The registers and memory of a kernel's entry, and the CPUID that KVM supports. */
void bare_load_kernel(struct bare *bare, int kvm_fd, int kernel_fd, const char *cmdline);
/* Runs until the next exit to us. */
void bare_run(struct bare *bare);
void bare_signal_msi(struct bare *bare, uint8_t vector);

/* Ends the program unless r is a success. */
int bare_must(int r, const char *what);
double bare_now_us(void);
