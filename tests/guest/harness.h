// SPDX-License-Identifier: MIT
/* Runs a synthetic guest: a machine with a payload as its kernel, its console collected, its end
 * waited for under a deadline. A test links this, names its payload's file and looks at what came
 * out. Threads: the functions are for the test's own thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "vmm/vmm.h"

enum { GUEST_CONSOLE_MAX = 64 * 1024, GUEST_DEADLINE_MS = 10000, GUEST_MEMORY = 64 << 20 };

struct guest;

struct guest_config {
        const char *payload; /* "hello": the program guest-hello of this build */
        const char *cmdline;
        uint32_t vps;    /* 0: one */
        uint64_t memory; /* 0: GUEST_MEMORY */
        bool no_hyperv;
        const struct vmm_ops *ops; /* post_message, message_slot_free; may be NULL */
        void *ctx;                 /* of ops */
};

/* Makes it and, unless a state is to be restored first, guest_start() starts it. Failures end the
 * test with a message. */
struct guest *guest_new(const struct guest_config *config);
void guest_start(struct guest *guest);
struct guest *guest_free(struct guest *guest);
struct vmm *guest_vmm(struct guest *guest);

/* Waits for the next event other than a crash; its type, or -1 after GUEST_DEADLINE_MS. */
int guest_wait(struct guest *guest, struct vmm_event *ret);
/* Waits until the console has shown the text, counted from the last match on; false at the
 * deadline. */
bool guest_expect(struct guest *guest, const char *text);
/* All that the console showed; NUL-terminated, valid until guest_free(). */
const char *guest_console(struct guest *guest);
/* The number in the payload's "exit N", or -1. */
int guest_status(struct guest *guest);

/* new, start, wait for power-off: the status, or -1 with everything known printed on stderr. */
int guest_run(const struct guest_config *config);

/* What vmm_ops.event got so far of that type. */
unsigned guest_events(struct guest *guest, enum vmm_event_type type);
/* The last crash report, for when the guest has ended. */
const struct vmm_event *guest_crash(struct guest *guest);

/* Ends the whole process when it still runs after that many seconds, since a guest that spins in
 * the host's kernel cannot be stopped otherwise. For main(). */
void guest_kill_deadline(unsigned seconds);
