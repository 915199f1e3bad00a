// SPDX-License-Identifier: MIT
#include "ipc/rules.h"
#include <assert.h>
#include <errno.h>

#define REQUEST IPC_HAS_ID

static const struct ipc_rule rules[] = {
        {IPC_CONFIG, IPC_WORKER, REQUEST | IPC_ONCE | IPC_FIRST, IPC_BODY_CONFIG, 1, 3},
        {IPC_START, IPC_WORKER, REQUEST, IPC_BODY_NONE, 0, 0},
        {IPC_PAUSE, IPC_WORKER, REQUEST, IPC_BODY_NONE, 0, 0},
        {IPC_RESUME, IPC_WORKER, REQUEST, IPC_BODY_NONE, 0, 0},
        {IPC_SHUTDOWN, IPC_WORKER, REQUEST, IPC_BODY_SHUTDOWN, 0, 0},
        {IPC_TERMINATE, IPC_WORKER, 0, IPC_BODY_NONE, 0, 0},
        {IPC_CREATE_PROCESS, IPC_WORKER, REQUEST, IPC_BODY_PROCESS, 0, 3},
        {IPC_SIGNAL_PROCESS, IPC_WORKER, REQUEST | IPC_HAS_PID, IPC_BODY_SIGNAL, 0, 0},
        {IPC_RESIZE_CONSOLE, IPC_WORKER, REQUEST | IPC_HAS_PID, IPC_BODY_CONSOLE, 0, 0},
        {IPC_STATISTICS, IPC_WORKER, REQUEST, IPC_BODY_NONE, 0, 0},
        {IPC_SAVE, IPC_WORKER, REQUEST, IPC_BODY_NONE, 1, 1},
        {IPC_HVSOCKET_DIAL, IPC_WORKER, REQUEST | IPC_HAS_TEXT, IPC_BODY_HVSOCKET, 1, 1},
        {IPC_HVSOCKET_ANSWER, IPC_WORKER, IPC_HAS_HRESULT | IPC_HAS_TEXT, IPC_BODY_HVSOCKET, 0, 1},
        {IPC_HVSOCKET_TABLE, IPC_WORKER, REQUEST, IPC_BODY_TABLE, 0, 0},
        {IPC_CRASH, IPC_WORKER, REQUEST, IPC_BODY_NONE, 0, 0},

        {IPC_DONE, IPC_DAEMON, IPC_HAS_ID | IPC_HAS_PID | IPC_HAS_HRESULT | IPC_HAS_TEXT,
                IPC_BODY_NONE, 0, 0},
        {IPC_EXITED, IPC_DAEMON, IPC_HAS_TEXT | IPC_ONCE | IPC_LAST, IPC_BODY_EXIT, 0, 0},
        {IPC_PROCESS_EXITED, IPC_DAEMON, IPC_HAS_PID, IPC_BODY_PROCESS_EXIT, 0, 0},
        {IPC_GUEST_CONNECTION, IPC_DAEMON, 0, IPC_BODY_CONNECTION, 0, 0},
        {IPC_CRASH_REPORT, IPC_DAEMON, 0, IPC_BODY_CRASH, 0, 0},
        {IPC_HVSOCKET_ASK, IPC_DAEMON, 0, IPC_BODY_HVSOCKET, 0, 0},
        {IPC_STATISTICS_REPLY, IPC_DAEMON, IPC_HAS_ID, IPC_BODY_STATISTICS, 0, 0},
        {IPC_NOTICE, IPC_DAEMON, IPC_HAS_TEXT, IPC_BODY_NONE, 0, 0},
};

enum {
        DAEMON_ROWS = IPC_TYPES_DAEMON_END_ - IPC_CONFIG,
        WORKER_ROWS = IPC_TYPES_WORKER_END_ - IPC_DONE,
};
static_assert(ARRAY_SIZE(rules) == (size_t)DAEMON_ROWS + (size_t)WORKER_ROWS, "a row per message");

const struct ipc_rule *ipc_rule(unsigned type) {
        if (type >= IPC_CONFIG && type < IPC_TYPES_DAEMON_END_)
                return &rules[type - IPC_CONFIG];
        if (type >= IPC_DONE && type < IPC_TYPES_WORKER_END_)
                return &rules[DAEMON_ROWS + type - IPC_DONE];
        return NULL;
}

unsigned ipc_fds_wanted(const struct ipc_rule *rule, const struct ipc_message *m) {
        switch (rule->type) {
        case IPC_CONFIG:
                return 1u + m->config.has_initrd + m->config.restore;
        case IPC_CREATE_PROCESS:
                return 0u + m->process.want_stdin + m->process.want_stdout + m->process.want_stderr;
        case IPC_HVSOCKET_ANSWER:
                return m->hresult == 0;
        default:
                return rule->max_fds;
        }
}

int ipc_order_check(struct ipc_order *order, const struct ipc_message *m) {
        const struct ipc_rule *rule = ipc_rule(m->type);
        if (!rule || order->exited)
                return -EPROTO;
        if (rule->receiver == IPC_WORKER) {
                bool first = rule->flags & IPC_FIRST;
                if (first == order->configured)
                        return -EPROTO;
                order->configured = true;
        }
        if (rule->flags & IPC_LAST)
                order->exited = true;
        return 0;
}
