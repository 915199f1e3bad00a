// SPDX-License-Identifier: MIT
/* The host end of the GCS bridge (protocol version 4, hcsshim's internal/gcs/prot): talks to
 * cexecsvc in the guest over one hvsocket stream, and starts processes whose standard streams are
 * hvsockets that the guest dials. The guest's JSON is parsed here, in the worker, within
 * json_limits_guest; what comes out are typed values.
 *
 * Threads: the loop's. Every request is answered exactly once, with HCS_E_CONNECTION_CLOSED when
 * the guest vanishes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/guid.h"
#include "io/loop.h"

#define GCS_BRIDGE_PORT  0x40000000u
#define GCS_STDIO_PORT_0 0x40000001u
enum { GCS_PROCESSES_MAX = 256, GCS_REQUESTS_MAX = 256, GCS_PROTOCOL_VERSION = 4 };

struct gcs;

struct gcs_ops {
        /* Negotiated and the null container created: ready for processes. */
        void (*connected)(void *ctx, uint32_t protocol);
        /* The bridge ended; r = 0 for an orderly end. */
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
        bool console;
        uint16_t rows, columns;
};

/* hresult 0 and pid, or the failure with its text. */
typedef void (*gcs_done_fn)(void *ctx, uint32_t hresult, const char *text, uint32_t pid);

_warn_unused_ int gcs_new(struct io_loop *loop, const struct gcs_ops *ops, void *ctx,
        struct gcs **ret);
struct gcs *gcs_free(struct gcs *gcs);
DEFINE_CLEANUP(struct gcs, gcs_free)

/* The guest dials `port`: the bridge's own port, or a stdio port that a pending process waits for.
 * 0 and the descriptor that the transport shall pump into that connection (the transport takes it
 * over), or -ECONNREFUSED. */
_warn_unused_ int gcs_accept(struct gcs *gcs, uint32_t port, int *ret_fd);

void gcs_create_process(struct gcs *gcs, struct gcs_process *params_consume_fds, gcs_done_fn done,
        void *ctx);
void gcs_signal_process(struct gcs *gcs, uint32_t pid, int32_t signal, gcs_done_fn done, void *ctx);
void gcs_resize_console(struct gcs *gcs, uint32_t pid, uint16_t rows, uint16_t columns,
        gcs_done_fn done, void *ctx);
/* Asks the guest to power off in good order. */
void gcs_shutdown(struct gcs *gcs, gcs_done_fn done, void *ctx);
/* The machine restarts: everything pending fails, the next guest may connect. */
void gcs_reset(struct gcs *gcs);
bool gcs_is_connected(const struct gcs *gcs);
