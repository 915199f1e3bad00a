// SPDX-License-Identifier: MIT
/* JSON-RPC 2.0 envelopes (jsonrpc.org/specification), one object per line: text to requests, and
 * results, errors and notifications to text. Pure functions. Batches are not spoken. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "json/json.h"

enum {
        RPC_PARSE_ERROR = -32700,
        RPC_INVALID_REQUEST = -32600,
        RPC_METHOD_NOT_FOUND = -32601,
        RPC_ID_MAX = 256, /* bytes of an id that is a string */
};

struct rpc_request {
        struct json *id;     /* NULL: a notification, which is not answered */
        const char *method;  /* lives in root */
        struct json *params; /* an object that lives in root, or NULL */
        struct json *root;
};

/* -EBADMSG: no JSON (*ret_code RPC_PARSE_ERROR). -EINVAL: no request (RPC_INVALID_REQUEST); ret->id
 * is then set if it could be read, and rpc_request_done() has to be called as after success. */
_warn_unused_ int rpc_parse(
        const char *text, size_t n, struct error *e, int *ret_code, struct rpc_request *ret);
void rpc_request_done(struct rpc_request *request);

/* The lines, without newline; free() them. id NULL is null. result is consumed, NULL is null. */
_warn_unused_ int rpc_format_result(
        struct json *id, struct json *result_consume, char **ret, size_t *ret_n);
/* code 0: the HRESULT of e, as HCS clients want it. data is the ResultError document. */
_warn_unused_ int rpc_format_error(
        struct json *id, int code, const struct error *e, char **ret, size_t *ret_n);
_warn_unused_ int rpc_format_notification(
        const char *method, struct json *params_consume, char **ret, size_t *ret_n);
