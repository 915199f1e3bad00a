// SPDX-License-Identifier: MIT
#include <errno.h>
#include "hcs-json/check.h"

/* What each document is, and what is checked beyond its type. */
static const struct {
        const char *type;
        bool hcn;
        int (*semantics)(const struct json *doc, struct error *e);
        int (*semantics_with_flags)(const struct json *doc, unsigned flags, struct error *e);
} documents[HCS_DOCUMENTS_] = {
        [HCS_DOC_CREATE] = {.type = "ComputeSystem", .semantics = hcs_check_create},
        [HCS_DOC_MODIFY] = {.type = "ModifySettingRequest",
                .semantics_with_flags = hcs_check_modify},
        [HCS_DOC_PROCESS] = {.type = "ProcessParameters", .semantics = hcs_check_process},
        [HCS_DOC_PROCESS_MODIFY] = {.type = "ProcessModifyRequest",
                .semantics = hcs_check_process_modify},
        [HCS_DOC_SIGNAL] = {.type = "SignalProcessOptions"},
        [HCS_DOC_SHUTDOWN] = {.type = "ShutdownOptions"},
        [HCS_DOC_PAUSE] = {.type = "PauseOptions"},
        [HCS_DOC_SAVE] = {.type = "SaveOptions", .semantics = hcs_check_save},
        [HCS_DOC_CRASH] = {.type = "CrashOptions"},
        [HCS_DOC_SYSTEM_QUERY] = {.type = "System_PropertyQuery"},
        [HCS_DOC_SERVICE_QUERY] = {.type = "Service_PropertyQuery"},
        [HCS_DOC_ENUMERATE] = {.type = "SystemQuery"},
        [HCS_DOC_SERVICE_MODIFY] = {.type = "ModificationRequest"},
        [HCS_DOC_HCN_NETWORK] = {.type = "HostComputeNetwork",
                .hcn = true,
                .semantics_with_flags = hcs_check_hcn_network},
        [HCS_DOC_HCN_ENDPOINT] = {.type = "HostComputeEndpoint",
                .hcn = true,
                .semantics_with_flags = hcs_check_hcn_endpoint},
        [HCS_DOC_HCN_NAMESPACE] = {.type = "HostComputeNamespace", .hcn = true},
        [HCS_DOC_HCN_MODIFY_NETWORK] = {.type = "ModifyNetworkSettingRequest",
                .hcn = true,
                .semantics_with_flags = hcs_check_hcn_policies},
        [HCS_DOC_HCN_MODIFY_ENDPOINT] = {.type = "ModifyEndpointSettingRequest",
                .hcn = true,
                .semantics_with_flags = hcs_check_hcn_policies},
        [HCS_DOC_HCN_MODIFY_NAMESPACE] = {.type = "ModifyNamespaceSettingRequest", .hcn = true},
        [HCS_DOC_HCN_QUERY] = {.type = "HostComputeQuery", .hcn = true},
};

int hcs_document_check(
        enum hcs_document kind, const struct json *doc, unsigned flags, struct error *e) {
        const struct hcs_dialect *dialect =
                documents[kind].hcn ? &hcs_dialect_hcn : &hcs_dialect_hcs;
        const char *type = documents[kind].type;
        /* A Linux guest is sent the signal's number. */
        enum json_type signal = json_type(json_get(doc, "Signal"));
        if (kind == HCS_DOC_SIGNAL && (signal == JSON_INT || signal == JSON_UINT))
                type = "Guest.SignalProcessOptionsLCOW";
        struct hcs_checker c = {
                .dialect = dialect, .flags = flags, .path = hcs_path_root(), .error = e};
        int r = hcs_check_type(&c, hcs_schema_find(dialect->schema, type), doc);
        if (r == 0 && documents[kind].semantics)
                r = documents[kind].semantics(doc, e);
        if (r == 0 && documents[kind].semantics_with_flags)
                r = documents[kind].semantics_with_flags(doc, flags, e);
        return r;
}

int hcs_document_read(enum hcs_document kind, const char *text, size_t n, unsigned flags,
        struct error *e, struct json **ret) {
        _cleanup_(json_unrefp) struct json *doc = NULL;
        struct error parse_error = {0};
        int r = json_parse(text, n, &json_limits_client, &parse_error, &doc);
        if (r == -ENOMEM)
                return error_set(e, r, 0, "out of memory");
        if (r < 0) {
                const struct hcs_dialect *dialect =
                        documents[kind].hcn ? &hcs_dialect_hcn : &hcs_dialect_hcs;
                return error_set(e, -EBADMSG, dialect->invalid_json, "$: %s", parse_error.text);
        }
        r = hcs_document_check(kind, doc, flags, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(doc);
        return 0;
}
