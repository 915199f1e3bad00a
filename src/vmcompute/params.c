// SPDX-License-Identifier: MIT
#include "vmcompute/params.h"
#include <errno.h>
#include <string.h>
#include "vmcompute/system.h"
#include "wire/hresult.h"

static const char *handle_name(enum method_target target) {
        switch (target) {
        case METHOD_ON_SYSTEM:
                return "computeSystem";
        case METHOD_ON_PROCESS:
                return "process";
        case METHOD_ON_NOTHING:
                break;
        }
        return NULL;
}

static bool takes(const struct method *method, const char *name) {
        const char *handle = handle_name(method->target);
        if (handle && strcmp(name, handle) == 0)
                return true;
        for (size_t i = 0; i < METHOD_PARAMS_MAX && method->params[i]; i++)
                if (strcmp(name, method->params[i]) == 0)
                        return true;
        return false;
}

int params_check(const struct method *method, struct method_args *a, struct error *e) {
        struct json_iter it = json_iter(a->params);
        while (json_next(&it))
                if (!takes(method, it.key))
                        return error_set(e, -EINVAL, E_INVALIDARG, "%s takes no \"%.64s\"",
                                method->name, it.key);
        const char *name = handle_name(method->target);
        if (!name)
                return 0;
        uint64_t number;
        if (json_u64(json_get(a->params, name), &number) < 0)
                return error_set(e, -EINVAL, E_INVALIDARG, "%s: \"%s\" has to be a handle",
                        method->name, name);
        a->handle = conn_find_handle(a->conn, number);
        if (!a->handle || (a->handle->process != NULL) != (method->target == METHOD_ON_PROCESS))
                return error_set(e, -EBADF, HR_INVALID_HANDLE,
                        "%s: %llu is no handle of a %s on this connection", method->name,
                        (unsigned long long)number,
                        method->target == METHOD_ON_PROCESS ? "process" : "compute system");
        a->system = a->handle->system;
        a->process = a->handle->process;
        return 0;
}

int params_document(const struct method_args *a, const char *name, enum hcs_document kind,
        struct error *e, struct json **ret) {
        struct json *value = json_get(a->params, name);
        *ret = NULL;
        if (!value)
                return 0;
        const char *text;
        size_t n;
        if (json_string(value, &text, &n) == 0) {
                int r = hcs_document_read(kind, text, n, 0, e, ret);
                return r < 0 ? error_prefix(e, r, "%s", name) : 0;
        }
        int r = hcs_document_check(kind, value, 0, e);
        if (r < 0)
                return error_prefix(e, r, "%s", name);
        *ret = json_ref(value);
        return 0;
}

bool params_timeout(const struct method_args *a, uint32_t *ret) {
        const struct json *value = json_get(a->params, "timeoutMs");
        uint64_t timeout = SYSTEM_WAIT_INFINITE;
        if (value && (json_u64(value, &timeout) < 0 || timeout > UINT32_MAX)) {
                call_fail_with(a->call, E_INVALIDARG,
                        "\"timeoutMs\" has to be a number from 0 to 4294967295 (infinite)");
                return false;
        }
        *ret = (uint32_t)timeout;
        return true;
}
