// SPDX-License-Identifier: MIT
#include "vmcompute/verbs.h"
#include <errno.h>
#include <signal.h>
#include "vmcompute/params.h"
#include "vmcompute/system.h"
#include "wire/hresult.h"

bool verb_require_state(const struct method_args *a, enum system_state state) {
        const struct system *s = a->system;
        if (s->state == SYSTEM_STOPPED)
                call_fail_with(a->call, HCS_E_SYSTEM_ALREADY_STOPPED, "\"%s\" has stopped: %s",
                        s->id, s->exit_text);
        else if (s->busy || s->leaving)
                call_fail_with(a->call, HCS_E_INVALID_STATE,
                        "\"%s\" is about to change its state; wait for the call that does", s->id);
        else if (s->state != state)
                call_fail_with(a->call, HCS_E_INVALID_STATE, "\"%s\" is in the state %s", s->id,
                        system_state_name(s));
        else
                return true;
        return false;
}

/* A document that is checked and has no effect beyond that. */
static bool accept_document(const struct method_args *a, const char *name, enum hcs_document kind) {
        struct error e = {0};
        struct json *document;
        if (params_document(a, name, kind, &e, &document) < 0) {
                call_fail(a->call, &e);
                return false;
        }
        json_unref(document);
        return true;
}

/* Calls whose options are reserved: null or an empty object. */
static bool no_options(const struct method_args *a) {
        const struct json *options = json_get(a->params, "options");
        if (!options || (json_type(options) == JSON_OBJECT && json_length(options) == 0))
                return true;
        call_fail_with(a->call, E_INVALIDARG, "\"options\" has to be null or {}");
        return false;
}

void verb_start(const struct method_args *a) {
        if (no_options(a) && verb_require_state(a, SYSTEM_CREATED))
                system_request(a->system, IPC_START, a->call);
}

void verb_pause(const struct method_args *a) {
        if (accept_document(a, "options", HCS_DOC_PAUSE) && verb_require_state(a, SYSTEM_RUNNING))
                system_request(a->system, IPC_PAUSE, a->call);
}

void verb_resume(const struct method_args *a) {
        if (no_options(a) && verb_require_state(a, SYSTEM_PAUSED))
                system_request(a->system, IPC_RESUME, a->call);
}

void verb_crash(const struct method_args *a) {
        if (accept_document(a, "options", HCS_DOC_CRASH) && verb_require_state(a, SYSTEM_RUNNING))
                system_request(a->system, IPC_CRASH, a->call);
}

void verb_terminate(const struct method_args *a) {
        const struct system *s = a->system;
        if (!no_options(a))
                return;
        if (s->state == SYSTEM_STOPPED)
                call_fail_with(a->call, HCS_E_SYSTEM_ALREADY_STOPPED, "\"%s\" has stopped: %s",
                        s->id, s->exit_text);
        else
                system_terminate_call(a->system, a->call);
}

void verb_shutdown(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *document = NULL;
        struct hcs_shutdown shutdown = {0};
        if (params_document(a, "options", HCS_DOC_SHUTDOWN, &e, &document) < 0 ||
                hcs_shutdown_decode(document, &e, &shutdown) < 0) {
                call_fail(a->call, &e);
                return;
        }
        if (!verb_require_state(a, SYSTEM_RUNNING))
                return;
        struct request *q = system_request_new(a->system, IPC_SHUTDOWN, a->call);
        if (!q)
                return;
        struct ipc_message m = {.type = IPC_SHUTDOWN,
                .id = q->id,
                .shutdown = {.force = shutdown.force, .reboot = shutdown.reboot}};
        worker_send(a->system->worker, &m, NULL, 0);
}

/* Processes */

void verb_create_process(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *document = NULL, *warnings = NULL;
        _cleanup_(hcs_process_freep) struct hcs_process *process = NULL;
        int r = params_document(a, "processParameters", HCS_DOC_PROCESS, &e, &document);
        if (r == 0 && !document)
                r = error_set(&e, -EINVAL, HCS_E_INVALID_JSON, "\"processParameters\" is missing");
        if (r == 0)
                r = hcs_process_decode(document, &e, &process, &warnings);
        if (r < 0) {
                call_fail(a->call, &e);
                return;
        }
        if (!verb_require_state(a, SYSTEM_RUNNING))
                return;
        if (!a->system->document->guest_connection)
                call_fail_with(a->call, HR_NOT_SUPPORTED,
                        "\"%s\" was created without GuestConnection: there is no agent to start a "
                        "process",
                        a->system->id);
        else if (!a->system->guest_connected)
                call_fail_with(a->call, HCS_E_CONNECTION_CLOSED,
                        "the agent of \"%s\" is not connected", a->system->id);
        else
                process_create(a->system, a->call, process, warnings);
}

/* False: the call has failed. */
static bool process_runs(const struct method_args *a) {
        if (!a->process->exited)
                return verb_require_state(a, SYSTEM_RUNNING);
        call_fail_with(
                a->call, HCS_E_PROCESS_ALREADY_STOPPED, "process %u has ended", a->process->pid);
        return false;
}

/* A message about a process that runs; NULL: the call has failed. */
static struct request *process_request(const struct method_args *a, enum ipc_type type) {
        return process_runs(a) ? system_request_new(a->system, type, a->call) : NULL;
}

static void send_signal(const struct method_args *a, int32_t signal) {
        struct request *q = process_request(a, IPC_SIGNAL_PROCESS);
        if (!q)
                return;
        struct ipc_message m = {.type = IPC_SIGNAL_PROCESS,
                .id = q->id,
                .pid = a->process->pid,
                .signal = {.signal = signal}};
        worker_send(a->system->worker, &m, NULL, 0);
}

void verb_signal(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *document = NULL;
        int32_t signal;
        if (params_document(a, "options", HCS_DOC_SIGNAL, &e, &document) < 0 ||
                hcs_signal_decode(document, &e, &signal) < 0)
                call_fail(a->call, &e);
        else
                send_signal(a, signal);
}

void verb_terminate_process(const struct method_args *a) {
        if (no_options(a))
                send_signal(a, SIGKILL);
}

static void close_handle(const struct method_args *a, const struct hcs_process_modify *modify) {
        if (!modify->close_stdin) {
                call_fail_with(a->call, HR_NOT_SUPPORTED,
                        "$.CloseHandle.Handle: only StdIn can be closed from here");
        } else if (process_runs(a)) {
                process_close_stdin(a->process);
                call_reply(a->call, NULL, NULL, 0);
        }
}

void verb_modify_process(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *document = NULL;
        struct hcs_process_modify modify;
        int r = params_document(a, "settings", HCS_DOC_PROCESS_MODIFY, &e, &document);
        if (r == 0 && !document)
                r = error_set(&e, -EINVAL, HCS_E_INVALID_JSON, "\"settings\" is missing");
        if (r == 0)
                r = hcs_process_modify_decode(document, &e, &modify);
        if (r < 0) {
                call_fail(a->call, &e);
                return;
        }
        if (modify.operation == HCS_PROCESS_CLOSE_HANDLE) {
                close_handle(a, &modify);
                return;
        }
        struct request *q = process_request(a, IPC_RESIZE_CONSOLE);
        if (!q)
                return;
        struct ipc_message m = {.type = IPC_RESIZE_CONSOLE,
                .id = q->id,
                .pid = a->process->pid,
                .console = {.rows = modify.rows, .columns = modify.columns}};
        worker_send(a->system->worker, &m, NULL, 0);
}
