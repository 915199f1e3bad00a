// SPDX-License-Identifier: MIT
/* Makes a partition out of KVM: a VM with memory slots and VPs. A reset throws the VM away and
 * makes another one in its place, so that nothing of the old machine can show through; the
 * descriptors keep their numbers, so that other threads may go on using them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"
#include "vmm/layout.h"
#include "vmm/partition.h"
#include "wire/hresult.h"

enum { MSR_BITMAP_BITS = 0x1000 }; /* all of 0x40000000..0x40000fff comes to us */
#define MEMORY_GRAIN           0x200000ull
#define MEMORY_MIN             0x4000000ull
#define MTRR_DEF_TYPE          0x2ffu
#define MTRR_ENABLE_WRITE_BACK 0x806ull

static int kvm_failed(struct error *e, int r, const char *what) {
        return error_set(e, r, 0, "KVM: %s: %s", what, strerror(-r));
}

static int enable_cap(int fd, uint32_t cap, uint64_t arg) {
        struct kvm_enable_cap args = {.cap = cap, .args = {arg}};
        return kvm_ioctl(fd, KVM_ENABLE_CAP, &args);
}

static int filter_msrs(int vm_fd) {
        uint8_t denied[MSR_BITMAP_BITS / 8] = {0}; /* a clear bit denies */
        struct kvm_msr_filter filter = {
                .flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
                .ranges = {{
                        .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
                        .base = 0x40000000,
                        .nmsrs = MSR_BITMAP_BITS,
                        .bitmap = denied,
                }},
        };
        int r = enable_cap(vm_fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
        return r < 0 ? r : kvm_ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter);
}

static int set_memory(const struct vmm *vmm, int vm_fd) {
        for (size_t i = 0; i < gmem_regions(vmm->gm); i++) {
                struct gmem_region region = gmem_region(vmm->gm, i);
                struct kvm_userspace_memory_region slot = {
                        .slot = (uint32_t)i,
                        .guest_phys_addr = region.gpa,
                        .memory_size = region.size,
                        .userspace_addr = (uintptr_t)region.mapping,
                };
                int r = kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int set_up_vm(const struct vmm *vmm, int vm_fd, struct error *e) {
        uint64_t identity_map = LAYOUT_IDENTITY_MAP;
        int r = kvm_ioctl_value(vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS);
        if (r < 0)
                return kvm_failed(e, r, "KVM_SET_TSS_ADDR");
        r = kvm_ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
        if (r < 0)
                return kvm_failed(e, r, "KVM_SET_IDENTITY_MAP_ADDR");
        r = enable_cap(vm_fd, KVM_CAP_SPLIT_IRQCHIP, IOAPIC_PINS);
        if (r < 0)
                return kvm_failed(e, r, "KVM_CAP_SPLIT_IRQCHIP");
        r = filter_msrs(vm_fd);
        if (r < 0)
                return kvm_failed(e, r, "KVM_X86_SET_MSR_FILTER");
        r = set_memory(vmm, vm_fd);
        return r < 0 ? kvm_failed(e, r, "KVM_SET_USER_MEMORY_REGION") : 0;
}

/* Asked for once: KVM executes CPUID for every leaf, which a host that is a guest itself pays
 * dearly for. */
static int read_cpuid(struct vmm *vmm, struct error *e) {
        vmm->cpuid = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *vmm->cpuid);
        if (!vmm->cpuid)
                return error_set(e, -ENOMEM, 0, "no memory for the machine");
        vmm->cpuid->nent = CPUID_ENTRIES_MAX;
        int r = kvm_ioctl(vmm->config.kvm_fd, KVM_GET_SUPPORTED_CPUID, vmm->cpuid);
        return r < 0 ? kvm_failed(e, r, "KVM_GET_SUPPORTED_CPUID") : 0;
}

static int set_cpuid(const struct vmm *vmm, int vcpu_fd, uint32_t index) {
        struct cpuid_table table = *vmm->cpuid;
        struct hv_cpuid hv[HV_CPUID_LEAVES_MAX];
        size_t n_hv = vmm->hv ? hv_cpuid(vmm->hv, hv) : 0;
        int r = cpuid_for_vp(&table, index, vmm->config.vps, hv, n_hv);
        return r < 0 ? r : kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, &table);
}

static int set_up_vp(const struct vmm *vmm, int vcpu_fd, uint32_t index, struct error *e) {
        int r = enable_cap(vcpu_fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1);
        if (r < 0)
                return kvm_failed(e, r, "KVM_CAP_ENFORCE_PV_FEATURE_CPUID");
        r = set_cpuid(vmm, vcpu_fd, index);
        if (r < 0)
                return kvm_failed(e, r, "KVM_SET_CPUID2");
        /* As firmware leaves it: memory is write-back by default. Without it Linux drops the PAT.
         */
        r = kvm_set_msr(vcpu_fd, MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK);
        return r < 0 ? kvm_failed(e, r, "KVM_SET_MSRS") : 0;
}

/* Moves `fd` to the number *place, or takes its own when there was none. */
static int put_fd(int fd, int *place) {
        if (*place < 0) {
                *place = fd;
                return 0;
        }
        int r = dup3(fd, *place, O_CLOEXEC) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static int make_vp(struct vmm *vmm, struct vp *vp, struct error *e) {
        int r = kvm_ioctl_value(vmm->vm_fd, KVM_CREATE_VCPU, vp->index);
        if (r < 0)
                return kvm_failed(e, r, "KVM_CREATE_VCPU");
        r = put_fd(r, &vp->fd);
        if (r < 0)
                return kvm_failed(e, r, "dup3");
        void *run = fault_hit(FAULT_ALLOC) ? MAP_FAILED
                                           : mmap(NULL, vmm->run_size, PROT_READ | PROT_WRITE,
                                                     MAP_SHARED, vp->fd, 0);
        if (run == MAP_FAILED)
                return kvm_failed(e, -ENOMEM, "mmap of a VP");
        if (vp->run)
                munmap(vp->run, vmm->run_size);
        vp->run = run;
        return 0;
}

static int make_vm(struct vmm *vmm, struct error *e) {
        int fd = kvm_ioctl_value(vmm->config.kvm_fd, KVM_CREATE_VM, 0);
        if (fd < 0)
                return kvm_failed(e, fd, "KVM_CREATE_VM");
        int r = set_up_vm(vmm, fd, e);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = put_fd(fd, &vmm->vm_fd);
        if (r < 0)
                return kvm_failed(e, r, "dup3");
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                r = make_vp(vmm, &vmm->vps[i], e);
                if (r < 0)
                        return r;
        }
        timebase_reset(vmm); /* the VPs' counters began at 0 just now */
        return 0;
}

/* Once: the VP's counter and the Hyper-V personality that describes it. */
static int make_hv(struct vmm *vmm, struct error *e) {
        int khz = kvm_ioctl_value(vmm->vps[0].fd, KVM_GET_TSC_KHZ, 0);
        if (khz <= 0)
                return kvm_failed(e, khz < 0 ? khz : -EIO, "KVM_GET_TSC_KHZ");
        vmm->tsc_khz = (uint32_t)khz;
        if (vmm->config.no_hyperv)
                return 0;
        const struct hv_config config = {
                .vps = vmm->config.vps,
                .tsc_khz = vmm->tsc_khz,
                .apic_hz = VMM_APIC_HZ,
                .privileges = hv_privileges_default,
        };
        int r = hv_new(vmm->gm, &config, &vp_hv_ops, vmm, &vmm->hv);
        return r < 0 ? error_set(e, r, 0, "Hyper-V personality: %s", strerror(-r)) : 0;
}

static int set_up_vps(struct vmm *vmm, struct error *e) {
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                int r = set_up_vp(vmm, vmm->vps[i].fd, i, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_memory(struct vmm *vmm, struct error *e) {
        uint64_t size = vmm->config.memory;
        uint64_t low = size < LAYOUT_LOW_END ? size : LAYOUT_LOW_END;
        int r = gmem_new(size, &vmm->gm);
        if (r == 0)
                r = gmem_add(vmm->gm, 0, low);
        if (r == 0 && size > low)
                r = gmem_add(vmm->gm, LAYOUT_HIGH, size - low);
        if (r < 0)
                return error_set(e, r, 0, "%llu MiB of guest memory: %s",
                        (unsigned long long)(size >> 20), strerror(-r));
        return 0;
}

static int check_config(const struct vmm_config *config, struct error *e) {
        if (config->vps < 1 || config->vps > VMM_VPS_MAX)
                return error_set(e, -EINVAL, 0, "%u virtual processors: 1 to %u are possible",
                        config->vps, VMM_VPS_MAX);
        if (config->memory < MEMORY_MIN || config->memory % MEMORY_GRAIN != 0)
                return error_set(e, -EINVAL, 0,
                        "%llu bytes of memory: a multiple of 2 MiB from 64 MiB on is possible",
                        (unsigned long long)config->memory);
        if (config->cmdline && strlen(config->cmdline) >= VMM_CMDLINE_MAX)
                return error_set(e, -E2BIG, 0,
                        "the kernel command line has %zu bytes: %u are possible",
                        strlen(config->cmdline), VMM_CMDLINE_MAX - 1);
        return 0;
}

static void init_fields(struct vmm *vmm, const struct vmm_config *config) {
        vmm->config = *config;
        vmm->vm_fd = -1;
        vmm->parked = 0;
        pthread_mutex_init(&vmm->run_lock, NULL);
        pthread_mutex_init(&vmm->time_lock, NULL);
        pthread_mutex_init(&vmm->platform_lock, NULL);
        pthread_mutex_init(&vmm->doorbell_lock, NULL);
        pthread_cond_init(&vmm->run_changed, NULL);
        for (uint32_t i = 0; i < config->vps; i++) {
                vmm->vps[i].vmm = vmm;
                vmm->vps[i].index = i;
                vmm->vps[i].fd = -1;
        }
}

/* Everything but the VM. */
static int make_rest(struct vmm *vmm, struct error *e) {
        const char *cmdline = vmm->config.cmdline ? vmm->config.cmdline : "";
        vmm->cmdline = fault_hit(FAULT_ALLOC) ? NULL : strdup(cmdline);
        if (!vmm->cmdline)
                return error_set(e, -ENOMEM, 0, "no memory for the machine");
        vmm->config.cmdline = vmm->cmdline;
        int r = platform_init(vmm);
        if (r < 0)
                return error_set(e, r, 0, "the device table: %s", strerror(-r));
        r = kvm_ioctl_value(vmm->config.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
        if (r < 0)
                return kvm_failed(e, r, "KVM_GET_VCPU_MMAP_SIZE");
        vmm->run_size = (size_t)r;
        r = read_cpuid(vmm, e);
        return r < 0 ? r : make_memory(vmm, e);
}

int vmm_new(const struct vmm_config *config, const struct vmm_ops *ops, void *ctx, struct error *e,
        struct vmm **ret) {
        _cleanup_(vmm_freep) struct vmm *vmm = NULL;
        int r = check_config(config, e);
        if (r < 0)
                return r;
        vmm = fault_hit(FAULT_ALLOC) ? NULL
                                     : calloc(1, sizeof *vmm + config->vps * sizeof vmm->vps[0]);
        if (!vmm)
                return error_set(e, -ENOMEM, 0, "no memory for the machine");
        init_fields(vmm, config);
        vmm->ops = ops;
        vmm->ctx = ctx;
        r = make_rest(vmm, e);
        if (r == 0)
                r = make_vm(vmm, e);
        if (r == 0)
                r = make_hv(vmm, e);
        if (r == 0)
                r = set_up_vps(vmm, e);
        if (r < 0)
                return r;
        r = run_start_threads(vmm);
        if (r < 0)
                return error_set(e, r, 0, "a thread for each virtual processor: %s", strerror(-r));
        *ret = TAKE_PTR(vmm);
        return 0;
}

struct vmm *vmm_free(struct vmm *vmm) {
        if (!vmm)
                return NULL;
        run_stop_threads(vmm);
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                if (vmm->vps[i].run)
                        munmap(vmm->vps[i].run, vmm->run_size);
                fd_close(vmm->vps[i].fd);
        }
        fd_close(vmm->vm_fd);
        hv_free(vmm->hv);
        gmem_free(vmm->gm);
        free(vmm->doorbells);
        free(vmm->cpuid);
        free(vmm->cmdline);
        pthread_cond_destroy(&vmm->run_changed);
        pthread_mutex_destroy(&vmm->doorbell_lock);
        pthread_mutex_destroy(&vmm->platform_lock);
        pthread_mutex_destroy(&vmm->time_lock);
        pthread_mutex_destroy(&vmm->run_lock);
        free(vmm);
        return NULL;
}

static int zero_memory(struct vmm *vmm) {
        for (size_t i = 0; i < gmem_regions(vmm->gm); i++) {
                struct gmem_region region = gmem_region(vmm->gm, i);
                int r = gmem_discard(vmm->gm, region.gpa, region.size);
                if (r < 0)
                        return r;
        }
        return 0;
}

int vmm_reset(struct vmm *vmm, struct error *e) {
        int r = make_vm(vmm, e);
        if (r < 0)
                return error_prefix(e, r, "reset");
        r = zero_memory(vmm);
        if (r < 0)
                return error_set(e, r, 0, "reset: guest memory: %s", strerror(-r));
        pthread_mutex_lock(&vmm->platform_lock);
        platform_reset(vmm);
        pthread_mutex_unlock(&vmm->platform_lock);
        if (vmm->hv)
                hv_reset(vmm->hv);
        r = set_up_vps(vmm, e);
        if (r < 0)
                return error_prefix(e, r, "reset");
        r = doorbell_rebind(vmm);
        if (r < 0)
                return error_set(e, r, 0, "reset: the doorbells: %s", strerror(-r));
        vmm->loaded = false;
        atomic_store(&vmm->ended, false);
        atomic_store(&vmm->raised, 0);
        return partition_load(vmm, e);
}

int partition_load(struct vmm *vmm, struct error *e) {
        if (vmm->loaded)
                return 0;
        struct boot boot = {
                .kernel_fd = vmm->config.kernel_fd,
                .initrd_fd = vmm->config.initrd_fd,
                .cmdline = vmm->cmdline,
        };
        vmm->loaded = true;
        if (boot.kernel_fd < 0)
                return 0;
        int r = acpi_write_tables(vmm->gm, vmm->config.vps, &boot.rsdp);
        if (r < 0)
                return error_set(e, r, 0, "the ACPI tables: %s", strerror(-r));
        uint64_t entry;
        r = boot_load(vmm->gm, &boot, e, &entry);
        if (r < 0)
                return r;
        struct kvm_regs regs;
        struct kvm_sregs sregs;
        r = kvm_ioctl(vmm->vps[0].fd, KVM_GET_SREGS, &sregs);
        if (r < 0)
                return kvm_failed(e, r, "KVM_GET_SREGS");
        boot_registers(entry, &regs, &sregs);
        r = kvm_ioctl(vmm->vps[0].fd, KVM_SET_SREGS, &sregs);
        if (r >= 0)
                r = kvm_ioctl(vmm->vps[0].fd, KVM_SET_REGS, &regs);
        return r < 0 ? kvm_failed(e, r, "KVM_SET_SREGS") : 0;
}

void partition_signal_msi(struct vmm *vmm, uint64_t address, uint32_t data) {
        struct kvm_msi msi = {
                .address_lo = (uint32_t)address,
                .address_hi = (uint32_t)(address >> 32),
                .data = data,
        };
        /* A processor that has its local APIC off drops it, as hardware does. */
        (void)!kvm_ioctl(vmm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

void vmm_nmi(struct vmm *vmm) {
        /* As a message, since an ioctl on a VP waits for the VP to come out. */
        enum { DELIVERY_NMI = 4 << 8 };
        partition_signal_msi(vmm, LAYOUT_LAPIC, DELIVERY_NMI);
}

struct gmem *vmm_gmem(struct vmm *vmm) {
        return vmm->gm;
}

uint32_t vmm_vps(const struct vmm *vmm) {
        return vmm->config.vps;
}

uint64_t vmm_reference_time(struct vmm *vmm) {
        return timebase_now(vmm);
}

int vmm_post(struct vmm *vmm, uint32_t vp, uint8_t sint, uint32_t type, const void *payload,
        size_t size) {
        return vmm->hv ? hv_post(vmm->hv, vp, sint, type, payload, size) : VMM_E_DISABLED;
}

int vmm_signal(struct vmm *vmm, uint32_t vp, uint8_t sint, uint16_t flag) {
        return vmm->hv ? hv_signal(vmm->hv, vp, sint, flag) : VMM_E_DISABLED;
}
