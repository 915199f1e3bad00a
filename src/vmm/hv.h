// SPDX-License-Identifier: MIT
/* The Hyper-V personality of a partition: CPUID leaves, MSRs, the hypercall page and dispatcher,
 * SynIC, the reference TSC page, crash reports. Pure state over guest memory and struct hv_ops:
 * knows no KVM, so that it is tested and fuzzed without one. Internal to src/vmm.
 *
 * Threads: hv_msr_*(), hv_call() run on the thread of the VP that they name; hv_post(), hv_signal()
 * on any thread. Save, restore and reset run while no VP runs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "gmem/gmem.h"
#include "vmm/vmm.h"

/* Ports of the hypercall page's stub. The doorbell's is watched by ioeventfds whose datamatch is
 * the connection id; both are 4-byte OUTs. */
enum { HV_PORT_CALL = 0xe4, HV_PORT_SIGNAL = 0xe8 };

enum { HV_E_GP = 1 }; /* inject #GP(0) into the caller */
enum { HV_E_UD = 2 }; /* inject #UD into the caller */

/* The caller's registers at the OUT. After 0 the owner writes rax back, and rdx for a 32-bit
 * caller: the result. With `again` the OUT is to be executed once more, after pending interrupts
 * were taken: a rep call used up its time slice, and its input (rcx, or edx:eax of a 32-bit caller)
 * now holds the progress. A call may set other registers of the VP through ops->set_register(). */
struct hv_call {
        uint64_t rax, rbx, rcx, rdx, rsi, rdi, r8;
        uint8_t cpl;
        bool long_mode; /* EFER.LMA and CS.L */
        bool protected_mode;
        bool again;
};

struct hv_ops {
        /* Edge, fixed, to one VP's APIC. Any thread; must not call back into hv. */
        void (*interrupt)(void *ctx, uint32_t vp, uint8_t vector);
        /* HV_REGISTER_NAME ↔ real registers of the calling VP (TLFS 7.8). -ENOENT: no such name,
         * -EINVAL: bad value. On that VP's thread. */
        int (*get_register)(void *ctx, uint32_t vp, uint32_t name, uint64_t ret[2]);
        int (*set_register)(void *ctx, uint32_t vp, uint32_t name, const uint64_t value[2]);
        int (*get_xmm)(void *ctx, uint32_t vp, uint8_t ret[6][16]);
        uint64_t (*reference_time)(void *ctx); /* 100 ns */
        uint64_t (*tsc)(void *ctx, uint32_t vp);
        uint64_t (*vp_runtime)(void *ctx, uint32_t vp); /* 100 ns of CPU time */
        uint64_t (*clock_ns)(void *ctx); /* for the 50 us slice of rep calls; a test slows it */
        uint16_t (*post_message)(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
                const void *payload, size_t size);
        /* Rings the port; false: no such connection id. */
        bool (*signal_event)(void *ctx, uint32_t connection_id);
        void (*message_slot_free)(void *ctx, uint32_t vp, uint8_t sint);
        void (*event)(void *ctx, const struct vmm_event *event);
};

struct hv_config {
        uint32_t vps;
        uint32_t tsc_khz;
        uint32_t apic_hz;
        uint64_t privileges; /* HV_PARTITION_PRIVILEGE_MASK: EAX | EBX << 32 of leaf 0x40000003 */
        bool intel;          /* only for the nested hypercall instruction; our stub does not care */
};
/* What a stock Linux guest is given (hyperv-vmbus-facts 1.5, and the decisions beside it). */
extern const uint64_t hv_privileges_default;

struct hv;
struct hv_cpuid {
        uint32_t leaf, eax, ebx, ecx, edx;
};
enum { HV_CPUID_LEAVES_MAX = 8 };

_warn_unused_ int hv_new(struct gmem *gm, const struct hv_config *config, const struct hv_ops *ops,
        void *ctx, struct hv **ret);
struct hv *hv_free(struct hv *hv);
DEFINE_CLEANUP(struct hv, hv_free)

/* Leaves 0x40000000..; returns their number. */
size_t hv_cpuid(const struct hv *hv, struct hv_cpuid ret[HV_CPUID_LEAVES_MAX]);
/* True for the MSRs that come here: 0x40000000..0x400001ff. */
bool hv_msr_owns(uint32_t msr);
_warn_unused_ int hv_msr_read(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t *ret);
_warn_unused_ int hv_msr_write(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value);
/* The call port. 0, HV_E_GP or HV_E_UD. */
_warn_unused_ int hv_call(struct hv *hv, uint32_t vp, struct hv_call *call);
/* The doorbell port when no ioeventfd took it: rings or sets eax so that the stub's end yields the
 * status (0x12 for an unknown id). */
_warn_unused_ int hv_call_signal(struct hv *hv, uint32_t vp, struct hv_call *call);

_warn_unused_ int hv_post(
        struct hv *hv, uint32_t vp, uint8_t sint, uint32_t type, const void *payload, size_t size);
_warn_unused_ int hv_signal(struct hv *hv, uint32_t vp, uint8_t sint, uint16_t flag);

/* How often something out of range was asked for and ignored or refused: a VP, SINT, event flag,
 * vector or connection id. Any thread. */
uint64_t hv_refused(const struct hv *hv);

/* As after power-on; guest memory is the owner's to clear. */
void hv_reset(struct hv *hv);
/* Rewrites the reference TSC page after the TSC or the reference time was set (restore). */
void hv_tsc_changed(struct hv *hv);
_warn_unused_ int hv_save(struct hv *hv, struct wr *wr);
/* Into a hv made with the same config. The pages themselves come back with guest memory. -EBADMSG
 * leaves it as after power-on. hv_tsc_changed() is to follow. */
_warn_unused_ int hv_restore(struct hv *hv, struct rd *rd);
