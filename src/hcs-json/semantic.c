// SPDX-License-Identifier: MIT
/* What must hold in a typed document beyond its types. Each rule has a pattern of where it looks
 * and a function that judges what stands there. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "hcs-json/check.h"
#include "wire/hresult.h"

struct rule {
        const char *pattern;
        int (*visit)(struct hcs_visitor *v, const struct json *value, const char *key);
};

static int apply(const struct rule *rules, size_t n, const struct json *doc, struct error *e) {
        for (size_t i = 0; i < n; i++) {
                struct hcs_visitor v = {
                        .path = hcs_path_root(), .error = e, .visit = rules[i].visit};
                int r = hcs_visit(&v, doc, rules[i].pattern);
                if (r < 0)
                        return r;
        }
        return 0;
}

static _printf_(3, 0) int refuse_v(
        const struct hcs_path *path, struct error *e, const char *fmt, va_list args) {
        char text[512];
        vsnprintf(text, sizeof text, fmt, args);
        return error_set(e, -EINVAL, E_INVALIDARG, "%s: %s", path->text, text);
}

int hcs_refuse(const struct hcs_path *path, struct error *e, const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        refuse_v(path, e, fmt, args);
        va_end(args);
        return -EINVAL;
}

int hcs_refuse_member(
        struct hcs_path *path, const char *name, struct error *e, const char *fmt, ...) {
        size_t mark = hcs_path_push(path, name);
        va_list args;
        va_start(args, fmt);
        refuse_v(path, e, fmt, args);
        va_end(args);
        hcs_path_pop(path, mark);
        return -EINVAL;
}

bool hcs_path_is_absolute(const char *path) {
        if (path[0] == '/' || (path[0] == '\\' && path[1] == '\\'))
                return true;
        char drive = path[0] | 0x20;
        return drive >= 'a' && drive <= 'z' && path[1] == ':' &&
               (path[2] == '\\' || path[2] == '/');
}

/* The text of a string that the schema has checked. */
static const char *text_of(const struct json *value) {
        const char *s = "";
        size_t n;
        return json_string(value, &s, &n) < 0 ? "" : s;
}

/* ── ComputeSystem ─────────────────────────────────────────────────────────────────────────── */

static int check_version(const struct json *doc, struct error *e) {
        struct hcs_path path = hcs_path_root();
        const struct json *version = json_get(doc, "SchemaVersion");
        uint64_t major = json_get_u64(version, "Major", 0),
                 minor = json_get_u64(version, "Minor", 0);
        size_t mark = hcs_path_push(&path, "SchemaVersion");
        if (major != HCS_SCHEMA_MAJOR)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                        "%s: schema version %llu is not supported; accepted: 2.0 to 2.%d",
                        path.text, (unsigned long long)major, HCS_SCHEMA_MINOR_MAX);
        hcs_path_push(&path, "Minor");
        if (minor > HCS_SCHEMA_MINOR_MAX)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                        "%s: schema version 2.%llu is not supported; accepted: 2.0 to 2.%d",
                        path.text, (unsigned long long)minor, HCS_SCHEMA_MINOR_MAX);
        hcs_path_pop(&path, mark);
        return 0;
}

static int check_kind_of_system(const struct json *doc, struct error *e) {
        struct hcs_path path = hcs_path_root();
        int n = (json_get(doc, "Container") != NULL) + (json_get(doc, "VirtualMachine") != NULL) +
                (json_get(doc, "HostedSystem") != NULL);
        if (n != 1)
                return hcs_refuse(&path, e,
                        "%s of Container, VirtualMachine and HostedSystem; exactly one is expected",
                        n ? "more than one" : "none");
        const char *host = json_get_string(doc, "HostingSystemId", "");
        if (json_get(doc, "HostedSystem") && !*host)
                return hcs_refuse_member(&path, "HostingSystemId", e,
                        "a HostedSystem needs the system that hosts it");
        if (!json_get(doc, "HostedSystem") && *host)
                return hcs_refuse_member(
                        &path, "HostingSystemId", e, "only a HostedSystem has a host");
        return 0;
}

static int check_chipset(struct hcs_visitor *v, const struct json *chipset, const char *key) {
        (void)key;
        if (json_get(chipset, "Uefi") && json_get(chipset, "LinuxKernelDirect"))
                return hcs_refuse(&v->path, v->error,
                        "both Uefi and LinuxKernelDirect; one way to boot is expected");
        return 0;
}

static int check_kernel(struct hcs_visitor *v, const struct json *direct, const char *key) {
        (void)key;
        if (!*json_get_string(direct, "KernelFilePath", ""))
                return hcs_refuse_member(
                        &v->path, "KernelFilePath", v->error, "the path of the kernel is missing");
        return 0;
}

static int check_memory(struct hcs_visitor *v, const struct json *value, const char *key) {
        uint64_t mib = 0;
        (void)key;
        if (json_u64(value, &mib) < 0 || mib == 0)
                return hcs_refuse(&v->path, v->error, "a machine needs memory");
        if (mib % 2)
                return hcs_refuse(
                        &v->path, v->error, "an odd number of MiB; memory comes in 2 MiB");
        return 0;
}

static int check_path(struct hcs_visitor *v, const struct json *value, const char *key) {
        const char *path = text_of(value);
        (void)key;
        return !*path || hcs_path_is_absolute(path)
                       ? 0
                       : hcs_refuse(&v->path, v->error, "the path is not absolute");
}

/* A folder to share cannot be left open. */
static int check_folder(struct hcs_visitor *v, const struct json *value, const char *key) {
        return *text_of(value) ? check_path(v, value, key)
                               : hcs_refuse(&v->path, v->error, "the path is empty");
}

static int check_attachment(struct hcs_visitor *v, const struct json *attachment, const char *key) {
        if (strtoull(key, NULL, 10) >= HCS_SCSI_LUNS_MAX)
                return hcs_refuse(&v->path, v->error, "a controller has the LUNs 0 to 63");
        /* Extensible disks are named by URL. */
        if (strcmp(json_get_string(attachment, "Type", ""), "ExtensibleVirtualDisk") == 0)
                return 0;
        if (!hcs_path_is_absolute(json_get_string(attachment, "Path", "/")))
                return hcs_refuse_member(&v->path, "Path", v->error, "the path is not absolute");
        return 0;
}

static int check_controllers(struct hcs_visitor *v, const struct json *scsi, const char *key) {
        (void)key;
        if (json_length(scsi) > HCS_SCSI_CONTROLLERS_MAX)
                return hcs_refuse(&v->path, v->error, "%zu controllers; at most 4 are expected",
                        json_length(scsi));
        return 0;
}

static int check_com_port(struct hcs_visitor *v, const struct json *port, const char *key) {
        (void)port;
        if (strtoull(key, NULL, 10) >= HCS_COM_PORTS_MAX)
                return hcs_refuse(&v->path, v->error, "the ports are 0 (COM1) and 1 (COM2)");
        return 0;
}

static int check_pmem_device(struct hcs_visitor *v, const struct json *device, const char *key) {
        (void)device;
        if (strtoull(key, NULL, 10) >= HCS_PMEM_DEVICES_MAX)
                return hcs_refuse(&v->path, v->error, "the devices are 0 to 127");
        return 0;
}

static int check_pmem_count(struct hcs_visitor *v, const struct json *value, const char *key) {
        uint64_t n = 0;
        (void)key;
        if (json_u64(value, &n) == 0 && n > HCS_PMEM_DEVICES_MAX)
                return hcs_refuse(&v->path, v->error, "at most 128 devices");
        return 0;
}

static int check_sddl(struct hcs_visitor *v, const struct json *value, const char *key) {
        bool grants;
        (void)key;
        /* An empty one is as an absent one. */
        if (!*text_of(value) || hcs_sddl_grants(text_of(value), &grants) == 0)
                return 0;
        return hcs_refuse(&v->path, v->error,
                "not a security descriptor; accepted: SDDL, as in D:P(A;;FA;;;WD)");
}

/* Share names are compared without ASCII case, as SMB does. */
static int check_shares(struct hcs_visitor *v, const struct json *shares, const char *key) {
        (void)key;
        if (json_length(shares) > HCS_SHARES_MAX)
                return hcs_refuse(&v->path, v->error, "%zu shares; at most %d are possible",
                        json_length(shares), HCS_SHARES_MAX);
        for (size_t i = 0; i < json_length(shares); i++) {
                const char *name = json_get_string(json_at(shares, i), "Name", "");
                for (size_t k = 0; k < i; k++) {
                        const char *other = json_get_string(json_at(shares, k), "Name", "");
                        if (*name && strcasecmp(name, other) == 0) {
                                size_t mark = hcs_path_push_index(&v->path, i);
                                int r = hcs_refuse_member(&v->path, "Name", v->error,
                                        "a share of this name is there already");
                                hcs_path_pop(&v->path, mark);
                                return r;
                        }
                }
        }
        return 0;
}

static int check_registry_value(struct hcs_visitor *v, const struct json *value, const char *key) {
        static const char *const members[] = {
                "StringValue", "BinaryValue", "DWordValue", "QWordValue"};
        unsigned n = 0;
        (void)key;
        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                n += json_get(value, members[i]) != NULL;
        /* The type None has no value. */
        unsigned expected = strcmp(json_get_string(value, "Type", ""), "None") != 0;
        if (n != expected)
                return hcs_refuse(&v->path, v->error,
                        "%u values; %s of StringValue, BinaryValue, DWordValue and QWordValue is "
                        "expected",
                        n, expected ? "one" : "none");
        return 0;
}

static int check_restore(struct hcs_visitor *v, const struct json *restore, const char *key) {
        (void)key;
        bool file = *json_get_string(restore, "SaveStateFilePath", "");
        bool template = *json_get_string(restore, "TemplateSystemId", "");
        if (file == template)
                return hcs_refuse(&v->path, v->error,
                        "%s SaveStateFilePath %s TemplateSystemId; one is expected",
                        file ? "both" : "neither", file ? "and" : "nor");
        return 0;
}

int hcs_check_create(const struct json *doc, struct error *e) {
        static const struct rule rules[] = {
#define VM      "VirtualMachine/"
#define DEVICES VM "Devices/"
#define SERVICE DEVICES "HvSocket/HvSocketConfig/ServiceTable/#/"
                {VM "Chipset", check_chipset},
                {VM "Chipset/LinuxKernelDirect", check_kernel},
                {VM "Chipset/LinuxKernelDirect/KernelFilePath", check_path},
                {VM "Chipset/LinuxKernelDirect/InitRdPath", check_path},
                {VM "Chipset/Uefi/BootThis/VmbFsRootPath", check_path},
                {VM "ComputeTopology/Memory/SizeInMB", check_memory},
                {VM "GuestState/GuestStateFilePath", check_path},
                {VM "GuestState/RuntimeStateFilePath", check_path},
                {VM "RestoreState", check_restore},
                {VM "RestoreState/SaveStateFilePath", check_path},
                {VM "RegistryChanges/AddValues/#", check_registry_value},
                {DEVICES "Scsi", check_controllers},
                {DEVICES "Scsi/#/Attachments/#", check_attachment},
                {DEVICES "ComPorts/#", check_com_port},
                {DEVICES "ComPorts/#/NamedPipe", check_path},
                {DEVICES "VirtualPMem/Devices/#", check_pmem_device},
                {DEVICES "VirtualPMem/Devices/#/HostPath", check_path},
                {DEVICES "VirtualPMem/MaximumCount", check_pmem_count},
                {DEVICES "VirtualSmb/Shares", check_shares},
                {DEVICES "VirtualSmb/Shares/#/Path", check_folder},
                {DEVICES "Plan9/Shares", check_shares},
                {DEVICES "Plan9/Shares/#/Path", check_folder},
                {DEVICES "HvSocket/HvSocketConfig/DefaultBindSecurityDescriptor", check_sddl},
                {DEVICES "HvSocket/HvSocketConfig/DefaultConnectSecurityDescriptor", check_sddl},
                {SERVICE "BindSecurityDescriptor", check_sddl},
                {SERVICE "ConnectSecurityDescriptor", check_sddl},
#undef SERVICE
#undef DEVICES
#undef VM
        };
        int r = check_kind_of_system(doc, e);
        if (r == 0)
                r = check_version(doc, e);
        return r < 0 ? r : apply(rules, ARRAY_SIZE(rules), doc, e);
}

/* ── Processes, saving ─────────────────────────────────────────────────────────────────────── */

int hcs_check_process(const struct json *doc, struct error *e) {
        struct hcs_path path = hcs_path_root();
        bool line = *json_get_string(doc, "CommandLine", "");
        bool args = json_length(json_get(doc, "CommandArgs")) > 0;
        if (line == args)
                return hcs_refuse(&path, e, "%s CommandLine %s CommandArgs; one is expected",
                        line ? "both" : "neither", line ? "and" : "nor");
        if (json_length(json_get(doc, "CommandArgs")) > HCS_PROCESS_ARGS_MAX)
                return hcs_refuse_member(
                        &path, "CommandArgs", e, "more than %d arguments", HCS_PROCESS_ARGS_MAX);
        struct json_iter it = json_iter(json_get(doc, "Environment"));
        while (json_next(&it))
                if (!*it.key || strchr(it.key, '='))
                        return hcs_refuse_member(
                                &path, "Environment", e, "a name is empty or holds '='");
        return 0;
}

int hcs_check_process_modify(const struct json *doc, struct error *e) {
        struct hcs_path path = hcs_path_root();
        const char *operation = json_get_string(doc, "Operation", "");
        if (!*operation)
                return hcs_refuse_member(
                        &path, "Operation", e, "missing; accepted: ConsoleSize, CloseHandle");
        /* The operation has the name of the member that it needs. */
        if (!json_get(doc, operation))
                return hcs_refuse_member(
                        &path, operation, e, "the operation %s needs this member", operation);
        return 0;
}

int hcs_check_save(const struct json *doc, struct error *e) {
        static const struct rule rules[] = {{"SaveStateFilePath", check_path}};
        struct hcs_path path = hcs_path_root();
        bool to_file = strcmp(json_get_string(doc, "SaveType", "ToFile"), "ToFile") == 0;
        if (to_file != (*json_get_string(doc, "SaveStateFilePath", "") != 0))
                return hcs_refuse_member(&path, "SaveStateFilePath", e,
                        to_file ? "the path of the file is missing" : "a template has no file");
        return apply(rules, ARRAY_SIZE(rules), doc, e);
}

/* ── HCN ───────────────────────────────────────────────────────────────────────────────────── */

static int check_prefix(struct hcs_visitor *v, const struct json *value, const char *key) {
        const char *text = text_of(value), *slash = strchr(text, '/');
        char address[INET6_ADDRSTRLEN] = "";
        struct in6_addr a;
        unsigned max = 0;
        (void)key;
        if (slash && (size_t)(slash - text) < sizeof address) {
                memcpy(address, text, (size_t)(slash - text));
                max = inet_pton(AF_INET, address, &a) == 1    ? 32
                      : inet_pton(AF_INET6, address, &a) == 1 ? 128
                                                              : 0;
        }
        size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
        if (max && digits > 0 && digits <= 3 && !slash[1 + digits] &&
                strtoul(slash + 1, NULL, 10) <= max)
                return 0;
        return error_set(v->error, -EINVAL, HCN_E_INVALID_PREFIX,
                "%s: not an address prefix; accepted: as 172.28.0.0/20", v->path.text);
}

/* The settings of a policy are typed by its name. */
static int check_policy(struct hcs_visitor *v, const struct json *policy, const char *key) {
        static const struct {
                const char *policy, *type;
        } settings[] = {
                {"ACL", "AclPolicySetting"},
                {"PortMapping", "PortMappingPolicySetting"},
                {"QOS", "QosPolicySetting"},
                {"OutBoundNAT", "OutboundNatPolicySetting"},
        };
        const char *name = json_get_string(policy, "Type", "");
        const struct json *value = json_get(policy, "Settings");
        (void)key;
        for (size_t i = 0; value && i < ARRAY_SIZE(settings); i++) {
                if (strcmp(settings[i].policy, name) != 0)
                        continue;
                struct hcs_checker c = {.dialect = &hcs_dialect_hcn,
                        .flags = *(unsigned *)v->userdata,
                        .path = v->path,
                        .error = v->error};
                hcs_path_push(&c.path, "Settings");
                int r = hcs_check_type(
                        &c, hcs_schema_find(&hcs_schema_hcn, settings[i].type), value);
                if (r < 0)
                        return r;
                hcs_path_push(&c.path, "InternalPort");
                if (strcmp(name, "PortMapping") == 0 && !json_get_u64(value, "InternalPort", 0))
                        return error_set(v->error, -EINVAL, HCN_E_INVALID_INTERNAL_PORT,
                                "%s: a port from 1 to 65535 is expected", c.path.text);
        }
        return 0;
}

static int check_policies(
        const struct json *doc, const char *pattern, unsigned flags, struct error *e) {
        struct hcs_visitor v = {
                .path = hcs_path_root(), .error = e, .userdata = &flags, .visit = check_policy};
        return hcs_visit(&v, doc, pattern);
}

int hcs_check_hcn_network(const struct json *doc, unsigned flags, struct error *e) {
        static const struct rule rules[] = {
                {"Ipams/#/Subnets/#/IpAddressPrefix", check_prefix},
                {"Ipams/#/Subnets/#/Routes/#/DestinationPrefix", check_prefix},
        };
        int r = apply(rules, ARRAY_SIZE(rules), doc, e);
        return r < 0 ? r : check_policies(doc, "Policies/#", flags, e);
}

int hcs_check_hcn_endpoint(const struct json *doc, unsigned flags, struct error *e) {
        static const struct rule rules[] = {{"Routes/#/DestinationPrefix", check_prefix}};
        int r = apply(rules, ARRAY_SIZE(rules), doc, e);
        return r < 0 ? r : check_policies(doc, "Policies/#", flags, e);
}

int hcs_check_hcn_policies(const struct json *doc, unsigned flags, struct error *e) {
        return check_policies(doc, "Settings/Policies/#", flags, e);
}
