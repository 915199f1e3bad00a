// SPDX-License-Identifier: MIT
/* A VP: enters the guest and serves what it comes out for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vmm/partition.h"

static void exit_io(struct vp *vp) {
        struct kvm_run *run = vp->run;
        bool write = run->io.direction == KVM_EXIT_IO_OUT;
        unsigned size = run->io.size;
        uint8_t *data = (uint8_t *)run + run->io.data_offset;

        if (write && vp->vmm->hv && size == 4 &&
                (run->io.port == HV_PORT_CALL || run->io.port == HV_PORT_SIGNAL)) {
                vp_call(vp, run->io.port == HV_PORT_SIGNAL);
                return;
        }
        for (uint32_t i = 0; i < run->io.count; i++)
                platform_access(vp->vmm, BUS_PIO, write, run->io.port, data + i * size, size);
}

static void exit_msr(struct vp *vp, bool write) {
        struct kvm_run *run = vp->run;
        struct hv *hv = vp->vmm->hv;
        uint64_t value = run->msr.data;
        int r = HV_E_GP;
        if (hv && hv_msr_owns(run->msr.index))
                r = write ? hv_msr_write(hv, vp->index, run->msr.index, value)
                          : hv_msr_read(hv, vp->index, run->msr.index, &value);
        run->msr.error = r != 0;
        if (r == 0)
                run->msr.data = value;
}

static void describe_code(struct vp *vp, char *text, size_t size) {
        struct kvm_regs regs;
        if (kvm_ioctl(vp->fd, KVM_GET_REGS, &regs) < 0) {
                snprintf(text, size, "at an unknown address");
                return;
        }
        int n = snprintf(text, size, "at RIP 0x%llx", (unsigned long long)regs.rip);
        const struct kvm_run *run = vp->run;
        if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR ||
                run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
                run->emulation_failure.ndata < 3 ||
                !(run->emulation_failure.flags &
                        KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
                return;
        n += snprintf(text + n, size - (size_t)n, ", instruction");
        for (unsigned i = 0; i < run->emulation_failure.insn_size && i < 15; i++)
                n += snprintf(
                        text + n, size - (size_t)n, " %02x", run->emulation_failure.insn_bytes[i]);
}

static void exit_broken(struct vp *vp) {
        const struct kvm_run *run = vp->run;
        char where[128];
        describe_code(vp, where, sizeof where);
        switch (run->exit_reason) {
        case KVM_EXIT_INTERNAL_ERROR:
                run_fail(vp->vmm, "VP %u: KVM cannot go on (internal error %u) %s", vp->index,
                        run->internal.suberror, where);
                break;
        case KVM_EXIT_FAIL_ENTRY:
                run_fail(vp->vmm, "VP %u: the CPU refused to enter the guest (0x%llx) %s",
                        vp->index,
                        (unsigned long long)run->fail_entry.hardware_entry_failure_reason, where);
                break;
        default:
                run_fail(vp->vmm, "VP %u: KVM asks for something unknown (exit %u) %s", vp->index,
                        run->exit_reason, where);
                break;
        }
}

static void serve(struct vp *vp) {
        struct kvm_run *run = vp->run;
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
                exit_io(vp);
                break;
        case KVM_EXIT_MMIO:
                platform_access(vp->vmm, BUS_MMIO, run->mmio.is_write, run->mmio.phys_addr,
                        run->mmio.data, run->mmio.len);
                break;
        case KVM_EXIT_X86_RDMSR:
                exit_msr(vp, false);
                break;
        case KVM_EXIT_X86_WRMSR:
                exit_msr(vp, true);
                break;
        case KVM_EXIT_IOAPIC_EOI:
                platform_eoi(vp->vmm, run->eoi.vector);
                break;
        case KVM_EXIT_SHUTDOWN:
                run_raise_type(vp->vmm, VMM_EVENT_TRIPLE_FAULT);
                break;
        case KVM_EXIT_INTR:
                break;
        default:
                exit_broken(vp);
                break;
        }
}

/* True when there is an exit to serve. */
static bool enter(struct vp *vp) {
        if (ioctl(vp->fd, KVM_RUN, 0) == 0)
                return true;
        if (errno != EINTR && errno != EAGAIN)
                run_fail(vp->vmm, "VP %u: KVM_RUN: %s", vp->index, strerror(errno));
        return false;
}

void vp_complete(struct vp *vp) {
        struct kvm_run *run = vp->run;
        uint8_t before = __atomic_exchange_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        /* An access in several pieces gives further exits. */
        while (enter(vp))
                serve(vp);
        /* A kick that came meanwhile is not lost: `running` is looked at next. */
        __atomic_store_n(&run->immediate_exit, before, __ATOMIC_SEQ_CST);
}

void vp_run(struct vp *vp) {
        while (atomic_load(&vp->vmm->running)) {
                if (enter(vp))
                        serve(vp);
        }
        vp_complete(vp);
}
