// SPDX-License-Identifier: MIT
// covers: src/vmcompute/rpc.c
/* A line of a client. What is a request gets its answer in every form, and each is JSON again that
 * carries the id. */
#include <stdlib.h>
#include <string.h>
#include "vmcompute/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(char *text, size_t n, const struct json *id) {
        struct json *message = NULL;
        struct error e = {0};
        if (memchr(text, '\n', n) || json_parse(text, n, &json_limits_client, &e, &message) < 0)
                abort();
        if (id) {
                char *a = NULL, *b = NULL;
                size_t an, bn;
                if (json_format(id, &a, &an) < 0 ||
                        json_format(json_get(message, "id"), &b, &bn) < 0 || strcmp(a, b) != 0)
                        abort();
                free(a);
                free(b);
        }
        json_unref(message);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct rpc_request request = {0};
        struct error e = {0};
        int code = 0;
        char *text;
        size_t n;
        int r = rpc_parse((const char *)data, size, &e, &code, &request);
        if (r < 0) {
                if (code != RPC_PARSE_ERROR && code != RPC_INVALID_REQUEST)
                        abort();
                if (rpc_format_error(request.id, code, &e, &text, &n) == 0)
                        check(text, n, request.id);
        } else {
                struct json *params = request.params ? json_ref(request.params) : NULL;
                if (rpc_format_result(request.id, params, &text, &n) == 0)
                        check(text, n, request.id);
                struct error why = {.hresult = 0x80370105, .text = "why"};
                if (rpc_format_error(request.id, 0, &why, &text, &n) == 0)
                        check(text, n, request.id);
                if (rpc_format_notification(request.method, json_new_object(), &text, &n) == 0)
                        check(text, n, NULL);
        }
        rpc_request_done(&request);
        return 0;
}
