// SPDX-License-Identifier: MIT
// covers: src/vmm/hv-call.c
/* One hypercall: a byte of circumstances, the three registers, and what the input page (and the XMM
 * registers) hold. Addresses count from the input and output pages, so that small numbers matter.
 */
#include "../../tests/unit/vmm/hv-fake.h"
#include "base/rd.h"

enum {
        CPL = 3,         /* privilege level */
        LEGACY = 1 << 2, /* a 32-bit caller */
        REAL = 1 << 3,   /* real mode */
        OFF = 1 << 4,    /* the page is not enabled */
        DOORBELL = 1 << 5,
        SLOW = 1 << 6, /* every rep uses up the time slice */
        BARE = 1 << 7, /* a partition without the privileges of calls */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_call(struct fake *f, uint8_t how, struct hv_call *call) {
        int r;
        unsigned rounds = 0;
        do
                r = how & DOORBELL ? hv_call_signal(f->hv, 0, call) : hv_call(f->hv, 0, call);
        while (r == 0 && call->again && ++rounds < 4096);
        /* A call that is asked for again makes progress each time. */
        if (rounds == 4096)
                __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct rd rd = rd_make(data, size);
        uint8_t how, page[GMEM_PAGE_SIZE] = {0};
        uint64_t control, in, out;
        if (rd_u8(&rd, &how) < 0 || rd_le64(&rd, &control) < 0 || rd_le64(&rd, &in) < 0 ||
                rd_le64(&rd, &out) < 0)
                return 0;
        size_t n = rd_left(&rd) < sizeof page ? rd_left(&rd) : sizeof page;
        if (rd_bytes(&rd, page, n) < 0)
                return 0;
        if (!(control & HV_INPUT_FAST)) {
                in += FAKE_IN;
                out += FAKE_OUT;
        }

        struct fake f;
        uint64_t calls = HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS |
                         HV_PRIVILEGE_VP_REGISTERS | HV_PRIVILEGE_EXTENDED_CALLS;
        if (fake_init(&f, hv_privileges_default & ~(how & BARE ? calls : 0)) < 0 ||
                (!(how & OFF) && fake_enable_calls(&f) != 0) ||
                gmem_write(f.gm, FAKE_IN, page, sizeof page) < 0)
                __builtin_trap();
        memcpy(f.xmm, page, sizeof f.xmm);
        f.clock_step = how & SLOW ? HV_CALL_SLICE_NS + 1 : 1;

        struct hv_call call = fake_call(control, in, out);
        if (how & LEGACY)
                call = (struct hv_call){.rdx = control >> 32,
                        .rax = (uint32_t)control,
                        .rbx = in >> 32,
                        .rcx = (uint32_t)in,
                        .rdi = out >> 32,
                        .rsi = (uint32_t)out};
        call.cpl = how & CPL;
        call.protected_mode = !(how & REAL);
        make_call(&f, how, &call);
        fake_done(&f);
        return 0;
}
