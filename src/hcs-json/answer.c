// SPDX-License-Identifier: MIT
/* Documents that the daemon writes: properties, errors, exit states. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include "hcs-json/hcs.h"
#include "wire/hresult.h"

/* Ends a chain of json_set() calls: the object, or NULL when one of them failed. */
static struct json *done(struct json *object, int failed) {
        return failed ? json_unref(object) : object;
}

static int give(struct json *object, struct json **ret) {
        if (!object)
                return -ENOMEM;
        *ret = object;
        return 0;
}

/* ── Queries ───────────────────────────────────────────────────────────────────────────────── */

/* An absent list asks for all. */
static bool listed(const struct json *list, const char *text, bool heed_case) {
        bool found = !list;
        for (size_t i = 0; i < json_length(list) && !found; i++) {
                const char *s = "";
                size_t n;
                found = json_string(json_at(list, i), &s, &n) == 0 &&
                        (heed_case ? strcmp(s, text) : strcasecmp(s, text)) == 0;
        }
        return found;
}

bool hcs_query_matches(const struct json *system_query, const char *id, const char *owner) {
        return listed(json_get(system_query, "Ids"), id, false) &&
               /* A system's name is its id. */
               listed(json_get(system_query, "Names"), id, true) &&
               listed(json_get(system_query, "Types"), "VirtualMachine", true) &&
               listed(json_get(system_query, "Owners"), owner, true);
}

static struct json *encode_memory(const struct hcs_properties *p) {
        struct json *vm = json_new_object(), *o = json_new_object();
        int failed = json_set_i64(vm, "AvailableMemory", 0) < 0 ||
                     json_set_i64(vm, "AvailableMemoryBuffer", 0) < 0 ||
                     json_set_u64(vm, "ReservedMemory", 0) < 0 ||
                     json_set_u64(vm, "AssignedMemory", p->memory_assigned / 4096) < 0 ||
                     json_set_bool(vm, "SlpActive", false) < 0 ||
                     json_set_bool(vm, "BalancingEnabled", false) < 0 ||
                     json_set_bool(vm, "DmOperationInProgress", false) < 0;
        vm = done(vm, failed);
        failed = json_set_u64(o, "VirtualNodeCount", 1) < 0;
        failed |= json_set(o, "VirtualMachineMemory", vm) < 0;
        failed |= json_set(o, "VirtualNodes", json_new_array()) < 0;
        return done(o, failed);
}

static struct json *encode_statistics(const struct hcs_properties *p) {
        struct json *cpu = json_new_object(), *memory = json_new_object(), *o = json_new_object();
        cpu = done(cpu, json_set_u64(cpu, "TotalRuntime100ns", p->processor_100ns) < 0);
        memory = done(
                memory, json_set_u64(memory, "MemoryUsageCommitBytes", p->memory_assigned) < 0 ||
                                json_set_u64(memory, "MemoryUsagePrivateWorkingSetBytes",
                                        p->memory_resident) < 0);
        int failed = json_set_u64(o, "Uptime100ns", p->uptime_100ns) < 0;
        failed |= json_set(o, "Processor", cpu) < 0;
        failed |= json_set(o, "Memory", memory) < 0;
        return done(o, failed);
}

static struct json *encode_guest_connection(const struct hcs_properties *p) {
        struct json *o = json_new_object();
        return done(
                o, p->guest_connected && json_set_u64(o, "ProtocolVersion", p->guest_protocol) < 0);
}

static struct json *encode_terminate(const struct hcs_properties *p) {
        return json_new_bool(p->terminate_on_last_handle_closed);
}

/* Properties that a query may name: where they stand in Properties, and how they are made. Basic
 * has no place of its own, it is always there. */
static const struct property {
        const char *query, *member;
        struct json *(*encode)(const struct hcs_properties *p);
} properties_known[] = {
        {"Basic", NULL, NULL},
        {"Memory", "Memory", encode_memory},
        {"Statistics", "Statistics", encode_statistics},
        {"TerminateOnLastHandleClosed", "TerminateOnLastHandleClosed", encode_terminate},
        {"GuestConnection", "GuestConnectionInfo", encode_guest_connection},
};

static const struct property *find_property(const char *query) {
        for (size_t i = 0; i < ARRAY_SIZE(properties_known); i++)
                if (strcmp(properties_known[i].query, query) == 0)
                        return &properties_known[i];
        return NULL;
}

static struct json *encode_basic(const struct hcs_properties *p) {
        char runtime_id[GUID_TEXT_SIZE];
        guid_format(&p->runtime_id, runtime_id);
        struct json *o = json_new_object();
        return done(o, json_set_string(o, "Id", p->id) < 0 ||
                               json_set_string(o, "SystemType", "VirtualMachine") < 0 ||
                               json_set_string(o, "RuntimeOsType", "Linux") < 0 ||
                               json_set_string(o, "Name", p->id) < 0 ||
                               json_set_string(o, "Owner", p->owner) < 0 ||
                               json_set_string(o, "RuntimeId", runtime_id) < 0 ||
                               json_set_string(o, "State", p->state) < 0 ||
                               (p->stopped && json_set_bool(o, "Stopped", true) < 0) ||
                               (p->exit_type && json_set_string(o, "ExitType", p->exit_type) < 0));
}

static int add_legacy(
        const struct hcs_properties *p, const struct json *types, struct error *e, struct json *o) {
        for (size_t i = 0; i < json_length(types); i++) {
                const char *name = "";
                size_t n;
                if (json_string(json_at(types, i), &name, &n) < 0)
                        return error_set(e, -EINVAL, E_INVALIDARG, "$.PropertyTypes: not checked");
                const struct property *property = find_property(name);
                if (!property)
                        return error_set(e, -EOPNOTSUPP, HR_NOT_SUPPORTED,
                                "$.PropertyTypes[%zu]: %s is not available in this version", i,
                                name);
                if (property->encode && json_set(o, property->member, property->encode(p)) < 0)
                        return error_set(e, -ENOMEM, 0, "out of memory");
        }
        return 0;
}

static struct json *respond(const struct hcs_properties *p, const char *name) {
        const struct property *property = find_property(name);
        struct json *o = json_new_object(), *value = NULL;
        if (property) {
                value = property->encode ? property->encode(p) : encode_basic(p);
                return done(o, json_set(o, "Response", value) < 0);
        }
        struct error e = {0};
        error_set(&e, -EOPNOTSUPP, HR_NOT_SUPPORTED, "%s is not available in this version", name);
        return done(o, hcs_error_encode(&e, &value) < 0 || json_set(o, "Error", value) < 0);
}

static struct json *respond_to_all(const struct hcs_properties *p, const struct json *queries) {
        struct json *o = json_new_object();
        struct json_iter it = json_iter(queries);
        int failed = 0;
        while (!failed && json_next(&it))
                failed = json_set(o, it.key, respond(p, it.key)) < 0;
        return done(o, failed);
}

int hcs_properties_encode(const struct hcs_properties *properties, const struct json *query,
        struct error *e, struct json **ret) {
        _cleanup_(json_unrefp) struct json *o = encode_basic(properties);
        const struct json *queries = json_get(query, "Queries");
        if (!o)
                return error_set(e, -ENOMEM, 0, "out of memory");
        int r = add_legacy(properties, json_get(query, "PropertyTypes"), e, o);
        if (r < 0)
                return r;
        if (queries && json_set(o, "PropertyResponses", respond_to_all(properties, queries)) < 0)
                return error_set(e, -ENOMEM, 0, "out of memory");
        *ret = TAKE_PTR(o);
        return 0;
}

/* ── Errors and exits ──────────────────────────────────────────────────────────────────────── */

int hcs_error_encode(const struct error *e, struct json **ret) {
        struct json *event = json_new_object(), *events = json_new_array(), *o = json_new_object();
        event = done(event, json_set_string(event, "Message", e->text) < 0);
        events = done(events, json_add(events, event) < 0);
        int failed = json_set_i64(o, "Error", (int32_t)e->hresult) < 0;
        failed |= json_set_string(o, "ErrorMessage", e->text) < 0;
        failed |= json_set(o, "ErrorEvents", events) < 0;
        failed |= json_set(o, "Attribution", json_new_array()) < 0;
        return give(done(o, failed), ret);
}

static struct json *wrap(const char *name, struct json *value_consume) {
        struct json *o = json_new_object();
        return done(o, json_set(o, name, value_consume) < 0);
}

static struct json *worker_exit(const struct hcs_exit *x) {
        struct json *o = json_new_object();
        return wrap(
                "WorkerExit", done(o, json_set_u64(o, "ExitCode", 0) < 0 ||
                                              json_set_string(o, "Type", x->worker_type) < 0 ||
                                              json_set_string(o, "Detail", x->worker_detail) < 0 ||
                                              json_set_string(o, "Initiator", x->initiator) < 0));
}

static struct json *system_exit(const struct hcs_exit *x) {
        struct json *o = json_new_object();
        return wrap(
                "SystemExit", done(o, json_set_string(o, "Detail", x->system_detail) < 0 ||
                                              json_set_string(o, "Initiator", x->initiator) < 0));
}

static struct json *guest_crash(const struct hcs_exit *x) {
        struct json *parameters = json_new_array();
        int failed = 0;
        for (size_t i = 0; i < ARRAY_SIZE(x->crash); i++)
                failed |= json_add(parameters, json_new_u64(x->crash[i])) < 0;
        return wrap("GuestCrash", wrap("CrashParameters", done(parameters, failed)));
}

int hcs_exit_encode(const struct hcs_exit *x, struct json **ret) {
        struct json *attribution = json_new_array(), *o = json_new_object();
        int failed = (x->system_detail && json_add(attribution, system_exit(x)) < 0) ||
                     (x->worker_type && json_add(attribution, worker_exit(x)) < 0) ||
                     (x->crashed && json_add(attribution, guest_crash(x)) < 0);
        attribution = done(attribution, failed);
        failed = json_set_i64(o, "Status", (int32_t)x->status) < 0;
        failed |= json_set_string(o, "ExitType", x->type) < 0;
        failed |= json_set(o, "Attribution", attribution) < 0;
        return give(done(o, failed), ret);
}

int hcs_process_status_encode(uint32_t pid, bool exited, int32_t exit_code, struct json **ret) {
        struct json *o = json_new_object();
        int failed = json_set_u64(o, "ProcessId", pid) < 0;
        failed |= json_set_bool(o, "Exited", exited) < 0;
        failed |= json_set_u64(o, "ExitCode", exited ? (uint32_t)exit_code : 0) < 0;
        failed |= json_set_i64(o, "LastWaitResult", 0) < 0;
        return give(done(o, failed), ret);
}
