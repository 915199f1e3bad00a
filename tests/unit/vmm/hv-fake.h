// SPDX-License-Identifier: MIT
/* The personality over real guest memory and an owner that only takes notes. */
#pragma once
#include <errno.h>
#include <string.h>
#include "vmm/hv.h"
#include "vmm/hv-internal.h"
#include "wire/hv.h"

enum {
        FAKE_VPS = 2,
        FAKE_RAM = 64 * GMEM_PAGE_SIZE,
        FAKE_RAM_GPA = 0x10000,
        FAKE_RAM_END = FAKE_RAM_GPA + FAKE_RAM,
        FAKE_STUB = FAKE_RAM_GPA,                       /* the hypercall page */
        FAKE_IN = FAKE_RAM_GPA + GMEM_PAGE_SIZE,        /* input page of calls */
        FAKE_OUT = FAKE_RAM_GPA + 2 * GMEM_PAGE_SIZE,   /* output page */
        FAKE_SIMP = FAKE_RAM_GPA + 3 * GMEM_PAGE_SIZE,  /* of VP 0; of the others behind it */
        FAKE_SIEFP = FAKE_RAM_GPA + 8 * GMEM_PAGE_SIZE, /* likewise */
        FAKE_TSC = FAKE_RAM_GPA + 12 * GMEM_PAGE_SIZE,
        FAKE_TEXT = FAKE_RAM_GPA + 13 * GMEM_PAGE_SIZE,
        FAKE_SINT = 2,
        FAKE_VECTOR = 0xf3,
        FAKE_CONNECTION = 77, /* the only one that there is */
        FAKE_NAMES = 32,      /* of processor registers, from RAX on */
        FAKE_NOTES = 64,
};

struct fake {
        struct gmem *gm;
        struct hv *hv;
        uint64_t now, tsc, clock, clock_step;
        uint64_t time_steps[10]; /* by which the next looks at the time move it on */
        unsigned n_times;
        struct {
                uint32_t vp;
                uint8_t vector;
        } interrupts[FAKE_NOTES];
        unsigned n_interrupts; /* goes on counting when the list is full */
        uint64_t registers[FAKE_NAMES][2];
        unsigned n_sets;
        uint8_t xmm[6][16];
        unsigned n_xmm;
        struct {
                uint32_t vp, connection, type;
                size_t size;
                uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
        } post;
        unsigned n_posts;
        uint16_t post_status;
        unsigned n_signals;
        unsigned slot_free[FAKE_VPS][HV_SINTS];
        struct vmm_event event;
        unsigned n_events;
};

static inline void fake_interrupt(void *ctx, uint32_t vp, uint8_t vector) {
        struct fake *f = ctx;
        unsigned i = __atomic_fetch_add(&f->n_interrupts, 1, __ATOMIC_SEQ_CST);
        if (i < FAKE_NOTES) {
                f->interrupts[i].vp = vp;
                f->interrupts[i].vector = vector;
        }
}

/* Every name from RAX on; a value with the top bit set is not accepted. */
static inline int fake_get_register(void *ctx, uint32_t vp, uint32_t name, uint64_t ret[2]) {
        struct fake *f = ctx;
        uint32_t i = name - HV_REGISTER_RAX;
        if (vp >= FAKE_VPS || i >= FAKE_NAMES)
                return -ENOENT;
        ret[0] = f->registers[i][0];
        ret[1] = f->registers[i][1];
        return 0;
}

static inline int fake_set_register(
        void *ctx, uint32_t vp, uint32_t name, const uint64_t value[2]) {
        struct fake *f = ctx;
        uint32_t i = name - HV_REGISTER_RAX;
        if (vp >= FAKE_VPS || i >= FAKE_NAMES)
                return -ENOENT;
        if (value[0] >> 63)
                return -EINVAL;
        f->registers[i][0] = value[0];
        f->registers[i][1] = value[1];
        f->n_sets++;
        return 0;
}

static inline int fake_get_xmm(void *ctx, _unused_ uint32_t vp, uint8_t ret[6][16]) {
        struct fake *f = ctx;
        f->n_xmm++;
        memcpy(ret, f->xmm, sizeof f->xmm);
        return 0;
}

static inline uint64_t fake_reference_time(void *ctx) {
        struct fake *f = ctx;
        if (f->n_times < ARRAY_SIZE(f->time_steps))
                f->now += f->time_steps[f->n_times++];
        return f->now;
}

static inline uint64_t fake_tsc(void *ctx, _unused_ uint32_t vp) {
        return ((struct fake *)ctx)->tsc;
}

static inline uint64_t fake_vp_runtime(_unused_ void *ctx, uint32_t vp) {
        return 1000 + vp;
}

static inline uint64_t fake_clock_ns(void *ctx) {
        struct fake *f = ctx;
        return f->clock += f->clock_step;
}

static inline uint16_t fake_post_message(void *ctx, uint32_t vp, uint32_t connection_id,
        uint32_t type, const void *payload, size_t size) {
        struct fake *f = ctx;
        if (connection_id != FAKE_CONNECTION)
                return HV_STATUS_INVALID_CONNECTION_ID;
        f->n_posts++;
        f->post.vp = vp;
        f->post.connection = connection_id;
        f->post.type = type;
        f->post.size = size;
        memcpy(f->post.payload, payload, size);
        return f->post_status;
}

static inline bool fake_signal_event(void *ctx, uint32_t connection_id) {
        struct fake *f = ctx;
        f->n_signals += connection_id == FAKE_CONNECTION;
        return connection_id == FAKE_CONNECTION;
}

static inline void fake_message_slot_free(void *ctx, uint32_t vp, uint8_t sint) {
        ((struct fake *)ctx)->slot_free[vp][sint]++;
}

static inline void fake_event(void *ctx, const struct vmm_event *event) {
        struct fake *f = ctx;
        f->event = *event;
        f->n_events++;
}

static const struct hv_ops fake_ops = {
        .interrupt = fake_interrupt,
        .get_register = fake_get_register,
        .set_register = fake_set_register,
        .get_xmm = fake_get_xmm,
        .reference_time = fake_reference_time,
        .tsc = fake_tsc,
        .vp_runtime = fake_vp_runtime,
        .clock_ns = fake_clock_ns,
        .post_message = fake_post_message,
        .signal_event = fake_signal_event,
        .message_slot_free = fake_message_slot_free,
        .event = fake_event,
};

static inline int fake_init(struct fake *f, uint64_t privileges) {
        const struct hv_config config = {
                .vps = FAKE_VPS,
                .tsc_khz = 2500000,
                .apic_hz = 1000000000,
                .privileges = privileges,
        };
        memset(f, 0, sizeof *f);
        int r = gmem_new(FAKE_RAM, &f->gm);
        if (r == 0)
                r = gmem_add(f->gm, FAKE_RAM_GPA, FAKE_RAM);
        return r == 0 ? hv_new(f->gm, &config, &fake_ops, f, &f->hv) : r;
}

static inline void fake_done(struct fake *f) {
        f->hv = hv_free(f->hv);
        f->gm = gmem_free(f->gm);
}

/* What a guest does before its first call. */
static inline int fake_enable_calls(struct fake *f) {
        int r = hv_msr_write(f->hv, 0, HV_MSR_GUEST_OS_ID, 0x8100ull << 48);
        return r == 0 ? hv_msr_write(f->hv, 0, HV_MSR_HYPERCALL, FAKE_STUB | HV_PAGE_ENABLE) : r;
}

static inline int fake_enable_synic(struct fake *f, uint32_t vp) {
        uint64_t page = vp * GMEM_PAGE_SIZE | HV_PAGE_ENABLE;
        return hv_msr_write(f->hv, vp, HV_MSR_SIMP, FAKE_SIMP + page) |
               hv_msr_write(f->hv, vp, HV_MSR_SIEFP, FAKE_SIEFP + page) |
               hv_msr_write(f->hv, vp, HV_MSR_SINT0 + FAKE_SINT, FAKE_VECTOR) |
               hv_msr_write(f->hv, vp, HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

static inline struct hv_call fake_call(uint64_t control, uint64_t in, uint64_t out) {
        return (struct hv_call){
                .rcx = control, .rdx = in, .r8 = out, .long_mode = true, .protected_mode = true};
}

static inline uint64_t fake_control(uint16_t code, unsigned start, unsigned count) {
        return code | (uint64_t)count << HV_INPUT_REP_SHIFT |
               (uint64_t)start << HV_INPUT_START_SHIFT;
}

/* Makes the call on VP 0 and returns the result value. A fault, or a call that is to be made again,
 * comes back as all ones. */
static inline uint64_t fake_do(struct fake *f, uint64_t control, uint64_t in, uint64_t out) {
        struct hv_call call = fake_call(control, in, out);
        int r = hv_call(f->hv, 0, &call);
        return r == 0 && !call.again ? call.rax : UINT64_MAX;
}
