// SPDX-License-Identifier: MIT
/* The host end of the GCS bridge (protocol version 4, hcsshim's internal/gcs/prot): talks to
 * cexecsvc in the guest over one hvsocket stream, and starts processes whose standard streams are
 * hvsockets that the guest dials. The guest's JSON is parsed here, in the worker, within
 * json_limits_guest; what comes out are typed values.
 *
 * Threads: the loop's. Every request is answered exactly once, with HCS_E_CONNECTION_CLOSED when
 * the guest vanishes and HCS_E_PROTOCOL_ERROR when it broke the protocol; an answer that needs no
 * guest comes before the call returns. Every process whose start succeeded is reported as ended
 * exactly once, unless gcs_free() comes first. A guest that reconnects keeps its processes.
 *
 * There are no deadlines here, as a machine may be paused: callers set their own.
 * Callbacks may call anything but gcs_free(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/guid.h"
#include "io/loop.h"
#include "wire/gcs.h"

enum {
        GCS_PROCESSES_MAX = 256, /* started and not ended */
        GCS_REQUESTS_MAX = 256,  /* of callers, not answered */
        GCS_EXIT_UNKNOWN = -1,   /* exit code of a process whose end the guest could not tell */
};

struct gcs;

struct gcs_ops {
        /* Negotiated and, if the guest asks for it, the null container created and started: ready
         * for processes. */
        void (*connected)(void *ctx, uint32_t protocol);
        /* The bridge ended; r = 0 for an orderly end, -EPROTO when the guest broke the protocol
         * (gcs_last_error() says how). Also called for a bridge that ended before connected(). */
        void (*closed)(void *ctx, int r);
        void (*process_exited)(void *ctx, uint32_t pid, int32_t code);
};

/* As struct ipc_process; strings are read during the call only. */
struct gcs_process {
        const char *const *argv;
        const char *command_line;
        const char *const *env;
        const char *cwd;
        const char *user;
        int stdio[3]; /* non-blocking stream ends to pump, -1 for none; taken over */
        bool console; /* stdout carries both; stdio[2] is closed */
        uint16_t rows, columns;
};

/* hresult 0 and pid, or the failure with its text. */
typedef void (*gcs_done_fn)(void *ctx, uint32_t hresult, const char *text, uint32_t pid);

_warn_unused_ int gcs_new(
        struct io_loop *loop, const struct gcs_ops *ops, void *ctx, struct gcs **ret);
struct gcs *gcs_free(struct gcs *gcs);
DEFINE_CLEANUP(struct gcs, gcs_free)

/* The guest dials `port`: the bridge's own port, or a stdio port that a pending process waits for.
 * 0 and the descriptor that the transport shall pump into that connection (the transport takes it
 * over), or -ECONNREFUSED; -EMFILE, -ENOMEM. A second bridge replaces the first: a guest's agent
 * that started anew may dial before the end of the old connection has arrived. */
_warn_unused_ int gcs_accept(struct gcs *gcs, uint32_t port, int *ret_fd);

void gcs_create_process(
        struct gcs *gcs, struct gcs_process *params_consume_fds, gcs_done_fn done, void *ctx);
/* HR_NOT_FOUND for a process that ended or never was. */
void gcs_signal_process(struct gcs *gcs, uint32_t pid, int32_t signal, gcs_done_fn done, void *ctx);
void gcs_resize_console(struct gcs *gcs, uint32_t pid, uint16_t rows, uint16_t columns,
        gcs_done_fn done, void *ctx);
/* Asks the guest to power off in good order. A bridge that then ends is a yes. */
void gcs_shutdown(struct gcs *gcs, gcs_done_fn done, void *ctx);
/* The machine restarts: everything pending fails, processes end with GCS_EXIT_UNKNOWN, the next
 * guest may connect. closed() is not called. */
void gcs_reset(struct gcs *gcs);
bool gcs_is_connected(const struct gcs *gcs);
/* How the guest broke the protocol on the bridge that is up or was last, "" if it did not. */
const char *gcs_last_error(const struct gcs *gcs);
