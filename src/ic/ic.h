// SPDX-License-Identifier: MIT
/* Integration components: three small devices that every guest with hv_utils serves (facts 9).
 * Shutdown asks the guest to power off or to reboot, heartbeat tells whether it lives, timesync
 * sets its clock. The host speaks first, one packet is in flight on each channel, and silence is
 * normal: a guest that never loads the driver never answers. A guest that answers with rubbish puts
 * that one device into the failed state until it opens the channel anew.
 *
 * Threads: the loop's. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "io/loop.h"
#include "vmbus/vmbus.h"

enum {
        IC_HEARTBEAT_PERIOD_MS = 2000,
        IC_HEARTBEAT_LOST_MS = 10000, /* without an answer */
        IC_TIMESYNC_PERIOD_MS = 5000,
};

struct ic;

struct ic_ops {
        /* Wall-clock time in 100 ns since 1601, and the guest's TIME_REF_COUNT at that moment. */
        void (*time)(void *ctx, uint64_t *ret_filetime, uint64_t *ret_reference);
        /* Something that the log should say once: the device failed. May be NULL. */
        void (*problem)(void *ctx, const char *device, const char *what);
};

/* Offers the three devices, before the guest runs. VMBUS_E_FULL or negative errno. */
_warn_unused_ int ic_new(struct vmbus *vmbus, struct io_loop *loop, const struct ic_ops *ops,
        void *ctx, struct ic **ret);
/* After vmbus_free(). A shutdown that is not done is done with -ECANCELED. */
struct ic *ic_free(struct ic *ic);
DEFINE_CLEANUP(struct ic, ic_free)

enum ic_shutdown_kind { IC_POWER_OFF, IC_REBOOT };

/* Called once: 0 when the guest said that it will, -ENOTCONN when no guest listens, -EBUSY when
 * another one is under way, -EREMOTEIO when the guest refused, -EPROTO when the device failed,
 * -ECONNRESET when the guest closed it, -ETIMEDOUT when it did not answer in time. */
typedef void (*ic_done_fn)(void *ctx, int r);

/* `force`: programs are not asked. timeout_ms is for the guest's answer, not for what it then does.
 * done may be called before this returns. */
void ic_shutdown(struct ic *ic, enum ic_shutdown_kind kind, bool force, uint32_t timeout_ms,
        ic_done_fn done, void *ctx);

enum ic_heartbeat {
        IC_HEARTBEAT_NONE, /* the guest has not answered since it started */
        IC_HEARTBEAT_OK,
        IC_HEARTBEAT_LOST, /* it has, but not for IC_HEARTBEAT_LOST_MS */
};

/* ret_answers: how many heartbeats it has answered since it started. */
enum ic_heartbeat ic_heartbeat(const struct ic *ic, uint64_t *ret_answers);

/* Tells the guest to set its clock now, or as soon as it can be told: after a resume or a restore.
 * At the start it is told without this. */
void ic_timesync(struct ic *ic);

/* With the vmbus paused; restore into an ic just made, after vmbus_restore(). A shutdown that waits
 * for its answer is not saved. The clock is set when the guest goes on. */
_warn_unused_ int ic_save(struct ic *ic, struct wr *wr);
_warn_unused_ int ic_restore(struct ic *ic, struct rd *rd);
