// SPDX-License-Identifier: MIT
#include "vmm/hv.h"
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "base/state.h"
#include "vmm/hv-internal.h"

enum { HV_VERSION = 1 };
#define HV_TAG    STATE_TAG('H', 'Y', 'P', 'V')
#define HV_VP_TAG STATE_TAG('H', 'V', 'V', 'P')

int hv_new(struct gmem *gm, const struct hv_config *config, const struct hv_ops *ops, void *ctx,
        struct hv **ret) {
        if (config->vps == 0 || config->vps > VMM_VPS_MAX ||
                config->privileges & ~hv_privileges_known)
                return -EINVAL;
        struct hv *hv = fault_hit(FAULT_ALLOC)
                                ? NULL
                                : calloc(1, sizeof *hv + config->vps * sizeof(struct hv_vp));
        if (!hv)
                return -ENOMEM;
        hv->gm = gm;
        hv->config = *config;
        hv->ops = ops;
        hv->ctx = ctx;
        int r = -pthread_mutex_init(&hv->lock, NULL);
        if (r < 0) {
                free(hv);
                return r;
        }
        uint32_t i;
        for (i = 0; i < config->vps; i++) {
                r = synic_init(&hv->vps[i].synic, gm, ops, ctx, i);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                hv->config.vps = i;
                hv_free(hv);
                return r;
        }
        *ret = hv;
        return 0;
}

struct hv *hv_free(struct hv *hv) {
        if (!hv)
                return NULL;
        for (uint32_t i = 0; i < hv->config.vps; i++)
                synic_done(&hv->vps[i].synic);
        pthread_mutex_destroy(&hv->lock);
        free(hv);
        return NULL;
}

void hv_refuse(struct hv *hv) {
        __atomic_fetch_add(&hv->refused, 1, __ATOMIC_RELAXED);
}

uint64_t hv_refused(const struct hv *hv) {
        return __atomic_load_n(&hv->refused, __ATOMIC_RELAXED);
}

bool hv_privileged(const struct hv *hv, uint64_t privileges) {
        return (hv->config.privileges & privileges) == privileges;
}

int hv_post(
        struct hv *hv, uint32_t vp, uint8_t sint, uint32_t type, const void *payload, size_t size) {
        if (vp >= hv->config.vps || sint >= HV_SINTS || type == 0 ||
                size > HV_MESSAGE_PAYLOAD_MAX) {
                hv_refuse(hv);
                return VMM_E_DISABLED;
        }
        return synic_post(&hv->vps[vp].synic, sint, type, payload, size);
}

int hv_signal(struct hv *hv, uint32_t vp, uint8_t sint, uint16_t flag) {
        if (vp >= hv->config.vps || sint >= HV_SINTS || flag >= HV_EVENT_FLAGS) {
                hv_refuse(hv);
                return VMM_E_DISABLED;
        }
        return synic_signal(&hv->vps[vp].synic, sint, flag);
}

void hv_reset(struct hv *hv) {
        hv->guest_os_id = 0;
        __atomic_store_n(&hv->hypercall, 0, __ATOMIC_RELAXED);
        hv->reference_tsc = 0;
        hv->tsc_invariant = 0;
        hv->tsc_sequence = 0;
        memset(hv->crash, 0, sizeof hv->crash);
        for (uint32_t i = 0; i < hv->config.vps; i++) {
                hv->vps[i].assist = 0;
                synic_reset(&hv->vps[i].synic);
        }
}

int hv_save(struct hv *hv, struct wr *wr) {
        size_t mark = state_begin(wr, HV_TAG, HV_VERSION);
        wr_le32(wr, hv->config.vps);
        wr_le64(wr, hv->guest_os_id);
        wr_le64(wr, hv->hypercall);
        wr_le64(wr, hv->reference_tsc);
        wr_le64(wr, hv->tsc_invariant);
        for (unsigned i = 0; i < HV_CRASH_PARAMETERS; i++)
                wr_le64(wr, hv->crash[i]);
        wr_le32(wr, hv->tsc_sequence);
        if (hv->hypercall & HV_PAGE_ENABLE)
                wr_bytes(wr, hv->covered, sizeof hv->covered);
        for (uint32_t i = 0; i < hv->config.vps; i++) {
                size_t vp = state_begin(wr, HV_VP_TAG, HV_VERSION);
                wr_le64(wr, hv->vps[i].assist);
                synic_save(&hv->vps[i].synic, wr);
                state_end(wr, vp);
        }
        state_end(wr, mark);
        return wr_error(wr);
}

static int hv_restore_partition(struct hv *hv, struct rd *rd) {
        uint32_t vps;
        if (rd_le32(rd, &vps) < 0 || vps != hv->config.vps || rd_le64(rd, &hv->guest_os_id) < 0 ||
                rd_le64(rd, &hv->hypercall) < 0 || rd_le64(rd, &hv->reference_tsc) < 0 ||
                rd_le64(rd, &hv->tsc_invariant) < 0)
                return -EBADMSG;
        for (unsigned i = 0; i < HV_CRASH_PARAMETERS; i++)
                if (rd_le64(rd, &hv->crash[i]) < 0)
                        return -EBADMSG;
        if (rd_le32(rd, &hv->tsc_sequence) < 0)
                return -EBADMSG;
        if (!(hv->hypercall & HV_PAGE_ENABLE))
                return 0;
        if (hv->guest_os_id == 0 ||
                !gmem_valid(hv->gm, hv->hypercall & HV_PAGE_ADDRESS, GMEM_PAGE_SIZE))
                return -EBADMSG;
        return rd_bytes(rd, hv->covered, sizeof hv->covered);
}

static int hv_restore_vp(struct hv_vp *vp, struct rd *rd) {
        struct rd body;
        int r = state_open(rd, HV_VP_TAG, HV_VERSION, NULL, &body);
        if (r < 0)
                return r;
        r = rd_le64(&body, &vp->assist);
        if (r < 0)
                return r;
        r = synic_restore(&vp->synic, &body);
        return r < 0 ? r : rd_end(&body);
}

int hv_restore(struct hv *hv, struct rd *rd) {
        struct rd body;
        int r = state_open(rd, HV_TAG, HV_VERSION, NULL, &body);
        if (r < 0)
                return r;
        r = hv_restore_partition(hv, &body);
        for (uint32_t i = 0; r == 0 && i < hv->config.vps; i++)
                r = hv_restore_vp(&hv->vps[i], &body);
        if (r == 0)
                r = rd_end(&body);
        if (r < 0)
                hv_reset(hv);
        return r;
}
