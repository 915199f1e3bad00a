// SPDX-License-Identifier: MIT
/* How a system ends: on request, by itself, or because its worker died; and what is said of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "vmcompute/build.h"
#include "vmcompute/server.h"
#include "wire/hresult.h"

void system_terminate_call(struct system *s, struct call *call) {
        if (system_request_new(s, IPC_TERMINATE, call))
                system_terminate(s);
}

void system_terminate(struct system *s) {
        if (s->state == SYSTEM_STOPPED || s->leaving)
                return;
        s->leaving = true;
        /* A system that is being made has no worker yet, or one that may be killed. */
        if (s->state == SYSTEM_CREATING) {
                struct error e = {.hresult = HCS_E_TERMINATED, .text = "vmcomputed is ending"};
                call_fail(TAKE_PTR(s->create_call), &e);
                system_free(s);
                return;
        }
        struct ipc_message m = {.type = IPC_TERMINATE};
        worker_send(s->worker, &m, NULL, 0);
        worker_expect_end(s->worker);
}

/* The answer to a request that the worker's end left open. */
static void fail_request(struct system *s, struct request *q) {
        struct call *call = TAKE_PTR(q->call);
        enum ipc_type type = q->type;
        system_request_free(s, q);
        if (type == IPC_TERMINATE || (type == IPC_SHUTDOWN && s->exit_status == 0))
                call_reply(call, NULL, NULL, 0);
        else if (type == IPC_START)
                call_fail_with(call, HCS_E_TERMINATED_DURING_START, "%s", s->exit_text);
        else
                call_fail_with(call, s->exit_status ? s->exit_status : HCS_E_SYSTEM_ALREADY_STOPPED,
                        "%s", s->exit_text);
}

/* What SystemExitStatus says of a cause. */
struct attribution {
        const char *worker_type, *worker_detail, *system_detail, *initiator;
};

static struct attribution attribution(const struct system *s) {
        if (s->worker_died)
                return (struct attribution){
                        "UnexpectedStop", "ProcessUnexpectedExit", NULL, "Internal"};
        switch (s->exit_cause) {
        case IPC_CAUSE_POWER_OFF:
                return (struct attribution){NULL, NULL, "Shutdown", "GuestOS"};
        case IPC_CAUSE_TERMINATE:
                return (struct attribution){NULL, NULL, "Terminate", "Client"};
        case IPC_CAUSE_RESET:
                return (struct attribution){"StoppedOnReset", "Reset", NULL, "GuestOS"};
        case IPC_CAUSE_TRIPLE_FAULT:
                return (struct attribution){"UnexpectedStop", "TripleFault", NULL, "GuestOS"};
        case IPC_CAUSE_GUEST_CRASH:
                return (struct attribution){"UnexpectedStop", "GuestCrash", NULL, "GuestOS"};
        case IPC_CAUSE_START:
                return (struct attribution){
                        "InitializationFailed", "ColdStartFailure", NULL, "Internal"};
        case IPC_CAUSE_INTERNAL:
                break;
        }
        return (struct attribution){"UnrecoverableError", "EmulatorError", NULL, "Internal"};
}

const char *system_exit_type_name(const struct system *s) {
        switch (s->exit_type) {
        case IPC_EXIT_GRACEFUL:
                return "GracefulExit";
        case IPC_EXIT_FORCED:
                return "ForcedExit";
        case IPC_EXIT_UNEXPECTED:
                break;
        }
        return "UnexpectedExit";
}

int system_exit_document(const struct system *s, struct json **ret) {
        struct attribution a = attribution(s);
        struct hcs_exit x = {
                .status = s->exit_status,
                .type = system_exit_type_name(s),
                .worker_type = a.worker_type,
                .worker_detail = a.worker_detail,
                .system_detail = a.system_detail,
                .initiator = a.initiator,
                .crashed = s->crashed,
        };
        memcpy(x.crash, s->crash, sizeof x.crash);
        return hcs_exit_encode(&x, ret);
}

void system_exited(struct system *s, const struct ipc_message *m) {
        s->has_exit = true;
        s->exit_type = m->exit.type;
        s->exit_status = m->exit.status;
        s->crashed = m->exit.crashed;
        memcpy(s->crash, m->exit.crash, sizeof s->crash);
        /* A start that failed said why before; the TERMINATE that followed is not the cause. */
        if (s->exit_cause != IPC_CAUSE_START || m->exit.cause != IPC_CAUSE_TERMINATE) {
                s->exit_cause = m->exit.cause;
                memcpy(s->exit_text, m->text, sizeof s->exit_text);
        }
        worker_expect_end(s->worker);
}

/* The worker did not say EXITED: killed on our request, or dead. */
static void conclude(struct system *s, const char *cause) {
        if (s->leaving) {
                s->exit_type = IPC_EXIT_FORCED;
                s->exit_status = HCS_E_TERMINATED;
                if (s->exit_cause != IPC_CAUSE_START)
                        s->exit_cause = IPC_CAUSE_TERMINATE;
        } else {
                s->worker_died = true;
                s->exit_type = IPC_EXIT_UNEXPECTED;
                s->exit_status = HCS_E_UNEXPECTED_EXIT;
        }
        if (!s->exit_text[0])
                snprintf(s->exit_text, sizeof s->exit_text, "%.*s%s%.*s", 256, cause,
                        s->last_notice[0] ? "; it last said: " : "", 700, s->last_notice);
}

static void wait_reply(const struct system *s, struct call *call) {
        struct json *document = NULL;
        if (system_exit_document(s, &document) < 0) {
                call_fail_with(call, HR_OUTOFMEMORY, "no memory for an answer");
                return;
        }
        struct build b = build_new();
        build_set(&b, "result", document);
        build_string(&b, "message", s->exit_text);
        call_reply_object(call, build_take(&b), NULL, 0);
}

void system_wait(struct system *s, struct call *call, uint32_t timeout_ms) {
        if (s->state == SYSTEM_STOPPED)
                wait_reply(s, call);
        else
                waiter_add(s->vc->loop, &s->waiters, call, timeout_ms);
}

void system_ended(struct system *s, const char *cause) {
        s->worker = worker_free(s->worker);
        s->hvsockets = hvhost_free(s->hvsockets);
        if (s->state == SYSTEM_CREATING) {
                call_fail_with(TAKE_PTR(s->create_call), HCS_E_UNEXPECTED_EXIT, "%s", cause);
                system_free(s);
                return;
        }
        if (!s->has_exit)
                conclude(s, cause);
        s->state = SYSTEM_STOPPED;
        s->busy = false;
        s->guest_connected = false;
        log_write(s->exit_type == IPC_EXIT_UNEXPECTED ? LOG_WARNING : LOG_INFO,
                "system \"%s\": %s (0x%08X): %s", s->id, system_exit_type_name(s), s->exit_status,
                s->exit_text);
        while (s->requests)
                fail_request(s, s->requests);
        process_all_lost(s);
        struct call *call;
        while ((call = waiter_take(&s->waiters)))
                wait_reply(s, call);
        struct json *document = NULL;
        if (system_exit_document(s, &document) == 0)
                conn_send_event(s->vc, s, NULL, "SystemExited", s->exit_text, document);
        system_settle(s);
}

void system_crash_report(struct system *s, const struct ipc_message *m) {
        struct json *parameters = json_new_array();
        for (size_t i = 0; i < ARRAY_SIZE(m->crash.parameters); i++)
                if (json_add(parameters, json_new_u64(m->crash.parameters[i])) < 0)
                        parameters = json_unref(parameters);
        struct build report = build_new();
        build_string(&report, "SystemId", s->id);
        build_set(&report, "CrashParameters", parameters);
        build_string(&report, "CrashLog", m->crash.log);
        log_warning("system \"%s\": the guest crashed: %.*s", s->id,
                (int)strcspn(m->crash.log, "\n"), m->crash.log);
        conn_send_event(s->vc, s, NULL, "SystemCrashReport", NULL, build_take(&report));
}
