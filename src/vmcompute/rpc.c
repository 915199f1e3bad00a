// SPDX-License-Identifier: MIT
#include "vmcompute/rpc.h"
#include <errno.h>
#include <string.h>
#include "hcs-json/hcs.h"
#include "wire/hresult.h"

/* A string, a number or null; what is sent back stays small. */
static bool id_is_valid(const struct json *id) {
        size_t n;
        const char *text;
        switch (json_type(id)) {
        case JSON_STRING:
                return json_string(id, &text, &n) == 0 && n <= RPC_ID_MAX;
        case JSON_INT:
        case JSON_UINT:
        case JSON_DOUBLE:
        case JSON_NULL:
                return true;
        default:
                return false;
        }
}

static int refuse(struct error *e, const char *why) {
        return error_set(e, -EINVAL, E_INVALIDARG, "not a JSON-RPC 2.0 request: %s", why);
}

static int read_request(struct rpc_request *r, struct error *e) {
        if (json_type(r->root) != JSON_OBJECT)
                return refuse(e, "an object was expected (batches are not supported)");
        if (json_has(r->root, "id")) {
                struct json *id = json_get(r->root, "id");
                if (!id_is_valid(id))
                        return refuse(e, "\"id\" has to be a number, null or a short string");
                r->id = id ? json_ref(id) : json_new_null();
                if (!r->id)
                        return -ENOMEM;
        }
        if (strcmp(json_get_string(r->root, "jsonrpc", ""), "2.0") != 0)
                return refuse(e, "\"jsonrpc\" has to be \"2.0\"");
        r->method = json_get_string(r->root, "method", NULL);
        if (!r->method)
                return refuse(e, "\"method\" has to be a string");
        r->params = json_get(r->root, "params");
        if (r->params && json_type(r->params) != JSON_OBJECT)
                return refuse(e, "\"params\" has to be an object");
        struct json_iter it = json_iter(r->root);
        while (json_next(&it))
                if (strcmp(it.key, "jsonrpc") != 0 && strcmp(it.key, "id") != 0 &&
                        strcmp(it.key, "method") != 0 && strcmp(it.key, "params") != 0)
                        return refuse(e, "a member beside jsonrpc, id, method and params");
        return 0;
}

int rpc_parse(const char *text, size_t n, struct error *e, int *ret_code, struct rpc_request *ret) {
        struct rpc_request request = {0};
        int r = json_parse(text, n, &json_limits_client, e, &request.root);
        if (r < 0) {
                *ret_code = RPC_PARSE_ERROR;
                return r == -ENOMEM ? r : -EBADMSG;
        }
        r = read_request(&request, e);
        if (r < 0)
                *ret_code = RPC_INVALID_REQUEST;
        *ret = request;
        return r;
}

void rpc_request_done(struct rpc_request *request) {
        json_unref(request->id);
        json_unref(request->root);
        *request = (struct rpc_request){0};
}

static int format(struct json *message_consume, int r, char **ret, size_t *ret_n) {
        _cleanup_(json_unrefp) struct json *message = message_consume;
        return r < 0 ? r : json_format(message, ret, ret_n);
}

int rpc_format_result(struct json *id, struct json *result_consume, char **ret, size_t *ret_n) {
        struct json *message = json_new_object();
        int r = json_set_string(message, "jsonrpc", "2.0");
        if (r == 0)
                r = json_set(message, "id", id ? json_ref(id) : json_new_null());
        struct json *result = result_consume ? result_consume : json_new_null();
        if (r == 0)
                r = json_set(message, "result", result);
        else
                json_unref(result);
        return format(message, r, ret, ret_n);
}

int rpc_format_error(struct json *id, int code, const struct error *e, char **ret, size_t *ret_n) {
        struct json *data = NULL, *message = json_new_object(), *error = json_new_object();
        int r = json_set_string(message, "jsonrpc", "2.0");
        if (r == 0)
                r = json_set(message, "id", id ? json_ref(id) : json_new_null());
        if (r == 0)
                r = json_set_i64(error, "code", code ? code : (int32_t)e->hresult);
        if (r == 0)
                r = json_set_string(error, "message", e->text);
        if (r == 0)
                r = hcs_error_encode(e, &data);
        if (r == 0)
                r = json_set(error, "data", data);
        if (r == 0)
                r = json_set(message, "error", error);
        else
                json_unref(error);
        return format(message, r, ret, ret_n);
}

int rpc_format_notification(
        const char *method, struct json *params_consume, char **ret, size_t *ret_n) {
        struct json *message = json_new_object();
        int r = json_set_string(message, "jsonrpc", "2.0");
        if (r == 0)
                r = json_set_string(message, "method", method);
        if (r == 0)
                r = json_set(message, "params", params_consume);
        else
                json_unref(params_consume);
        return format(message, r, ret, ret_n);
}
