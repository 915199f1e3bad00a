// SPDX-License-Identifier: MIT
/* ModifySettingRequest: the resource that a path names, and what may be asked of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "hcs-json/check.h"

/* Indices that a path may hold, beyond being numbers. */
static const struct {
        const char *before; /* what stands in front of the index */
        uint64_t end;
} index_limits[] = {
        {"VirtualMachine/Devices/ComPorts/", HCS_COM_PORTS_MAX},
        {"VirtualMachine/Devices/VirtualPMem/Devices/", HCS_PMEM_DEVICES_MAX},
        {"VirtualMachine/Devices/Scsi/{id}/Attachments/", HCS_SCSI_LUNS_MAX},
};

static bool index_is_within(const struct hcs_resource *resource, size_t at, const char *digits) {
        for (size_t i = 0; i < ARRAY_SIZE(index_limits); i++)
                if (strlen(index_limits[i].before) == at &&
                        strncmp(resource->path, index_limits[i].before, at) == 0)
                        return strtoull(digits, NULL, 10) < index_limits[i].end;
        return true;
}

static bool component_matches(
        const struct hcs_resource *resource, size_t at, size_t n, const char *text, size_t text_n) {
        const char *pattern = resource->path + at;
        char component[128];
        if (pattern[0] != '{')
                return n == text_n && memcmp(pattern, text, n) == 0;
        if (text_n == 0 || text_n >= sizeof component)
                return false;
        memcpy(component, text, text_n);
        component[text_n] = 0;
        struct guid guid;
        if (strncmp(pattern, "{uint}", n) == 0)
                return text_n <= 19 && strspn(component, "0123456789") == text_n &&
                       index_is_within(resource, at, component);
        if (strncmp(pattern, "{guid}", n) == 0)
                return guid_parse(component, &guid) == 0;
        /* Names are taken as they stand: dot segments mean nothing. */
        return strcmp(component, ".") != 0 && strcmp(component, "..") != 0;
}

static bool path_matches(const struct hcs_resource *resource, const char *path) {
        size_t at = 0;
        for (const char *s = path;;) {
                size_t n = strcspn(resource->path + at, "/"), text_n = strcspn(s, "/");
                if (!component_matches(resource, at, n, s, text_n))
                        return false;
                bool last = !resource->path[at + n], text_last = !s[text_n];
                if (last || text_last)
                        return last && text_last;
                at += n + 1;
                s += text_n + 1;
        }
}

static const struct hcs_resource *find_resource(const char *path) {
        for (size_t i = 0; i < hcs_schema_hcs.n_resources; i++)
                if (path_matches(&hcs_schema_hcs.resources[i], path))
                        return &hcs_schema_hcs.resources[i];
        return NULL;
}

static int check_settings(const struct json *settings, const struct hcs_resource *resource,
        unsigned flags, struct error *e) {
        struct hcs_checker c = {
                .dialect = &hcs_dialect_hcs, .flags = flags, .path = hcs_path_root(), .error = e};
        hcs_path_push(&c.path, "Settings");
        int r = hcs_check_value(&c, resource->kind, resource->type, settings);
        if (r < 0)
                return r;
        uint64_t mib;
        if (strcmp(resource->path, "VirtualMachine/ComputeTopology/Memory/SizeInMB") == 0 &&
                json_u64(settings, &mib) == 0 && (mib == 0 || mib % 2))
                return hcs_refuse(&c.path, e, "memory comes in 2 MiB");
        return 0;
}

int hcs_check_modify(const struct json *doc, unsigned flags, struct error *e) {
        struct hcs_path path = hcs_path_root();
        const struct hcs_resource *resource =
                find_resource(json_get_string(doc, "ResourcePath", ""));
        if (!resource)
                return hcs_refuse_member(&path, "ResourcePath", e,
                        "there is no such resource; paths heed case and indices their limits");
        /* Clients leave the type out for an update. */
        const char *request = json_get_string(doc, "RequestType", "Update");
        bool add = strcmp(request, "Add") == 0, remove = strcmp(request, "Remove") == 0;
        if (!(add ? resource->add : remove ? resource->remove : resource->update))
                return hcs_refuse_member(&path, "RequestType", e,
                        "%s is not possible there; accepted:%s%s%s", request,
                        resource->add ? " Add" : "", resource->remove ? " Remove" : "",
                        resource->update ? " Update" : "");
        const struct json *settings = json_get(doc, "Settings");
        bool has_settings = resource->kind != HCS_ANY;
        if (settings && !has_settings)
                return hcs_refuse_member(&path, "Settings", e, "this resource takes none");
        if (!settings && has_settings && !remove)
                return hcs_refuse_member(&path, "Settings", e, "%s needs them", request);
        return settings ? check_settings(settings, resource, flags, e) : 0;
}
