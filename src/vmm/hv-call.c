// SPDX-License-Identifier: MIT
/* The dispatcher of hypercalls (TLFS, hypercall interface): checks the input value and where the
 * parameters lie, copies them once, runs the call's function, and hands the result back. What the
 * calls do is in hv-calls.c. */
#include <string.h>
#include "vmm/hv-internal.h"

/* One call, decoded from the registers of a 64-bit or 32-bit caller. */
struct hv_frame {
        const struct hv_call_row *row;
        uint64_t control;
        uint64_t in_gpa, out_gpa; /* fast: the first two words of the input */
        size_t in_size, out_size;
        uint32_t start, count; /* reps; 0 and 1 for a simple call */
        uint32_t done;
        uint8_t in[GMEM_PAGE_SIZE], out[GMEM_PAGE_SIZE];
};

/* Hypercalls exist for the guest's kernel, once it has set up the page. */
static bool caller_may(const struct hv *hv, uint32_t vp, const struct hv_call *call) {
        return vp < hv->config.vps && hv_page_hypercall_enabled(hv) && call->cpl == 0 &&
               call->protected_mode;
}

static uint64_t pair(uint64_t high, uint64_t low) {
        return high << 32 | (uint32_t)low;
}

static void frame_load(struct hv_frame *f, const struct hv_call *call) {
        f->control = call->long_mode ? call->rcx : pair(call->rdx, call->rax);
        f->in_gpa = call->long_mode ? call->rdx : pair(call->rbx, call->rcx);
        f->out_gpa = call->long_mode ? call->r8 : pair(call->rdi, call->rsi);
}

static uint16_t frame_check_control(struct hv_frame *f) {
        uint32_t count = HV_INPUT_REP_COUNT(f->control), start = HV_INPUT_REP_START(f->control);
        f->row = hv_call_find(HV_INPUT_CODE(f->control));
        if (!f->row)
                return HV_STATUS_INVALID_HYPERCALL_CODE;
        /* None of our calls takes a header of variable size. */
        if (f->control & HV_INPUT_RESERVED || HV_INPUT_VARIABLE(f->control) != 0)
                return HV_STATUS_INVALID_HYPERCALL_INPUT;
        if (f->row->rep ? start >= count : count != 0 || start != 0)
                return HV_STATUS_INVALID_HYPERCALL_INPUT;
        f->count = f->row->rep ? count : 1;
        f->start = f->done = start;
        f->in_size = f->row->in + (size_t)f->row->in_rep * f->count;
        f->out_size = f->row->rep ? (size_t)f->row->out_rep * f->count : f->row->out;
        return HV_STATUS_SUCCESS;
}

static uint16_t fast_load(struct hv_frame *f, struct hv *hv, uint32_t vp) {
        /* Output in registers is not offered. */
        if (f->out_size > 0 || f->in_size > HV_FAST_INPUT_MAX)
                return HV_STATUS_INVALID_HYPERCALL_INPUT;
        le64 words[2] = {le64_make(f->in_gpa), le64_make(f->out_gpa)};
        memcpy(f->in, words, sizeof words);
        if (f->in_size > sizeof words) {
                uint8_t xmm[6][16];
                if (hv->ops->get_xmm(hv->ctx, vp, xmm) < 0)
                        return HV_STATUS_OPERATION_DENIED;
                memcpy(f->in + sizeof words, xmm, sizeof xmm);
        }
        return HV_STATUS_SUCCESS;
}

/* A parameter list is aligned and lies in one page of RAM; without one the address is ignored. */
static bool list_valid(const struct hv *hv, uint64_t gpa, size_t size) {
        return size == 0 || (gpa % 8 == 0 && gpa % GMEM_PAGE_SIZE + size <= GMEM_PAGE_SIZE &&
                                    gmem_valid(hv->gm, gpa, size));
}

static uint16_t slow_load(struct hv_frame *f, const struct hv *hv) {
        if (!list_valid(hv, f->in_gpa, f->in_size) || !list_valid(hv, f->out_gpa, f->out_size))
                return HV_STATUS_INVALID_ALIGNMENT;
        if (f->in_size > 0 && f->out_size > 0 && f->in_gpa < f->out_gpa + f->out_size &&
                f->out_gpa < f->in_gpa + f->in_size)
                return HV_STATUS_INVALID_HYPERCALL_INPUT;
        if (f->in_size > 0 && gmem_read(hv->gm, f->in_gpa, f->in, f->in_size) < 0)
                return HV_STATUS_INVALID_ALIGNMENT;
        return HV_STATUS_SUCCESS;
}

/* Runs the reps that are left until the time slice is over, at least one. */
static uint16_t frame_run(struct hv_frame *f, struct hv *hv, uint32_t vp, struct hv_call *call) {
        const struct hv_call_row *row = f->row;
        uint64_t began = row->rep ? hv->ops->clock_ns(hv->ctx) : 0;
        while (f->done < f->count) {
                const struct hv_input in = {
                        .hv = hv,
                        .vp = vp,
                        .header = f->in,
                        .element = f->in + row->in + (size_t)row->in_rep * f->done,
                        .output = f->out + (size_t)row->out_rep * f->done,
                };
                uint16_t status = row->fn(&in);
                if (status != HV_STATUS_SUCCESS)
                        return status;
                f->done++;
                if (row->rep && f->done < f->count &&
                        hv->ops->clock_ns(hv->ctx) - began > HV_CALL_SLICE_NS) {
                        call->again = true;
                        break;
                }
        }
        return HV_STATUS_SUCCESS;
}

/* Hands over the output of what was done in this run. */
static uint16_t frame_store(const struct hv_frame *f, const struct hv *hv, uint16_t status) {
        size_t from = f->row->out_rep * (size_t)f->start;
        size_t to = f->row->rep ? f->row->out_rep * (size_t)f->done : f->row->out;
        if (f->done == f->start || from == to)
                return status;
        if (gmem_write(hv->gm, f->out_gpa + from, f->out + from, to - from) < 0)
                return HV_STATUS_INVALID_ALIGNMENT;
        return status;
}

static uint16_t frame_make(struct hv_frame *f, struct hv *hv, uint32_t vp, struct hv_call *call) {
        uint16_t status = frame_check_control(f);
        if (status != HV_STATUS_SUCCESS)
                return status;
        status = f->control & HV_INPUT_FAST ? fast_load(f, hv, vp) : slow_load(f, hv);
        if (status != HV_STATUS_SUCCESS)
                return status;
        if (!f->row->fn || !hv_privileged(hv, f->row->privileges))
                return HV_STATUS_ACCESS_DENIED;
        status = frame_run(f, hv, vp, call);
        return frame_store(f, hv, status);
}

int hv_call(struct hv *hv, uint32_t vp, struct hv_call *call) {
        struct hv_frame f;
        call->again = false;
        if (!caller_may(hv, vp, call))
                return HV_E_UD;
        f.row = NULL;
        f.done = 0;
        frame_load(&f, call);
        uint64_t result = frame_make(&f, hv, vp, call);
        uint64_t done = f.row && f.row->rep ? f.done : 0;
        result |= done << HV_INPUT_REP_SHIFT;
        if (call->again) /* the input, with the progress in it */
                result = (f.control & ~HV_INPUT_START_MASK) | done << HV_INPUT_START_SHIFT;
        if (!call->long_mode) {
                call->rax = (uint32_t)result;
                call->rdx = result >> 32;
        } else if (call->again) {
                call->rcx = result;
        } else {
                call->rax = result;
        }
        return 0;
}

int hv_call_signal(struct hv *hv, uint32_t vp, struct hv_call *call) {
        uint32_t id = (uint32_t)call->rdx;
        uint16_t status = HV_STATUS_SUCCESS;
        call->again = false;
        if (!caller_may(hv, vp, call))
                return HV_E_UD;
        if (!hv_privileged(hv, HV_PRIVILEGE_SIGNAL_EVENTS)) {
                status = HV_STATUS_ACCESS_DENIED;
        } else if (!hv->ops->signal_event(hv->ctx, id)) {
                hv_refuse(hv);
                status = HV_STATUS_INVALID_CONNECTION_ID;
        }
        call->rax = (uint32_t)(id + status);
        return 0;
}
