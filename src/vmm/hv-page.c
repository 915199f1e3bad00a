// SPDX-License-Identifier: MIT
/* The hypercall page and the reference TSC page. Hyper-V lays both over the guest's memory; we
 * write into the memory itself, and give back what was under the hypercall page when it goes. */
#include <string.h>
#include "vmm/hv-internal.h"

/* The code that a guest calls. A fast SignalEvent with nothing but a connection id becomes an OUT
 * to the doorbell port, whose value an ioeventfd compares with its own id: eax equals edx then, and
 * the difference is success. An id that none of them has exits, and hv_call_signal() sets eax so
 * that the difference is the status. All else goes to the call port.
 *
 * In 32-bit code the byte 40 is not a REX prefix but an `inc eax` that clears the zero flag, so
 * that the jump is not taken, and 48 is the `dec eax` that makes up for it: such callers always
 * take the call port. Nothing but rax and the flags is clobbered. */
static const uint8_t hypercall_stub[] = {
        0x81, 0xf9, 0x5d, 0x00, 0x01, 0x00, /*     00  cmp  ecx, 0x1005d  fast SignalEvent */
        0x75, 0x04,                         /*     06  jne  call */
        0x40, 0x74, 0x04,                   /*     08  je   signal */
        0x48,                               /*     0b  dec  eax           32-bit only */
        0xe7, HV_PORT_CALL,                 /* call:   out  0xe4, eax */
        0xc3,                               /*     0e  ret */
        0x48, 0x89, 0xc8,                   /* signal: mov  rax, rcx */
        0x48, 0x09, 0xd0,                   /*     12  or   rax, rdx */
        0x48, 0xc1, 0xe8, 0x20,             /*     15  shr  rax, 32 */
        0x75, 0xf1,                         /*     19  jnz  call          more than an id */
        0x89, 0xd0,                         /*     1b  mov  eax, edx */
        0xe7, HV_PORT_SIGNAL,               /*     1d  out  0xe8, eax */
        0x29, 0xd0,                         /*     1f  sub  eax, edx */
        0xc3,                               /*     21  ret */
};

bool hv_page_hypercall_enabled(const struct hv *hv) {
        return __atomic_load_n(&hv->hypercall, __ATOMIC_RELAXED) & HV_PAGE_ENABLE;
}

static void hypercall_uncover(struct hv *hv) {
        uint64_t gpa = hv->hypercall & HV_PAGE_ADDRESS;
        if (!(hv->hypercall & HV_PAGE_ENABLE))
                return;
        int r = gmem_write(hv->gm, gpa, hv->covered, sizeof hv->covered);
        (void)r; /* it was RAM when it was covered, and RAM does not go */
}

static int hypercall_cover(struct hv *hv, uint64_t gpa) {
        /* The rest of the page is int3: a call into the middle of it shows itself. */
        uint8_t page[GMEM_PAGE_SIZE];
        memset(page, 0xcc, sizeof page);
        memcpy(page, hypercall_stub, sizeof hypercall_stub);
        if (gmem_read(hv->gm, gpa, hv->covered, sizeof hv->covered) < 0 ||
                gmem_write(hv->gm, gpa, page, sizeof page) < 0)
                return HV_E_GP;
        return 0;
}

int hv_page_set_hypercall(struct hv *hv, uint64_t value) {
        uint64_t gpa = value & HV_PAGE_ADDRESS;
        if (hv->hypercall & HV_HYPERCALL_LOCKED)
                return HV_E_GP;
        if (hv->guest_os_id == 0)
                value &= ~HV_PAGE_ENABLE;
        if (value & HV_PAGE_ENABLE && !gmem_valid(hv->gm, gpa, GMEM_PAGE_SIZE))
                return HV_E_GP;
        int r = 0;
        if ((value ^ hv->hypercall) & (HV_PAGE_ADDRESS | HV_PAGE_ENABLE)) {
                hypercall_uncover(hv);
                r = value & HV_PAGE_ENABLE ? hypercall_cover(hv, gpa) : 0;
        }
        if (r == 0)
                __atomic_store_n(&hv->hypercall, value, __ATOMIC_RELAXED);
        return r;
}

void hv_page_set_os_id(struct hv *hv, uint64_t value) {
        hv->guest_os_id = value;
        if (value != 0)
                return;
        hypercall_uncover(hv);
        __atomic_store_n(&hv->hypercall, hv->hypercall & ~HV_PAGE_ENABLE, __ATOMIC_RELAXED);
}

/* 2^64 * 10^7 / Hz, or 0 when it does not fit (a TSC slower than the unit). */
static uint64_t tsc_scale(uint32_t khz) {
        uint64_t hz = (uint64_t)khz * 1000;
        if (hz <= HV_REFERENCE_TSC_HZ)
                return 0;
        return (uint64_t)(((unsigned __int128)HV_REFERENCE_TSC_HZ << 64) / hz);
}

/* 0 and the highest are not given out: the one means "not valid", the other once did. */
static uint32_t tsc_next_sequence(struct hv *hv) {
        if (++hv->tsc_sequence == UINT32_MAX || hv->tsc_sequence == 0)
                hv->tsc_sequence = 1;
        return hv->tsc_sequence;
}

/* The reference time and the TSC at one instant: the TSC is read between two looks at the time, and
 * the closest of a few tries is taken, since this thread may be preempted in between. */
static void tsc_sample(const struct hv *hv, uint32_t vp, uint64_t *ret_time, uint64_t *ret_tsc) {
        enum { TRIES = 5 };
        uint64_t best = UINT64_MAX;
        for (unsigned i = 0; i < TRIES && best > 0; i++) {
                uint64_t before = hv->ops->reference_time(hv->ctx);
                uint64_t tsc = hv->ops->tsc(hv->ctx, vp);
                uint64_t gap = hv->ops->reference_time(hv->ctx) - before;
                if (gap >= best)
                        continue;
                best = gap;
                *ret_time = before + gap / 2;
                *ret_tsc = tsc;
        }
}

/* Readers that see 0, or two different numbers around what they read, do not use it. */
static void tsc_write(struct hv *hv, uint32_t vp) {
        uint64_t gpa = hv->reference_tsc & HV_PAGE_ADDRESS;
        uint64_t scale = tsc_scale(hv->config.tsc_khz);
        if (!(hv->reference_tsc & HV_PAGE_ENABLE) ||
                !gmem_valid(hv->gm, gpa, sizeof(struct hv_reference_tsc)))
                return;
        if (gmem_store32(hv->gm, gpa, 0) < 0 || scale == 0)
                return;
        uint64_t now = 0, tsc = 0;
        tsc_sample(hv, vp, &now, &tsc);
        uint64_t elapsed = (uint64_t)((unsigned __int128)tsc * scale >> 64);
        const struct { le64 scale, offset; } body = {le64_make(scale), le64_make(now - elapsed)};
        int r = gmem_write(
                hv->gm, gpa + offsetof(struct hv_reference_tsc, scale), &body, sizeof body);
        if (r == 0)
                r = gmem_store32(hv->gm, gpa, tsc_next_sequence(hv));
        (void)r; /* RAM, see above */
}

void hv_page_set_reference_tsc(struct hv *hv, uint32_t vp, uint64_t value) {
        hv->reference_tsc = value;
        tsc_write(hv, vp);
}

void hv_tsc_changed(struct hv *hv) {
        pthread_mutex_lock(&hv->lock);
        tsc_write(hv, 0);
        pthread_mutex_unlock(&hv->lock);
}
