// SPDX-License-Identifier: MIT
/* HV_REGISTER_NAME (TLFS 7.8) on the registers that KVM holds. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "vmm/partition.h"
#include "wire/hv.h"

/* In the order of the names. */
static const size_t general[] = {
        offsetof(struct kvm_regs, rax),
        offsetof(struct kvm_regs, rcx),
        offsetof(struct kvm_regs, rdx),
        offsetof(struct kvm_regs, rbx),
        offsetof(struct kvm_regs, rsp),
        offsetof(struct kvm_regs, rbp),
        offsetof(struct kvm_regs, rsi),
        offsetof(struct kvm_regs, rdi),
        offsetof(struct kvm_regs, r8),
        offsetof(struct kvm_regs, r9),
        offsetof(struct kvm_regs, r10),
        offsetof(struct kvm_regs, r11),
        offsetof(struct kvm_regs, r12),
        offsetof(struct kvm_regs, r13),
        offsetof(struct kvm_regs, r14),
        offsetof(struct kvm_regs, r15),
        offsetof(struct kvm_regs, rip),
        offsetof(struct kvm_regs, rflags),
};

static const struct {
        uint32_t name;
        size_t offset;
} control[] = {
        {HV_REGISTER_CR0, offsetof(struct kvm_sregs, cr0)},
        {HV_REGISTER_CR2, offsetof(struct kvm_sregs, cr2)},
        {HV_REGISTER_CR3, offsetof(struct kvm_sregs, cr3)},
        {HV_REGISTER_CR4, offsetof(struct kvm_sregs, cr4)},
        {HV_REGISTER_CR8, offsetof(struct kvm_sregs, cr8)},
        {HV_REGISTER_EFER, offsetof(struct kvm_sregs, efer)},
        {HV_REGISTER_APIC_BASE, offsetof(struct kvm_sregs, apic_base)},
};

static const size_t segments[] = {
        offsetof(struct kvm_sregs, es),
        offsetof(struct kvm_sregs, cs),
        offsetof(struct kvm_sregs, ss),
        offsetof(struct kvm_sregs, ds),
        offsetof(struct kvm_sregs, fs),
        offsetof(struct kvm_sregs, gs),
        offsetof(struct kvm_sregs, ldt),
        offsetof(struct kvm_sregs, tr),
};

static const struct {
        uint32_t name;
        uint32_t msr;
} msrs[] = {
        {HV_REGISTER_TSC, 0x10},
        {HV_REGISTER_KERNEL_GS_BASE, 0xc0000102},
        {HV_REGISTER_PAT, 0x277},
        {HV_REGISTER_SYSENTER_CS, 0x174},
        {HV_REGISTER_SYSENTER_RSP, 0x175},
        {HV_REGISTER_SYSENTER_RIP, 0x176},
        {HV_REGISTER_STAR, 0xc0000081},
        {HV_REGISTER_LSTAR, 0xc0000082},
        {HV_REGISTER_CSTAR, 0xc0000083},
        {HV_REGISTER_SFMASK, 0xc0000084},
        {HV_REGISTER_TSC_AUX, 0xc0000103},
};

/* Each of these reads a register when `write` is false and changes it when true. */
struct access {
        int fd;
        uint32_t name;
        bool write;
        uint64_t *value;
};

static void move64(const struct access *a, void *reg) {
        if (a->write)
                memcpy(reg, &a->value[0], 8);
        else
                memcpy(&a->value[0], reg, 8);
}

static int access_general(const struct access *a, size_t offset) {
        struct kvm_regs regs;
        int r = kvm_ioctl(a->fd, KVM_GET_REGS, &regs);
        if (r < 0)
                return r;
        move64(a, (char *)&regs + offset);
        return a->write ? kvm_ioctl(a->fd, KVM_SET_REGS, &regs) : 0;
}

static void move_segment(const struct access *a, struct kvm_segment *s) {
        if (!a->write) {
                a->value[0] = s->base;
                a->value[1] = s->limit | (uint64_t)s->selector << 32 | (uint64_t)s->type << 48 |
                              (uint64_t)s->s << 52 | (uint64_t)s->dpl << 53 |
                              (uint64_t)s->present << 55 | (uint64_t)s->avl << 60 |
                              (uint64_t)s->l << 61 | (uint64_t)s->db << 62 | (uint64_t)s->g << 63;
                return;
        }
        uint64_t v = a->value[1];
        *s = (struct kvm_segment){
                .base = a->value[0],
                .limit = (uint32_t)v,
                .selector = (uint16_t)(v >> 32),
                .type = v >> 48 & 15,
                .s = v >> 52 & 1,
                .dpl = v >> 53 & 3,
                .present = v >> 55 & 1,
                .avl = v >> 60 & 1,
                .l = v >> 61 & 1,
                .db = v >> 62 & 1,
                .g = v >> 63,
                .unusable = !(v >> 55 & 1),
        };
}

static void move_table(const struct access *a, struct kvm_dtable *t) {
        if (a->write) {
                t->limit = (uint16_t)(a->value[0] >> 48);
                t->base = a->value[1];
        } else {
                a->value[0] = (uint64_t)t->limit << 48;
                a->value[1] = t->base;
        }
}

static int access_special(const struct access *a) {
        struct kvm_sregs sregs;
        int r = kvm_ioctl(a->fd, KVM_GET_SREGS, &sregs);
        if (r < 0)
                return r;
        bool known = false;
        if (a->name >= HV_REGISTER_ES && a->name <= HV_REGISTER_TR) {
                size_t offset = segments[a->name - HV_REGISTER_ES];
                move_segment(a, (struct kvm_segment *)(void *)((char *)&sregs + offset));
                known = true;
        } else if (a->name == HV_REGISTER_IDTR || a->name == HV_REGISTER_GDTR) {
                move_table(a, a->name == HV_REGISTER_IDTR ? &sregs.idt : &sregs.gdt);
                known = true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(control); i++) {
                if (control[i].name != a->name)
                        continue;
                move64(a, (char *)&sregs + control[i].offset);
                known = true;
        }
        if (!known)
                return -ENOENT;
        /* An interrupt on its way in is KVM's affair, see KVM_GET_VCPU_EVENTS. */
        return a->write ? kvm_ioctl(a->fd, KVM_SET_SREGS, &sregs) : 0;
}

/* By XSAVE and not by KVM_SET_FPU, which leaves a guest that has not used SSE yet with the mark
 * that its registers are zero. */
static int access_fpu(const struct access *a) {
        enum { ST = 32, XMM = 160, MARKS = 512, MARK_X87_SSE = 3 }; /* SDM 1, 13.4 */
        struct kvm_xsave xsave;
        int r = kvm_ioctl(a->fd, KVM_GET_XSAVE, &xsave);
        if (r < 0)
                return r;
        char *reg = (char *)xsave.region +
                    (a->name <= HV_REGISTER_XMM15 ? XMM + (a->name - HV_REGISTER_XMM0) * 16
                                                  : ST + (a->name - HV_REGISTER_FP_MMX0) * 16);
        if (!a->write) {
                memcpy(a->value, reg, 16);
                return 0;
        }
        memcpy(reg, a->value, 16);
        xsave.region[MARKS / sizeof *xsave.region] |= MARK_X87_SSE;
        return kvm_ioctl(a->fd, KVM_SET_XSAVE, &xsave);
}

static int access_debug(const struct access *a) {
        struct kvm_debugregs d;
        int r = kvm_ioctl(a->fd, KVM_GET_DEBUGREGS, &d);
        if (r < 0)
                return r;
        if (a->name <= HV_REGISTER_DR3)
                move64(a, &d.db[a->name - HV_REGISTER_DR0]);
        else
                move64(a, a->name == HV_REGISTER_DR6 ? &d.dr6 : &d.dr7);
        return a->write ? kvm_ioctl(a->fd, KVM_SET_DEBUGREGS, &d) : 0;
}

static int access_xcr0(const struct access *a) {
        struct kvm_xcrs xcrs;
        int r = kvm_ioctl(a->fd, KVM_GET_XCRS, &xcrs);
        if (r < 0)
                return r;
        if (xcrs.nr_xcrs == 0)
                return -ENOENT;
        move64(a, &xcrs.xcrs[0].value);
        return a->write ? kvm_ioctl(a->fd, KVM_SET_XCRS, &xcrs) : 0;
}

static int access_msr(const struct access *a, uint32_t index) {
        return a->write ? kvm_set_msr(a->fd, index, a->value[0])
                        : kvm_get_msr(a->fd, index, a->value);
}

static int access_register(const struct access *a) {
        if (a->name >= HV_REGISTER_RAX && a->name - HV_REGISTER_RAX < ARRAY_SIZE(general))
                return access_general(a, general[a->name - HV_REGISTER_RAX]);
        if (a->name >= HV_REGISTER_XMM0 && a->name <= HV_REGISTER_FP_MMX7)
                return access_fpu(a);
        if (a->name >= HV_REGISTER_DR0 && a->name <= HV_REGISTER_DR7)
                return access_debug(a);
        if (a->name == HV_REGISTER_XFEM)
                return access_xcr0(a);
        for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
                if (msrs[i].name == a->name)
                        return access_msr(a, msrs[i].msr);
        return access_special(a);
}

int vp_get_register(void *ctx, uint32_t vp, uint32_t name, uint64_t ret[2]) {
        struct vmm *vmm = ctx;
        uint64_t value[2] = {0};
        const struct access a = {vmm->vps[vp].fd, name, false, value};
        int r = access_register(&a);
        if (r < 0)
                return r;
        memcpy(ret, value, sizeof value);
        return 0;
}

int vp_set_register(void *ctx, uint32_t vp, uint32_t name, const uint64_t value[2]) {
        struct vmm *vmm = ctx;
        uint64_t copy[2] = {value[0], value[1]};
        const struct access a = {vmm->vps[vp].fd, name, true, copy};
        int r = access_register(&a);
        return r < 0 ? r : 0;
}
