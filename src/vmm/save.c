// SPDX-License-Identifier: MIT
/* The saved form of a partition: what it was made with, its clock, VPs, devices, personality. */
#include <errno.h>
#include <string.h>
#include "base/state.h"
#include "vmm/partition.h"

#define STATE_VMM STATE_TAG('V', 'M', 'M', ' ')

int vmm_save(struct vmm *vmm, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_VMM, 1);
        wr_le32(wr, vmm->config.vps);
        wr_le64(wr, vmm->config.memory);
        wr_u8(wr, vmm->hv != NULL);
        wr_le32(wr, vmm->tsc_khz);
        wr_le64(wr, timebase_get(vmm));
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                int r = vp_save(&vmm->vps[i], wr);
                if (r < 0)
                        return r;
        }
        pthread_mutex_lock(&vmm->platform_lock);
        platform_save(vmm, wr);
        pthread_mutex_unlock(&vmm->platform_lock);
        if (vmm->hv) {
                int r = hv_save(vmm->hv, wr);
                if (r < 0)
                        return r;
        }
        state_end(wr, mark);
        return wr_error(wr);
}

/* The machine must be made of the same parts. */
static int restore_config(struct vmm *vmm, struct rd *rd, struct error *e) {
        uint32_t vps = 0, tsc_khz = 0;
        uint64_t memory = 0, ticks = 0;
        uint8_t hyperv = 0;
        int r = rd_le32(rd, &vps);
        if (r == 0)
                r = rd_le64(rd, &memory);
        if (r == 0)
                r = rd_u8(rd, &hyperv);
        if (r == 0)
                r = rd_le32(rd, &tsc_khz);
        if (r == 0)
                r = rd_le64(rd, &ticks);
        if (r < 0)
                return r;
        if (vps != vmm->config.vps || memory != vmm->config.memory || hyperv != !!vmm->hv)
                return error_set(e, -EINVAL, 0,
                        "saved state: of a machine with %u processors and %llu MiB, this one has "
                        "%u and %llu",
                        vps, (unsigned long long)(memory >> 20), vmm->config.vps,
                        (unsigned long long)(vmm->config.memory >> 20));
        if (tsc_khz != vmm->tsc_khz)
                return error_set(e, -ENOTSUP, 0,
                        "saved state: its time stamp counter runs at %u kHz, this host's at %u: "
                        "restore it on the host that saved it",
                        tsc_khz, vmm->tsc_khz);
        timebase_set(vmm, ticks);
        return 0;
}

int vmm_restore(struct vmm *vmm, struct rd *rd, struct error *e) {
        struct rd section;
        int r = state_open(rd, STATE_VMM, 1, NULL, &section);
        if (r == 0)
                r = restore_config(vmm, &section, e);
        for (uint32_t i = 0; r == 0 && i < vmm->config.vps; i++)
                r = vp_restore(&vmm->vps[i], &section);
        if (r == 0) {
                pthread_mutex_lock(&vmm->platform_lock);
                r = platform_restore(vmm, &section);
                pthread_mutex_unlock(&vmm->platform_lock);
        }
        if (r == 0 && vmm->hv)
                r = hv_restore(vmm->hv, &section);
        if (r == 0)
                r = rd_end(&section);
        if (r < 0)
                return error_set(e, r, 0, "saved state: %s", strerror(-r));
        vmm->loaded = true;
        return 0;
}
