// SPDX-License-Identifier: MIT
/* The create document to what a machine needs to be made. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/fault.h"
#include "hcs-json/check.h"
#include "hcs-json/decode.h"
#include "wire/hresult.h"

/* ── What has no effect ────────────────────────────────────────────────────────────────────── */

char *hcs_copy_string(const struct json *object, const char *name, const char *fallback) {
        const char *s = json_get_string(object, name, "");
        return fault_hit(FAULT_ALLOC) ? NULL : strdup(*s ? s : fallback);
}

/* Where a pattern goes on when its first component is `key`; NULL when it is another one. */
static const char *step(const char *pattern, const char *key) {
        size_t n = strcspn(pattern, "/");
        if (!(n == 1 && *pattern == '#') && !(strlen(key) == n && memcmp(pattern, key, n) == 0))
                return NULL;
        return pattern[n] ? pattern + n + 1 : pattern + n;
}

struct lister {
        struct hcs_path path;
        struct json *warnings;
};

static int warn(struct lister *l) {
        char text[sizeof l->path.text + 64];
        snprintf(text, sizeof text, "%s has no effect in this version", l->path.text);
        return json_add(l->warnings, json_new_string(text));
}

/* `rest` are the patterns that have matched up to `object`. */
static int list(struct lister *l, const struct json *object, const char *const *rest, size_t n) {
        enum { PATTERNS_MAX = 32 };
        struct json_iter it = json_iter(object);
        int r = 0;
        while (r == 0 && json_next(&it)) {
                const char *next[PATTERNS_MAX];
                size_t n_next = 0;
                bool covered = !it.value; /* null is as absent */
                for (size_t i = 0; i < n && n_next < PATTERNS_MAX; i++) {
                        const char *behind = step(rest[i], it.key);
                        if (behind && *behind)
                                next[n_next++] = behind;
                        covered |= behind && !*behind;
                }
                if (covered)
                        continue;
                size_t mark = hcs_path_push(&l->path, it.key);
                r = n_next > 0 ? list(l, it.value, next, n_next) : warn(l);
                hcs_path_pop(&l->path, mark);
        }
        return r;
}

int hcs_list_ineffective(const struct json *doc, const char *const *effective, size_t n,
        struct json **ret_warnings) {
        struct lister l = {.path = hcs_path_root(), .warnings = json_new_array()};
        if (!l.warnings)
                return -ENOMEM;
        int r = list(&l, doc, effective, n);
        if (r < 0) {
                json_unref(l.warnings);
                return r;
        }
        *ret_warnings = l.warnings;
        return 0;
}

/* ── The machine ───────────────────────────────────────────────────────────────────────────── */

struct hcs_system *hcs_system_free(struct hcs_system *system) {
        if (!system)
                return NULL;
        free(system->owner);
        free(system->kernel);
        free(system->initrd);
        free(system->cmdline);
        free(system->services);
        for (size_t i = 0; i < ARRAY_SIZE(system->com_ports); i++)
                free(system->com_ports[i].pipe);
        free(system);
        return NULL;
}

static int refuse_here(struct hcs_visitor *v, const struct json *value, const char *key) {
        (void)value;
        (void)key;
        return error_set(v->error, -EOPNOTSUPP, HR_NOT_SUPPORTED,
                "%s: not available in this version; accepted: a VirtualMachine that boots by "
                "LinuxKernelDirect",
                v->path.text);
}

/* What this version could only ignore, and would then make another machine than the one asked for.
 */
static int refuse_other_machines(const struct json *doc, struct error *e) {
        static const char *const patterns[] = {"Container", "HostedSystem",
                "VirtualMachine/Chipset/Uefi", "VirtualMachine/RestoreState"};
        for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
                struct hcs_visitor v = {.path = hcs_path_root(), .error = e, .visit = refuse_here};
                int r = hcs_visit(&v, doc, patterns[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int require(const char *text, const struct json *value, struct error *e) {
        if (value)
                return 0;
        return error_set(e, -EINVAL, E_INVALIDARG, "$.VirtualMachine.%s: missing", text);
}

static bool granted(const struct json *config, const char *name, bool fallback) {
        const char *sddl = json_get_string(config, name, "");
        bool grants = fallback;
        /* The text has been checked. */
        return !*sddl || hcs_sddl_grants(sddl, &grants) < 0 ? fallback : grants;
}

static int decode_services(const struct json *config, struct hcs_system *s, struct error *e) {
        const struct json *table = json_get(config, "ServiceTable");
        s->default_bind = granted(config, "DefaultBindSecurityDescriptor", true);
        s->default_connect = granted(config, "DefaultConnectSecurityDescriptor", true);
        if (json_length(table) > HCS_SERVICES_MAX)
                return error_set(e, -EINVAL, E_INVALIDARG,
                        "$.VirtualMachine.Devices.HvSocket.HvSocketConfig.ServiceTable: %zu rows; "
                        "at most %d are possible",
                        json_length(table), HCS_SERVICES_MAX);
        if (json_length(table) == 0)
                return 0;
        s->services =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(json_length(table), sizeof *s->services);
        if (!s->services)
                return error_set(e, -ENOMEM, 0, "out of memory");
        struct json_iter it = json_iter(table);
        while (json_next(&it)) {
                struct hcs_service *row = &s->services[s->n_services++];
                if (guid_parse(it.key, &row->id) < 0)
                        return error_set(e, -EBADMSG, HCS_E_INVALID_JSON, "a service is no GUID");
                /* The same GUID in upper and in lower case is two members of the object. */
                for (const struct hcs_service *before = s->services; before < row; before++)
                        if (guid_equal(&before->id, &row->id))
                                return error_set(e, -EINVAL, E_INVALIDARG,
                                        "$.VirtualMachine.Devices.HvSocket.HvSocketConfig."
                                        "ServiceTable.%s: the service has a row already",
                                        it.key);
                bool on = !json_get_bool(it.value, "Disabled", false);
                row->allow_bind =
                        on && granted(it.value, "BindSecurityDescriptor", s->default_bind);
                row->allow_connect =
                        on && granted(it.value, "ConnectSecurityDescriptor", s->default_connect);
        }
        return 0;
}

static int decode_com_ports(const struct json *ports, struct hcs_system *s, struct error *e) {
        struct json_iter it = json_iter(ports);
        while (json_next(&it)) {
                struct hcs_com_port *port = &s->com_ports[it.key[0] == '1'];
                const char *pipe = json_get_string(it.value, "NamedPipe", "");
                if (*pipe == '\\' || (*pipe && *pipe != '/'))
                        return error_set(e, -EOPNOTSUPP, HR_NOT_SUPPORTED,
                                "$.VirtualMachine.Devices.ComPorts.%s.NamedPipe: not a path of "
                                "this host; accepted: the absolute path of a socket",
                                it.key);
                port->present = true;
                if (*pipe && !(port->pipe = hcs_copy_string(it.value, "NamedPipe", "")))
                        return error_set(e, -ENOMEM, 0, "out of memory");
        }
        return 0;
}

static int decode_boot(const struct json *vm, struct hcs_system *s, struct error *e) {
        const struct json *direct = json_get(json_get(vm, "Chipset"), "LinuxKernelDirect");
        int r = require("Chipset.LinuxKernelDirect", direct, e);
        if (r < 0)
                return r;
        bool has_initrd = *json_get_string(direct, "InitRdPath", "");
        s->kernel = hcs_copy_string(direct, "KernelFilePath", "");
        s->cmdline = hcs_copy_string(direct, "KernelCmdLine", "");
        s->initrd = has_initrd ? hcs_copy_string(direct, "InitRdPath", "") : NULL;
        if (!s->kernel || !s->cmdline || (has_initrd && !s->initrd))
                return error_set(e, -ENOMEM, 0, "out of memory");
        return 0;
}

static int decode_machine(const struct json *doc, struct hcs_system *s, struct error *e) {
        const struct json *vm = json_get(doc, "VirtualMachine");
        const struct json *topology = json_get(vm, "ComputeTopology");
        const struct json *devices = json_get(vm, "Devices");
        const struct json *memory = json_get(json_get(topology, "Memory"), "SizeInMB");
        s->owner = hcs_copy_string(doc, "Owner", "");
        if (!s->owner)
                return error_set(e, -ENOMEM, 0, "out of memory");
        s->schema_minor = (unsigned)json_get_u64(json_get(doc, "SchemaVersion"), "Minor", 0);
        s->terminate_on_last_handle_closed =
                json_get_bool(doc, "ShouldTerminateOnLastHandleClosed", false);
        s->stop_on_reset = json_get_bool(vm, "StopOnReset", false);
        s->guest_connection = json_get(vm, "GuestConnection") != NULL;
        s->processors = (unsigned)json_get_u64(json_get(topology, "Processor"), "Count", 0);
        int r = require("ComputeTopology.Memory.SizeInMB", memory, e);
        if (r == 0)
                r = json_u64(memory, &s->memory_mib);
        if (r == 0)
                r = decode_boot(vm, s, e);
        if (r == 0)
                r = decode_services(
                        json_get(json_get(devices, "HvSocket"), "HvSocketConfig"), s, e);
        if (r == 0)
                r = decode_com_ports(json_get(devices, "ComPorts"), s, e);
        return r;
}

int hcs_system_decode(const struct json *doc, struct error *e, struct hcs_system **ret,
        struct json **ret_warnings) {
        static const char *const effective[] = {
                "Owner",
                "SchemaVersion",
                "ShouldTerminateOnLastHandleClosed",
                "VirtualMachine/StopOnReset",
                "VirtualMachine/Chipset/LinuxKernelDirect",
                "VirtualMachine/ComputeTopology/Memory/SizeInMB",
                "VirtualMachine/ComputeTopology/Processor/Count",
                "VirtualMachine/Devices/HvSocket/HvSocketConfig/DefaultBindSecurityDescriptor",
                "VirtualMachine/Devices/HvSocket/HvSocketConfig/DefaultConnectSecurityDescriptor",
                "VirtualMachine/Devices/HvSocket/HvSocketConfig/ServiceTable/#/"
                "BindSecurityDescriptor",
                "VirtualMachine/Devices/HvSocket/HvSocketConfig/ServiceTable/#/"
                "ConnectSecurityDescriptor",
                "VirtualMachine/Devices/HvSocket/HvSocketConfig/ServiceTable/#/Disabled",
                "VirtualMachine/Devices/ComPorts/#/NamedPipe",
                /* The transport is hvsocket, which is what vsock is in a Linux guest. */
                "VirtualMachine/GuestConnection/UseVsock",
        };
        int r = refuse_other_machines(doc, e);
        if (r < 0)
                return r;
        _cleanup_(hcs_system_freep) struct hcs_system *system =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *system);
        _cleanup_(json_unrefp) struct json *warnings = NULL;
        if (!system)
                return error_set(e, -ENOMEM, 0, "out of memory");
        r = decode_machine(doc, system, e);
        if (r < 0)
                return r;
        r = hcs_list_ineffective(doc, effective, ARRAY_SIZE(effective), &warnings);
        if (r < 0)
                return error_set(e, r, 0, "out of memory");
        *ret = TAKE_PTR(system);
        *ret_warnings = TAKE_PTR(warnings);
        return 0;
}
