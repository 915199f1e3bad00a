// SPDX-License-Identifier: MIT
/* What the files of the Hyper-V personality share: the state, and one function per subject. */
#pragma once
#include <pthread.h>
#include "vmm/hv.h"
#include "vmm/synic.h"
#include "wire/hv.h"

enum { HV_CRASH_PARAMETERS = 5 };

struct hv_vp {
        struct synic synic;
        uint64_t assist; /* only touched on the VP's thread */
};

struct hv {
        struct gmem *gm;
        struct hv_config config;
        const struct hv_ops *ops;
        void *ctx;
        uint64_t refused; /* atomic */

        /* The partition's own registers, which any VP may write. */
        pthread_mutex_t lock;
        uint64_t guest_os_id;
        uint64_t hypercall; /* written under the lock, read as an atomic by hv_call() */
        uint64_t reference_tsc;
        uint64_t tsc_invariant;
        uint64_t crash[HV_CRASH_PARAMETERS];
        uint32_t tsc_sequence;           /* the last that was given out */
        uint8_t covered[GMEM_PAGE_SIZE]; /* what the guest had where the stub stands now */

        struct hv_vp vps[];
};

/* What hv_config.privileges may hold. */
extern const uint64_t hv_privileges_known;

/* Counts something out of range. */
void hv_refuse(struct hv *hv);
bool hv_privileged(const struct hv *hv, uint64_t privileges);

/* Pages (hv-page.c), under the lock. 0 or HV_E_GP. */
_warn_unused_ int hv_page_set_hypercall(struct hv *hv, uint64_t value);
void hv_page_set_os_id(struct hv *hv, uint64_t value);
void hv_page_set_reference_tsc(struct hv *hv, uint32_t vp, uint64_t value);
bool hv_page_hypercall_enabled(const struct hv *hv);

/* Crash (hv-crash.c): tells the owner what P0..P4 and the text that they name say. Not under the
 * lock. */
void hv_crash_notify(struct hv *hv, const uint64_t parameters[HV_CRASH_PARAMETERS], bool text);

/* How long a rep call may run before it gives the VP back (TLFS, hypercall continuation). */
#define HV_CALL_SLICE_NS 50000u
/* Input of a fast call: rdx, r8 and six XMM registers. */
enum { HV_FAST_INPUT_MAX = 112 };

/* Calls (hv-calls.c). The caller's input is a copy whose size was checked against the row. */
struct hv_input {
        struct hv *hv;
        uint32_t vp;
        const uint8_t *header;
        const uint8_t *element; /* of the rep at hand, if the row has some */
        uint8_t *output;        /* likewise, or of the whole call */
};

struct hv_call_row {
        uint16_t code;
        bool rep;
        uint16_t in;      /* bytes of the input header */
        uint16_t in_rep;  /* of each input element */
        uint16_t out;     /* of the output of a simple call */
        uint16_t out_rep; /* of each output element of a rep call */
        uint64_t privileges;
        uint16_t (*fn)(const struct hv_input *in); /* an HV_STATUS; NULL: never allowed */
};

/* NULL for a code that is not recognised. */
const struct hv_call_row *hv_call_find(uint16_t code);

/* Registers by name (hv-register.c): an HV_STATUS. */
uint16_t hv_register_get(const struct hv_input *in, uint32_t name, uint64_t ret[2]);
uint16_t hv_register_set(const struct hv_input *in, uint32_t name, const uint64_t value[2]);
