// SPDX-License-Identifier: MIT
#include "vmcompute/methods.h"
#include <errno.h>
#include <string.h>
#include "vmcompute/build.h"
#include "vmcompute/params.h"
#include "vmcompute/server.h"
#include "vmcompute/verbs.h"
#include "wire/hresult.h"

/* The service */

static void hcs_create(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *document = NULL, *warnings = NULL;
        _cleanup_(hcs_system_freep) struct hcs_system *system = NULL;
        const char *id = json_get_string(a->params, "id", NULL);
        if (!id) {
                call_fail_with(a->call, E_INVALIDARG, "\"id\" has to be a string");
                return;
        }
        int r = params_document(a, "configuration", HCS_DOC_CREATE, &e, &document);
        if (r == 0 && !document)
                r = error_set(&e, -EINVAL, HCS_E_INVALID_JSON, "\"configuration\" is missing");
        if (r == 0)
                r = hcs_system_decode(document, &e, &system, &warnings);
        if (r < 0) {
                call_fail(a->call, &e);
                return;
        }
        for (size_t i = 0; i < HCS_COM_PORTS_MAX; i++)
                if (r == 0 && system->com_ports[i].pipe)
                        r = json_add(warnings, json_new_string("$.VirtualMachine.Devices.ComPorts: "
                                                               "not available in this version"));
        if (r < 0) {
                call_fail_with(a->call, HR_OUTOFMEMORY, "no memory to create \"%s\"", id);
                return;
        }
        system_create(a->conn, a->call, id, TAKE_PTR(system), TAKE_PTR(warnings));
}

static void hcs_open(const struct method_args *a) {
        const char *id = json_get_string(a->params, "id", NULL);
        struct system *s = id ? system_find(a->conn->vc, a->conn, id) : NULL;
        struct handle *handle;
        if (!s)
                call_fail_with(a->call, HCS_E_SYSTEM_NOT_FOUND, "there is no system \"%.128s\"",
                        id ? id : "");
        else if (conn_add_handle(a->conn, s, NULL, &handle) < 0)
                call_fail_with(a->call, HR_OUTOFMEMORY, "this connection has %d handles already",
                        VMCOMPUTE_HANDLES_MAX);
        else
                call_reply_member(a->call, "computeSystem", json_new_u64(handle->number));
}

static void hcs_enumerate(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *query = NULL, *list = json_new_array();
        int r = params_document(a, "query", HCS_DOC_ENUMERATE, &e, &query);
        for (struct system *s = a->conn->vc->systems; r == 0 && s; s = s->next) {
                if (s->state == SYSTEM_CREATING || !conn_may_use(a->conn, s) ||
                        !hcs_query_matches(query, s->id, s->document->owner))
                        continue;
                struct json *properties;
                r = system_properties(s, NULL, NULL, &e, &properties);
                if (r == 0)
                        r = json_add(list, properties);
        }
        if (r < 0) {
                error_set(&e, r, 0, "no memory for an answer");
                call_fail(a->call, &e);
                return;
        }
        call_reply_member(a->call, "resultDocument", TAKE_PTR(list));
}

/* Schema versions up to the highest minor one are spoken; the largest stands for all. */
static struct json *basic_information(void) {
        struct build version = build_new(), info = build_new();
        build_u64(&version, "Major", HCS_SCHEMA_MAJOR);
        build_u64(&version, "Minor", HCS_SCHEMA_MINOR_MAX);
        struct json *versions = json_new_array();
        if (json_add(versions, build_take(&version)) < 0)
                versions = json_unref(versions);
        build_set(&info, "SupportedSchemaVersions", versions);
        return build_take(&info);
}

static void hcs_service_properties(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *query = NULL;
        if (params_document(a, "propertyQuery", HCS_DOC_SERVICE_QUERY, &e, &query) < 0) {
                call_fail(a->call, &e);
                return;
        }
        _cleanup_(json_unrefp) struct json *list = json_new_array();
        int r = 0;
        const struct json *types = json_get(query, "PropertyTypes");
        for (size_t i = 0; i < json_length(types); i++) {
                const char *type = "";
                size_t n;
                if (json_string(json_at(types, i), &type, &n) == 0 && strcmp(type, "Basic") == 0) {
                        r = json_add(list, basic_information()) < 0 ? -ENOMEM : r;
                        continue;
                }
                call_fail_with(a->call, HR_NOT_SUPPORTED,
                        "$.PropertyTypes[%zu]: \"%.64s\" is not available; Basic is", i, type);
                return;
        }
        if (json_length(types) == 0)
                r = json_add(list, basic_information());
        struct build result = build_new();
        build_set(&result, "Properties", r < 0 ? NULL : TAKE_PTR(list));
        call_reply_member(a->call, "result", build_take(&result));
}

/* A system, without its worker */

static void hcs_close_handle(const struct method_args *a) {
        struct call *call = a->call;
        conn_close_handle(a->conn, a->handle);
        call_reply(call, NULL, NULL, 0);
}

static bool wants(const struct json *query, const char *property) {
        const struct json *types = json_get(query, "PropertyTypes");
        for (size_t i = 0; i < json_length(types); i++) {
                const char *type;
                size_t n;
                if (json_string(json_at(types, i), &type, &n) == 0 && strcmp(type, property) == 0)
                        return true;
        }
        return json_has(json_get(query, "Queries"), property);
}

static void hcs_properties(const struct method_args *a) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *query = NULL;
        struct system *s = a->system;
        if (params_document(a, "propertyQuery", HCS_DOC_SYSTEM_QUERY, &e, &query) < 0) {
                call_fail(a->call, &e);
                return;
        }
        bool live = wants(query, "Statistics") || wants(query, "Memory");
        if (live && s->state == SYSTEM_STOPPED) {
                call_fail_with(a->call, HCS_E_SYSTEM_ALREADY_STOPPED, "\"%s\" has stopped: %s",
                        s->id, s->exit_text);
                return;
        }
        if (live) {
                struct request *q = system_request_new(s, IPC_STATISTICS, a->call);
                if (q) {
                        q->query = TAKE_PTR(query);
                        struct ipc_message m = {.type = IPC_STATISTICS, .id = q->id};
                        worker_send(s->worker, &m, NULL, 0);
                }
                return;
        }
        struct json *document;
        if (system_properties(s, query, NULL, &e, &document) < 0)
                call_fail(a->call, &e);
        else
                call_reply_member(a->call, "resultDocument", document);
}

static void hcs_wait_system(const struct method_args *a) {
        uint32_t timeout_ms;
        if (params_timeout(a, &timeout_ms))
                system_wait(a->system, a->call, timeout_ms);
}

static bool no_options(const struct method_args *a) {
        uint64_t options = json_get_u64(a->params, "callbackOptions", 0);
        if (options != 0)
                call_fail_with(a->call, HR_NOT_SUPPORTED,
                        "callbackOptions: operations are answered by their calls; 0 is the only "
                        "value");
        return options == 0;
}

/* Who registers after the end is told at once. */
static void hcs_system_callback(const struct method_args *a) {
        if (!no_options(a))
                return;
        struct system *s = a->system;
        struct handle *handle = a->handle;
        handle->events = true;
        call_reply(a->call, NULL, NULL, 0);
        struct json *document;
        if (s->state == SYSTEM_STOPPED && system_exit_document(s, &document) == 0)
                conn_send_event_to(a->conn, handle, "SystemExited", s->exit_text, document);
}

/* A process, without its system's worker */

static void hcs_open_process(const struct method_args *a) {
        uint64_t pid = json_get_u64(a->params, "processId", 0);
        struct process *p = pid <= UINT32_MAX ? process_find(a->system, (uint32_t)pid) : NULL;
        struct handle *handle;
        if (!p)
                call_fail_with(a->call, HR_NOT_FOUND,
                        "\"%s\" has no process %llu that was started from here", a->system->id,
                        (unsigned long long)pid);
        else if (conn_add_handle(a->conn, a->system, p, &handle) < 0)
                call_fail_with(a->call, HR_OUTOFMEMORY, "this connection has %d handles already",
                        VMCOMPUTE_HANDLES_MAX);
        else
                call_reply_member(a->call, "process", json_new_u64(handle->number));
}

static void hcs_process_properties(const struct method_args *a) {
        struct json *status = NULL;
        (void)!process_status(a->process, &status);
        call_reply_member(a->call, "resultDocument", status);
}

static void hcs_wait_process(const struct method_args *a) {
        uint32_t timeout_ms;
        if (params_timeout(a, &timeout_ms))
                process_wait(a->process, a->call, timeout_ms);
}

static void hcs_process_callback(const struct method_args *a) {
        if (!no_options(a))
                return;
        struct handle *handle = a->handle;
        struct process *p = a->process;
        handle->events = true;
        call_reply(a->call, NULL, NULL, 0);
        struct json *status;
        if (p->exited && process_status(p, &status) == 0)
                conn_send_event_to(a->conn, handle, "ProcessExited", NULL, status);
}

static const struct method methods[] = {
        {"HcsCreateComputeSystem", METHOD_ON_NOTHING, hcs_create, {"id", "configuration"}},
        {"HcsOpenComputeSystem", METHOD_ON_NOTHING, hcs_open, {"id", "requestedAccess"}},
        {"HcsEnumerateComputeSystems", METHOD_ON_NOTHING, hcs_enumerate, {"query"}},
        {"HcsGetServiceProperties", METHOD_ON_NOTHING, hcs_service_properties, {"propertyQuery"}},

        {"HcsCloseComputeSystem", METHOD_ON_SYSTEM, hcs_close_handle, {0}},
        {"HcsStartComputeSystem", METHOD_ON_SYSTEM, verb_start, {"options"}},
        {"HcsShutDownComputeSystem", METHOD_ON_SYSTEM, verb_shutdown, {"options"}},
        {"HcsTerminateComputeSystem", METHOD_ON_SYSTEM, verb_terminate, {"options"}},
        {"HcsPauseComputeSystem", METHOD_ON_SYSTEM, verb_pause, {"options"}},
        {"HcsResumeComputeSystem", METHOD_ON_SYSTEM, verb_resume, {"options"}},
        {"HcsCrashComputeSystem", METHOD_ON_SYSTEM, verb_crash, {"options"}},
        {"HcsGetComputeSystemProperties", METHOD_ON_SYSTEM, hcs_properties, {"propertyQuery"}},
        {"HcsWaitForComputeSystemExit", METHOD_ON_SYSTEM, hcs_wait_system, {"timeoutMs"}},
        {"HcsSetComputeSystemCallback", METHOD_ON_SYSTEM, hcs_system_callback, {"callbackOptions"}},
        {"HcsCreateProcess", METHOD_ON_SYSTEM, verb_create_process, {"processParameters"}},
        {"HcsOpenProcess", METHOD_ON_SYSTEM, hcs_open_process, {"processId", "requestedAccess"}},

        {"SandbarHvSocketBind", METHOD_ON_SYSTEM, verb_hvsocket_bind, {"serviceId"}},
        {"SandbarHvSocketConnect", METHOD_ON_SYSTEM, verb_hvsocket_connect,
                {"serviceId", "timeoutMs"}},

        {"HcsCloseProcess", METHOD_ON_PROCESS, hcs_close_handle, {0}},
        {"HcsSignalProcess", METHOD_ON_PROCESS, verb_signal, {"options"}},
        {"HcsTerminateProcess", METHOD_ON_PROCESS, verb_terminate_process, {"options"}},
        {"HcsModifyProcess", METHOD_ON_PROCESS, verb_modify_process, {"settings"}},
        {"HcsGetProcessProperties", METHOD_ON_PROCESS, hcs_process_properties, {"propertyQuery"}},
        {"HcsWaitForProcessExit", METHOD_ON_PROCESS, hcs_wait_process, {"timeoutMs"}},
        {"HcsSetProcessCallback", METHOD_ON_PROCESS, hcs_process_callback, {"callbackOptions"}},
};

const struct method *method_find(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                if (strcmp(methods[i].name, name) == 0)
                        return &methods[i];
        return NULL;
}

void method_call(const struct method *method, struct conn *conn, struct call *call,
        const struct json *params) {
        struct method_args a = {.conn = conn, .call = call, .params = params};
        struct error e = {0};
        if (params_check(method, &a, &e) < 0)
                call_fail(call, &e);
        else
                method->fn(&a);
}
