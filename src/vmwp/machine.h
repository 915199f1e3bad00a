// SPDX-License-Identifier: MIT
/* One sandbox's machine: the partition, VMBus and every device on it, made together, restarted
 * together, saved together. The array of devices is the list in machine.c; there is no other.
 *
 * Threads: the loop's. What VP threads report is brought to the loop first. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/guid.h"
#include "gcs/gcs.h"
#include "hvsocket/hvsocket.h"
#include "io/loop.h"
#include "vmm/vmm.h"

enum { MACHINE_CONSOLE_TAIL = 4096 };

struct machine_config {
        int kvm_fd, kernel_fd, initrd_fd; /* borrowed; initrd_fd -1: none */
        uint32_t vps;
        uint64_t memory; /* bytes */
        const char *cmdline;
        bool stop_on_reset;
        const struct hvsocket_rule *rules;
        size_t n_rules;
        bool default_bind, default_connect;
};

enum machine_stop {
        MACHINE_POWERED_OFF, /* the guest did it */
        MACHINE_RESET,       /* a restart, where stop_on_reset ends it */
        MACHINE_CRASHED,     /* the guest's kernel reported a crash */
        MACHINE_FAILED,      /* KVM or we could not go on */
};

struct machine_ops {
        void (*guest_connected)(void *ctx, uint32_t protocol);
        void (*guest_closed)(void *ctx);
        void (*process_exited)(void *ctx, uint32_t pid, int32_t code);
        /* The machine ended by itself; at most once. `event` is what the guest left behind (NULL
         * for MACHINE_POWERED_OFF). The machine stays until it is freed. */
        void (*stopped)(void *ctx, enum machine_stop why, const struct vmm_event *event);
        /* The machine started over in place. */
        void (*restarted)(void *ctx);
        /* The guest dials a service that a host program may serve; answer with
         * machine_hvsocket_answer(). */
        void (*asked)(
                void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint);
};

struct machine;

_warn_unused_ int machine_new(struct io_loop *loop, const struct machine_config *config,
        const struct machine_ops *ops, void *ctx, struct error *e, struct machine **ret);
struct machine *machine_free(struct machine *machine);
DEFINE_CLEANUP(struct machine, machine_free)

_warn_unused_ int machine_start(struct machine *machine, struct error *e);
/* Both may be repeated. Resume is also what sets a restored machine going; nothing for one that was
 * neither started nor restored, or that has stopped. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* Asks the guest to power off or reboot: by the shutdown integration service, or by the agent when
 * that service is not there. done: 0, HR_NOT_SUPPORTED when neither is. */
void machine_shutdown(
        struct machine *machine, bool force, bool reboot, gcs_done_fn done, void *ctx);
void machine_nmi(struct machine *machine);

struct gcs *machine_gcs(struct machine *machine);
struct hvsocket *machine_hvsocket(struct machine *machine);
struct vmm *machine_vmm(struct machine *machine);
struct vmbus *machine_vmbus(struct machine *machine);
/* fd, taken over, or -1 to refuse. */
void machine_hvsocket_answer(struct machine *machine, uint64_t token, int fd_consume);

/* What the guest last wrote to COM1, without control characters, for texts of failures. */
const char *machine_console_tail(struct machine *machine);

/* RAM and all state to or from a regular file (docs/internals/save.md). Save: -EBUSY unless the
 * machine is paused; after a failure the file is as it was, or empty. Restore is for a machine just
 * made with the same configuration, -EBADMSG when the file is none, damaged or cut short; after a
 * failure the machine is good only for machine_free(). Then the owner gives the hvsockets their
 * programs again (hvsocket_reattach()) and calls machine_resume(). */
_warn_unused_ int machine_save(struct machine *machine, int fd, struct error *e);
_warn_unused_ int machine_restore(struct machine *machine, int fd, struct error *e);
/* The state without RAM. */
_warn_unused_ int machine_save_state(struct machine *machine, struct wr *wr);
_warn_unused_ int machine_restore_state(struct machine *machine, struct rd *rd, struct error *e);
