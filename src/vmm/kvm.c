// SPDX-License-Identifier: MIT
#include "vmm/kvm.h"
#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmm/vmm.h"
#include "wire/hresult.h"

enum { KVM_API = 12 };

/* What the partition is built on, and the first kernel that has it. */
static const struct {
        int number;
        const char *name;
        const char *since;
} capabilities[] = {
        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "2.6.25"},
        {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "2.6.25"},
        {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR", "2.6.32"},
        {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "2.6.32"},
        {KVM_CAP_XSAVE, "KVM_CAP_XSAVE", "2.6.35"},
        {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "3.5"},
        {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", "4.5"},
        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "4.13"},
        {KVM_CAP_GET_MSR_FEATURES, "KVM_CAP_GET_MSR_FEATURES", "4.17"},
        {KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR", "5.10"},
        {KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER", "5.10"},
        {KVM_CAP_ENFORCE_PV_FEATURE_CPUID, "KVM_CAP_ENFORCE_PV_FEATURE_CPUID", "5.10"},
        {KVM_CAP_SREGS2, "KVM_CAP_SREGS2", "5.14"},
        {KVM_CAP_VCPU_ATTRIBUTES, "KVM_CAP_VCPU_ATTRIBUTES", "5.16"},
};

int kvm_ioctl_value(int fd, unsigned long request, unsigned long arg) {
        if (fault_hit(FAULT_KVM))
                return -EIO;
        int r = ioctl(fd, request, arg);
        return r < 0 ? -errno : r;
}

int kvm_ioctl(int fd, unsigned long request, void *arg) {
        return kvm_ioctl_value(fd, request, (unsigned long)arg);
}

/* A struct kvm_msrs with one entry. */
struct one_msr {
        uint32_t n, padding;
        struct kvm_msr_entry entry;
};
static_assert(offsetof(struct one_msr, entry) == offsetof(struct kvm_msrs, entries), "the same");

int kvm_get_msr(int vcpu_fd, uint32_t index, uint64_t *ret) {
        struct one_msr msr = {.n = 1, .entry.index = index};
        int r = kvm_ioctl(vcpu_fd, KVM_GET_MSRS, &msr);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENOENT;
        *ret = msr.entry.data;
        return 0;
}

int kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value) {
        struct one_msr msr = {.n = 1, .entry = {.index = index, .data = value}};
        int r = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &msr);
        return r < 0 ? r : r == 1 ? 0 : -EINVAL;
}

/* By the instruction, not by /proc/cpuinfo, which a jailed process cannot read. */
static bool cpu_has_virtualization(void) {
        unsigned a, b, c, d;
        if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 5)) /* VMX */
                return true;
        return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 2); /* SVM */
}

static int open_failed(struct error *e, const char *path, int r) {
        switch (r) {
        case -EACCES:
        case -EPERM:
                return error_set(e, r, 0,
                        "%s: permission denied: add yourself to the group that owns it "
                        "(`sudo usermod -aG kvm $USER`) and log in again",
                        path);
        case -ENOENT:
        case -ENODEV:
        case -ENXIO:
                return error_set(e, r, HCS_E_HYPERV_NOT_INSTALLED,
                        "%s: no such device: enable virtualization in the firmware and load the "
                        "module kvm_intel or kvm_amd",
                        path);
        default:
                return error_set(e, r, 0, "%s: cannot be opened: %s", path, strerror(-r));
        }
}

static int check_capabilities(int fd, const char *path, struct error *e) {
        int version = kvm_ioctl_value(fd, KVM_GET_API_VERSION, 0);
        if (version != KVM_API)
                return error_set(e, version < 0 ? version : -ENOTSUP, HCS_E_HYPERV_NOT_INSTALLED,
                        "%s: does not speak version %d of the KVM interface: this needs Linux 5.16 "
                        "or later",
                        path, KVM_API);
        for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
                int r = kvm_ioctl_value(fd, KVM_CHECK_EXTENSION, capabilities[i].number);
                if (r <= 0)
                        return error_set(e, r < 0 ? r : -ENOTSUP, HCS_E_HYPERV_NOT_INSTALLED,
                                "%s: lacks %s, which Linux has since %s: run a newer kernel", path,
                                capabilities[i].name, capabilities[i].since);
        }
        return 0;
}

int kvm_open(const char *path, bool stock_kernel, struct error *e, int *ret_fd) {
        _cleanup_close_ int fd = -1;
        if (fault_hit(FAULT_FD))
                return open_failed(e, path, -EMFILE);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return open_failed(e, path, -errno);
        int r = check_capabilities(fd, path, e);
        if (r < 0)
                return r;
        if (stock_kernel && !cpu_has_virtualization())
                return error_set(e, -ENODEV, HR_NO_HYPERVISOR,
                        "%s: this CPU shows neither VT-x nor AMD-V, without which no distribution "
                        "kernel boots: run it in the lab (tools/lab -- COMMAND), or on a host with "
                        "VT-x or AMD-V",
                        path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int vmm_open_kvm(bool stock_kernel, struct error *e, int *ret_fd) {
        return kvm_open("/dev/kvm", stock_kernel, e, ret_fd);
}
