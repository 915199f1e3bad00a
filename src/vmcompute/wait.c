// SPDX-License-Identifier: MIT
#include <errno.h>
#include "base/clock.h"
#include "base/fault.h"
#include "vmcompute/system.h"
#include "wire/hresult.h"

static struct call *waiter_remove(struct waiter *w) {
        struct waiter **at = w->list;
        while (*at != w)
                at = &(*at)->next;
        *at = w->next;
        struct call *call = w->call;
        call->waiter = NULL;
        io_timer_free(w->timer);
        free(w);
        return call;
}

static void on_timeout(void *ctx) {
        call_fail_with(waiter_remove(ctx), HCS_E_OPERATION_TIMEOUT,
                "the time to wait is over; what was waited for goes on");
}

void waiter_add(
        struct io_loop *loop, struct waiter **list, struct call *call, uint32_t timeout_ms) {
        struct waiter *w = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *w);
        if (!w || (timeout_ms != SYSTEM_WAIT_INFINITE &&
                          io_timer_new(loop, on_timeout, w, &w->timer) < 0)) {
                free(w);
                call_fail_with(call, HR_OUTOFMEMORY, "no memory to wait");
                return;
        }
        if (w->timer)
                io_timer_arm(w->timer, timeout_ms * CLOCK_NS_PER_MS, 0);
        w->call = call;
        call->waiter = w;
        w->list = list;
        w->next = *list;
        *list = w;
}

struct call *waiter_take(struct waiter **list) {
        return *list ? waiter_remove(*list) : NULL;
}

void waiter_cancel(struct waiter *w) {
        struct call *call = waiter_remove(w);
        json_unref(call->id);
        free(call);
}
