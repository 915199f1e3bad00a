// SPDX-License-Identifier: MIT
/* The inside of struct vmm, shared by the files that make it up:
 *   partition.c  makes, resets and frees it          run.c       starts and stops the VPs
 *   vp.c         a VP's thread and its exits         vp-call.c   the hypercall ports
 *   vp-regs.c    HV_REGISTER_NAME on real registers  vp-state.c  a VP's saved form
 *   platform.c   bus, lines and devices              doorbell.c  SignalEvent → eventfd
 *   timebase.c   the reference time                  save.c      the whole saved form
 *
 * Locks, each a leaf but for the order run_lock → time_lock: run_lock (who runs), platform_lock
 * (devices), doorbell_lock, time_lock. No callback of the owner is made under any of them but
 * console(), which comes under platform_lock. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "vmm/acpi-pm.h"
#include "vmm/bus.h"
#include "vmm/hv.h"
#include "vmm/ioapic.h"
#include "vmm/kvm.h"
#include "vmm/pci.h"
#include "vmm/rtc.h"
#include "vmm/uart.h"
#include "vmm/vmm.h"
#include "vmm/vp-cpuid.h"

enum { VMM_APIC_HZ = 1000000000 }; /* KVM's LAPIC timer counts nanoseconds */

struct vp {
        struct vmm *vmm;
        uint32_t index; /* also the APIC id and the VP index of Hyper-V */
        int fd;
        struct kvm_run *run;
        pthread_t thread;
        bool has_thread;
        /* What goes on counting in KVM while the VP stands still, as first saved or restored. */
        bool settled; /* until the VP runs again */
        uint32_t timer_count;
        uint64_t tsc;
};

enum { DOORBELL_BUSY = 8 }; /* exits until the kernel takes a doorbell over */

struct doorbell {
        uint32_t connection_id;
        int eventfd;    /* borrowed */
        uint32_t rings; /* by exits */
        bool in_kernel;
};

struct vmm {
        const struct vmm_ops *ops;
        void *ctx;
        struct vmm_config config;
        char *cmdline; /* owned; config.cmdline points to it */
        int vm_fd;
        size_t run_size; /* of a VP's shared page */
        uint32_t tsc_khz;
        struct cpuid_table *cpuid; /* what KVM supports */
        struct gmem *gm;
        struct hv *hv; /* NULL with config.no_hyperv */

        pthread_mutex_t run_lock;
        pthread_cond_t run_changed;
        uint32_t parked;     /* VP threads that are out of guest code */
        bool quit;           /* threads are to end */
        bool loaded;         /* RAM and registers hold a machine to run */
        atomic_bool running; /* VPs may run guest code; written under run_lock */
        atomic_bool ended;   /* until reset nothing runs again */
        atomic_uint raised;  /* bits of the event types that the owner was told */

        pthread_mutex_t time_lock;
        bool time_runs;
        bool time_set; /* restored, and not started since: the reference TSC page is to say so */
        uint64_t time_tsc;  /* host TSC at which time_base was right */
        uint64_t time_base; /* guest time in TSC ticks: then, or now when it stands still */

        pthread_mutex_t platform_lock;
        struct bus bus;
        struct ioapic ioapic;
        struct uart uart;
        struct rtc rtc;
        struct pci pci;
        struct acpi_pm pm;
        int power_request; /* enum vmm_event_type asked for by a device, or -1 */

        pthread_mutex_t doorbell_lock;
        struct doorbell *doorbells; /* sorted by connection id */
        size_t n_doorbells, n_in_kernel;

        struct vp vps[];
};

/* partition.c: an edge-triggered MSI. Any thread. */
void partition_signal_msi(struct vmm *vmm, uint64_t address, uint32_t data);
/* Loads the kernel and sets the registers of VP 0, unless that was done or a state restored. */
_warn_unused_ int partition_load(struct vmm *vmm, struct error *e);

/* run.c */
_warn_unused_ int run_start_threads(struct vmm *vmm);
void run_stop_threads(struct vmm *vmm);
/* Tells the owner once per type; all but a crash end the run. No lock may be held. */
void run_raise(struct vmm *vmm, const struct vmm_event *event);
void run_raise_type(struct vmm *vmm, enum vmm_event_type type);
void run_fail(struct vmm *vmm, const char *fmt, ...) _printf_(2, 3);

/* vp.c: makes exits of one VP happen until the VPs are to stop. */
void vp_run(struct vp *vp);
/* Lets KVM finish the instruction that the last exit came from. */
void vp_complete(struct vp *vp);

/* vp-call.c: an OUT to one of the hypercall ports. */
void vp_call(struct vp *vp, bool signal);
extern const struct hv_ops vp_hv_ops; /* ctx: struct vmm */

/* vp-regs.c */
int vp_get_register(void *ctx, uint32_t vp, uint32_t name, uint64_t ret[2]);
int vp_set_register(void *ctx, uint32_t vp, uint32_t name, const uint64_t value[2]);

/* vp-state.c */
_warn_unused_ int vp_save(struct vp *vp, struct wr *wr);
_warn_unused_ int vp_restore(struct vp *vp, struct rd *rd);

/* platform.c */
_warn_unused_ int platform_init(struct vmm *vmm);
/* As after power-on. */
void platform_reset(struct vmm *vmm);
void platform_access(struct vmm *vmm, enum bus_space space, bool write, uint64_t address,
        uint8_t *data, unsigned size);
void platform_eoi(struct vmm *vmm, uint8_t vector);
void platform_save(struct vmm *vmm, struct wr *wr);
_warn_unused_ int platform_restore(struct vmm *vmm, struct rd *rd);

/* doorbell.c. rebind: after the VM was made anew. */
bool doorbell_ring(struct vmm *vmm, uint32_t connection_id);
_warn_unused_ int doorbell_rebind(struct vmm *vmm);

/* timebase.c: 0 when the partition is made; stands still between stop and start, and so do the VPs'
 * time stamp counters where KVM can shift them. */
void timebase_reset(struct vmm *vmm);
_warn_unused_ int timebase_start(struct vmm *vmm);
void timebase_stop(struct vmm *vmm);
uint64_t timebase_now(struct vmm *vmm); /* 100 ns */
/* While time stands still: its saved form in ticks, and what a VP's counter stands at. */
uint64_t timebase_get(struct vmm *vmm);
void timebase_set(struct vmm *vmm, uint64_t ticks);
_warn_unused_ int timebase_get_tsc(struct vp *vp, uint64_t *ret);
_warn_unused_ int timebase_set_tsc(struct vp *vp, uint64_t tsc);
