// SPDX-License-Identifier: MIT
/* The kernel's KVM interface: one wrapper that tests can make fail, and the check of what the
 * running kernel offers. Internal to src/vmm. */
#pragma once
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"

/* The result (never negative) or negative errno. Counts as one FAULT_KVM operation. */
_warn_unused_ int kvm_ioctl(int fd, unsigned long request, void *arg);
_warn_unused_ int kvm_ioctl_value(int fd, unsigned long request, unsigned long arg);

/* One MSR of a VP. -ENOENT: KVM has none such, -EINVAL: it refuses the value. */
_warn_unused_ int kvm_get_msr(int vcpu_fd, uint32_t index, uint64_t *ret);
_warn_unused_ int kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value);

/* vmm_open_kvm() for a device of any name. */
_warn_unused_ int kvm_open(const char *path, bool stock_kernel, struct error *e, int *ret_fd);
