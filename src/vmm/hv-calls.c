// SPDX-License-Identifier: MIT
/* The hypercalls, one row each. A row without a function stands for a call that exists on Hyper-V
 * but that no child partition may make, or whose effect we do not have: its parameters are checked,
 * then it is denied. In particular the flushes of virtual address spaces never answer success. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "vmm/hv-internal.h"

/* The function of a row gets its header whole, hence these never fail. */
static void load(void *to, const uint8_t *from, size_t n) {
        memcpy(to, from, n);
}

static uint64_t word(const uint8_t *from) {
        le64 v;
        load(&v, from, sizeof v);
        return le64_get(v);
}

/* A hint that another VP should run; there is nothing else to it (and nothing that can fail). */
static uint16_t notify_long_spin_wait(_unused_ const struct hv_input *in) {
        sched_yield();
        return HV_STATUS_SUCCESS;
}

static uint16_t post_message(const struct hv_input *in) {
        struct hv_post_message_in m;
        load(&m, in->header, sizeof m);
        uint32_t type = le32_get(m.type), size = le32_get(m.payload_size);
        if (type == 0 || type & 0x80000000u || size > HV_MESSAGE_PAYLOAD_MAX ||
                le32_get(m.reserved) != 0)
                return HV_STATUS_INVALID_PARAMETER;
        uint16_t status = in->hv->ops->post_message(
                in->hv->ctx, in->vp, le32_get(m.connection_id), type, m.payload, size);
        if (status == HV_STATUS_INVALID_CONNECTION_ID)
                hv_refuse(in->hv);
        return status;
}

/* Each of our ports has one event flag, number 0. */
static uint16_t signal_event(const struct hv_input *in) {
        struct hv_signal_event_in e;
        load(&e, in->header, sizeof e);
        if (le16_get(e.flag) != 0 || le16_get(e.reserved) != 0)
                return HV_STATUS_INVALID_PARAMETER;
        if (!in->hv->ops->signal_event(in->hv->ctx, le32_get(e.connection_id))) {
                hv_refuse(in->hv);
                return HV_STATUS_INVALID_CONNECTION_ID;
        }
        return HV_STATUS_SUCCESS;
}

/* The registers of the caller itself, and of nobody else. */
static uint16_t registers_check(const struct hv_input *in) {
        struct hv_vp_registers_in h;
        load(&h, in->header, sizeof h);
        uint32_t index = le32_get(h.vp_index);
        if (le64_get(h.partition_id) != HV_PARTITION_ID_SELF)
                return HV_STATUS_ACCESS_DENIED;
        if (index != HV_VP_INDEX_SELF && index != in->vp)
                return index < in->hv->config.vps ? HV_STATUS_ACCESS_DENIED
                                                  : HV_STATUS_INVALID_VP_INDEX;
        /* There is one trust level, 0, which may be named. */
        if (h.target_vtl & ~HV_INPUT_VTL_USE_TARGET || h.reserved[0] || h.reserved[1] ||
                h.reserved[2])
                return HV_STATUS_INVALID_PARAMETER;
        return HV_STATUS_SUCCESS;
}

static uint16_t get_vp_registers(const struct hv_input *in) {
        le32 name;
        uint64_t value[2] = {0};
        load(&name, in->element, sizeof name);
        uint16_t status = registers_check(in);
        if (status == HV_STATUS_SUCCESS)
                status = hv_register_get(in, le32_get(name), value);
        const le64 out[2] = {le64_make(value[0]), le64_make(value[1])};
        memcpy(in->output, out, sizeof out);
        return status;
}

static uint16_t set_vp_registers(const struct hv_input *in) {
        static const uint8_t zero[12];
        struct hv_register_assoc a;
        load(&a, in->element, sizeof a);
        uint16_t status = registers_check(in);
        if (status != HV_STATUS_SUCCESS)
                return status;
        if (memcmp(a.reserved, zero, sizeof zero) != 0)
                return HV_STATUS_INVALID_PARAMETER;
        const uint64_t value[2] = {le64_get(a.value[0]), le64_get(a.value[1])};
        return hv_register_set(in, le32_get(a.name), value);
}

static uint16_t query_capabilities(const struct hv_input *in) {
        le64 v = le64_make(HV_EXT_COLD_DISCARD_HINT);
        memcpy(in->output, &v, sizeof v);
        return HV_STATUS_SUCCESS;
}

/* Cold discard: the guest does not need what is in these pages. They read as zero afterwards. */
static uint16_t memory_heat_hint(const struct hv_input *in) {
        uint64_t range = word(in->element), gpa = range & ~0xfffull;
        uint64_t pages = HV_RANGE_ADDITIONAL(range) + 1ull, page = GMEM_PAGE_SIZE;
        if (word(in->header) != HV_HEAT_COLD_DISCARD)
                return HV_STATUS_INVALID_PARAMETER;
        if (range & HV_RANGE_LARGE) {
                if (range & HV_RANGE_LARGE_RESERVED)
                        return HV_STATUS_INVALID_PARAMETER;
                page = range & HV_RANGE_GIANT ? 1ull << 30 : 1ull << 21;
                gpa = range & ~0x1fffffull;
        }
        int r = gmem_discard(in->hv->gm, gpa, pages * page);
        if (r < 0)
                return r == -EFAULT ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_OPERATION_DENIED;
        return HV_STATUS_SUCCESS;
}

/* Code, rep, bytes of input header, of each input element, of output, of each output element,
 * privileges, function. */
static const struct hv_call_row rows[] = {
        {HV_CALL_SWITCH_VIRTUAL_ADDRESS_SPACE, false, 8, 0, 0, 0, 0, NULL},
        {HV_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, false, 24, 0, 0, 0, 0, NULL},
        {HV_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, true, 24, 8, 0, 0, 0, NULL},
        {HV_CALL_GET_LOGICAL_PROCESSOR_RUN_TIME, false, 0, 0, 32, 0, 0, NULL},
        {HV_CALL_NOTIFY_LONG_SPIN_WAIT, false, 8, 0, 0, 0, 0, notify_long_spin_wait},
        {HV_CALL_CREATE_PARTITION, false, 56, 0, 8, 0, 0, NULL},
        {HV_CALL_INITIALIZE_PARTITION, false, 8, 0, 0, 0, 0, NULL},
        {HV_CALL_FINALIZE_PARTITION, false, 8, 0, 0, 0, 0, NULL},
        {HV_CALL_DELETE_PARTITION, false, 8, 0, 0, 0, 0, NULL},
        {HV_CALL_GET_PARTITION_PROPERTY, false, 16, 0, 8, 0, 0, NULL},
        {HV_CALL_SET_PARTITION_PROPERTY, false, 24, 0, 0, 0, 0, NULL},
        {HV_CALL_INSTALL_INTERCEPT, false, 24, 0, 0, 0, 0, NULL},
        {HV_CALL_CREATE_VP, false, 40, 0, 0, 0, 0, NULL},
        {HV_CALL_DELETE_VP, false, 16, 0, 0, 0, 0, NULL},
        {HV_CALL_GET_VP_REGISTERS, true, sizeof(struct hv_vp_registers_in), 4, 0, 16,
                HV_PRIVILEGE_VP_REGISTERS, get_vp_registers},
        {HV_CALL_SET_VP_REGISTERS, true, sizeof(struct hv_vp_registers_in),
                sizeof(struct hv_register_assoc), 0, 0, HV_PRIVILEGE_VP_REGISTERS,
                set_vp_registers},
        {HV_CALL_POST_MESSAGE, false, sizeof(struct hv_post_message_in), 0, 0, 0,
                HV_PRIVILEGE_POST_MESSAGES, post_message},
        {HV_CALL_SIGNAL_EVENT, false, sizeof(struct hv_signal_event_in), 0, 0, 0,
                HV_PRIVILEGE_SIGNAL_EVENTS, signal_event},
        {HV_CALL_EXT_QUERY_CAPABILITIES, false, 0, 0, 8, 0, HV_PRIVILEGE_EXTENDED_CALLS,
                query_capabilities},
        {HV_CALL_EXT_MEMORY_HEAT_HINT, true, 8, 8, 0, 0, HV_PRIVILEGE_EXTENDED_CALLS,
                memory_heat_hint},
};

const struct hv_call_row *hv_call_find(uint16_t code) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].code == code)
                        return &rows[i];
        return NULL;
}
