// SPDX-License-Identifier: MIT
/* The partition: memory, virtual processors, platform devices and the Hyper-V personality on raw
 * /dev/kvm. Knows no VMBus: messages and events are handed to the owner through struct vmm_ops.
 *
 * States: new → running ⇄ paused → … ; reset() from paused starts over in place.
 * Threads: one owner thread makes, starts, pauses, resets, saves and frees. Each VP runs on a
 * thread of its own. Functions marked "any thread" may be called at any time between vmm_new() and
 * vmm_free(). Callbacks say which thread they come on. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/rd.h"
#include "base/wr.h"
#include "gmem/gmem.h"

enum {
        VMM_VPS_MAX = 64,
        VMM_CMDLINE_MAX = 2048,     /* with NUL, what an x86 kernel takes */
        VMM_IOEVENTFDS_MAX = 900,   /* channels whose doorbell the kernel absorbs */
        VMM_MESSAGE_SIZE_MAX = 240, /* payload of a SynIC message */
        VMM_MESSAGE_QUEUE_MAX = 16, /* TLFS: buffers of a port, per SINT and VP */
};

/* Documented refusals (positive). */
enum {
        VMM_E_BUSY = 1, /* the message queue of that SINT is full; message_slot_free() follows */
        VMM_E_DISABLED, /* that VP has no SynIC, no page, or no such VP */
};

enum vmm_event_type {
        VMM_EVENT_RESET, /* the guest asked to restart (reset MSR, ACPI, keyboard controller) */
        VMM_EVENT_TRIPLE_FAULT, /* a VP shut down; to be treated as a restart */
        VMM_EVENT_POWER_OFF,    /* ACPI S5 */
        VMM_EVENT_CRASH,        /* crash MSRs; the guest may go on to reset */
        VMM_EVENT_FAILED,       /* KVM or we cannot go on; text says why */
};

struct vmm_event {
        enum vmm_event_type type;
        uint64_t crash[5]; /* P0..P4 */
        char text[4096];   /* kernel log of a crash, or the cause of a failure; NUL-terminated */
};

struct vmm_ops {
        /* HvPostMessage on a VP thread. The payload is a copy. Returns an HV_STATUS: 0 when taken,
         * HV_STATUS_INSUFFICIENT_BUFFERS to make the guest try again, 0x12 for an unknown id. */
        uint16_t (*post_message)(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
                const void *payload, size_t size);
        /* A queue that answered VMM_E_BUSY has room again. A VP thread. */
        void (*message_slot_free)(void *ctx, uint32_t vp, uint8_t sint);
        /* Something ended or broke. On a VP thread, at most once per type until reset; for RESET,
         * TRIPLE_FAULT, POWER_OFF and FAILED the VPs have stopped running guest code by themselves
         * or do so on the next vmm_pause(). The owner's thread acts. */
        void (*event)(void *ctx, const struct vmm_event *event);
        /* Bytes that the guest wrote to COM1. A VP thread. May be NULL. */
        void (*console)(void *ctx, const void *data, size_t size);
};

struct vmm_config {
        int kvm_fd;          /* /dev/kvm, borrowed */
        uint32_t vps;        /* 1..VMM_VPS_MAX */
        uint64_t memory;     /* bytes of RAM, a multiple of 2 MiB, at least 64 MiB for a kernel */
        int kernel_fd;       /* ELF64 with a 64-bit entry; borrowed until vmm_free(), read again at
                              * each reset. -1: the owner fills memory and registers itself (tests)
                              */
        int initrd_fd;       /* -1: none */
        const char *cmdline; /* copied */
        bool no_hyperv;      /* a plain machine, for measuring */
};

struct vmm;

/* Opens /dev/kvm and says in one line what is missing: no such device, no permission, an API that
 * is not 12, a capability. `stock_kernel`: also refuse (HR_NO_HYPERVISOR) a KVM that cannot run a
 * distribution kernel because there is no VT-x or AMD-V behind it. *ret_fd is the caller's. */
_warn_unused_ int vmm_open_kvm(bool stock_kernel, struct error *e, int *ret_fd);

/* False for a kernel that says by an ELF note {"Sandbar", VMM_NOTE_ANY_KVM} that it does without
 * VT-x and AMD-V (the tests' guests do). True for everything else, unreadable files included. */
enum { VMM_NOTE_ANY_KVM = 1 };
bool vmm_kernel_needs_hardware(int kernel_fd);

_warn_unused_ int vmm_new(const struct vmm_config *config, const struct vmm_ops *ops, void *ctx,
        struct error *e, struct vmm **ret);
/* Stops the VPs, joins their threads. */
struct vmm *vmm_free(struct vmm *vmm);
DEFINE_CLEANUP(struct vmm, vmm_free)

/* Guest memory, borrowed, for as long as the vmm lives (a reset keeps it, zeroed). */
struct gmem *vmm_gmem(struct vmm *vmm);
uint32_t vmm_vps(const struct vmm *vmm);

/* Owner thread. start: from new, after restore, or after reset. pause returns when every VP is out
 * of guest code with pending exits completed; from then on nothing here changes guest state. */
_warn_unused_ int vmm_start(struct vmm *vmm, struct error *e);
void vmm_pause(struct vmm *vmm);
void vmm_resume(struct vmm *vmm);
/* Paused: zeroes RAM, loads the kernel again, all VPs and devices as after power-on. */
_warn_unused_ int vmm_reset(struct vmm *vmm, struct error *e);
/* ACPI power button: a fixed event the guest may heed. Any thread. */
void vmm_power_button(struct vmm *vmm);
/* CrashOptions: an NMI to VP 0. Any thread. */
void vmm_nmi(struct vmm *vmm);
/* Bytes for the guest's COM1; returns how many fitted. Any thread. */
size_t vmm_console_input(struct vmm *vmm, const void *data, size_t size);

/* SynIC, any thread. post: queues when the slot is taken; VMM_E_BUSY when the queue is full.
 * signal: sets event flag `flag` of `sint` and raises the interrupt if it was clear. */
_warn_unused_ int vmm_post(struct vmm *vmm, uint32_t vp, uint8_t sint, uint32_t type,
        const void *payload, size_t size);
_warn_unused_ int vmm_signal(struct vmm *vmm, uint32_t vp, uint8_t sint, uint16_t flag);

/* HvSignalEvent(connection_id) rings this eventfd (borrowed until unbound): by an exit at first, in
 * the kernel once it is busy, for the first VMM_IOEVENTFDS_MAX such. -EEXIST. Any thread. */
_warn_unused_ int vmm_bind_event(struct vmm *vmm, uint32_t connection_id, int eventfd);
void vmm_unbind_event(struct vmm *vmm, uint32_t connection_id);

/* TLFS 12.2: 100 ns since the partition was made; stands still while paused. Any thread. */
uint64_t vmm_reference_time(struct vmm *vmm);

/* Paused. State of everything but RAM, which the owner saves through vmm_gmem(). The same state
 * saves to the same bytes. restore: into a vmm made with the same config and not yet started. */
_warn_unused_ int vmm_save(struct vmm *vmm, struct wr *wr);
_warn_unused_ int vmm_restore(struct vmm *vmm, struct rd *rd, struct error *e);
