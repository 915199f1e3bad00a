// SPDX-License-Identifier: MIT
/* Hypercalls: the page's stub comes out by an OUT. KVM may have moved RIP past that instruction or
 * may do so at the next entry, depending on how it ran it; so the instruction is completed first,
 * and what follows works on registers at rest. */
#include <string.h>
#include <time.h>
#include <x86intrin.h>
#include "base/clock.h"
#include "vmm/layout.h"
#include "vmm/partition.h"
#include "wire/hv.h"

enum { OUT_LENGTH = 2 }; /* of `out imm8, eax` in the stub */
enum { VECTOR_UD = 6, VECTOR_GP = 13 };
enum { UNITS_NS = 100 };

#define CR0_PE   (1ull << 0)
#define EFER_LMA (1ull << 10)

static int inject(struct vp *vp, uint8_t vector, bool has_error_code) {
        struct kvm_vcpu_events events;
        int r = kvm_ioctl(vp->fd, KVM_GET_VCPU_EVENTS, &events);
        if (r < 0)
                return r;
        events.exception.injected = 1;
        events.exception.nr = vector;
        events.exception.has_error_code = has_error_code;
        events.exception.error_code = 0;
        return kvm_ioctl(vp->fd, KVM_SET_VCPU_EVENTS, &events);
}

static struct hv_call make_call(const struct kvm_regs *regs, const struct kvm_sregs *sregs) {
        return (struct hv_call){
                .rax = regs->rax,
                .rbx = regs->rbx,
                .rcx = regs->rcx,
                .rdx = regs->rdx,
                .rsi = regs->rsi,
                .rdi = regs->rdi,
                .r8 = regs->r8,
                .cpl = sregs->ss.dpl,
                .long_mode = (sregs->efer & EFER_LMA) && sregs->cs.l,
                .protected_mode = sregs->cr0 & CR0_PE,
        };
}

static int do_call(struct vp *vp, bool signal) {
        struct hv *hv = vp->vmm->hv;
        struct kvm_regs regs;
        struct kvm_sregs sregs;
        int r = kvm_ioctl(vp->fd, KVM_GET_REGS, &regs);
        if (r >= 0)
                r = kvm_ioctl(vp->fd, KVM_GET_SREGS, &sregs);
        if (r < 0)
                return r;

        const struct hv_call before = make_call(&regs, &sregs);
        struct hv_call call = before;
        int fault = signal ? hv_call_signal(hv, vp->index, &call) : hv_call(hv, vp->index, &call);

        /* The call may have set registers of this VP. */
        r = kvm_ioctl(vp->fd, KVM_GET_REGS, &regs);
        if (r < 0)
                return r;
        if (fault == 0) {
                regs.rax = call.rax;
                if (call.rcx != before.rcx)
                        regs.rcx = call.rcx;
                if (call.rdx != before.rdx)
                        regs.rdx = call.rdx;
        }
        if (fault != 0 || call.again)
                regs.rip -= OUT_LENGTH; /* at the OUT once more */
        r = kvm_ioctl(vp->fd, KVM_SET_REGS, &regs);
        if (r < 0 || fault == 0)
                return r;
        return fault == HV_E_UD ? inject(vp, VECTOR_UD, false) : inject(vp, VECTOR_GP, true);
}

void vp_call(struct vp *vp, bool signal) {
        vp_complete(vp);
        int r = do_call(vp, signal);
        if (r < 0)
                run_fail(vp->vmm, "VP %u: KVM: the registers of a hypercall: %s", vp->index,
                        strerror(-r));
}

static void hv_interrupt(void *ctx, uint32_t vp, uint8_t vector) {
        partition_signal_msi(ctx, LAYOUT_LAPIC | vp << 12, vector);
}

static int hv_get_xmm(void *ctx, uint32_t vp, uint8_t ret[6][16]) {
        for (uint32_t i = 0; i < 6; i++) {
                uint64_t value[2];
                int r = vp_get_register(ctx, vp, HV_REGISTER_XMM0 + i, value);
                if (r < 0)
                        return r;
                memcpy(ret[i], value, sizeof value);
        }
        return 0;
}

static uint64_t hv_reference_time(void *ctx) {
        return timebase_now(ctx);
}

static uint64_t hv_tsc(void *ctx, uint32_t vp) {
        enum { MSR_TSC = 0x10 };
        struct vmm *vmm = ctx;
        uint64_t tsc;
        return kvm_get_msr(vmm->vps[vp].fd, MSR_TSC, &tsc) < 0 ? __rdtsc() : tsc;
}

static uint64_t hv_vp_runtime(_unused_ void *ctx, _unused_ uint32_t vp) {
        struct timespec t;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return ((uint64_t)t.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)t.tv_nsec) / UNITS_NS;
}

static uint64_t hv_clock_ns(_unused_ void *ctx) {
        return clock_now_ns();
}

static uint16_t hv_post_message(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        struct vmm *vmm = ctx;
        return vmm->ops->post_message(vmm->ctx, vp, connection_id, type, payload, size);
}

static bool hv_signal_event(void *ctx, uint32_t connection_id) {
        return doorbell_ring(ctx, connection_id);
}

static void hv_message_slot_free(void *ctx, uint32_t vp, uint8_t sint) {
        struct vmm *vmm = ctx;
        vmm->ops->message_slot_free(vmm->ctx, vp, sint);
}

static void hv_event(void *ctx, const struct vmm_event *event) {
        run_raise(ctx, event);
}

const struct hv_ops vp_hv_ops = {
        .interrupt = hv_interrupt,
        .get_register = vp_get_register,
        .set_register = vp_set_register,
        .get_xmm = hv_get_xmm,
        .reference_time = hv_reference_time,
        .tsc = hv_tsc,
        .vp_runtime = hv_vp_runtime,
        .clock_ns = hv_clock_ns,
        .post_message = hv_post_message,
        .signal_event = hv_signal_event,
        .message_slot_free = hv_message_slot_free,
        .event = hv_event,
};
