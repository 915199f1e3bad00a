// SPDX-License-Identifier: MIT
/* The methods of docs/protocols/json-rpc.md: a table of names, what they work on, and the params
 * that they take. */
#pragma once
#include "vmcompute/conn.h"

enum method_target { METHOD_ON_NOTHING, METHOD_ON_SYSTEM, METHOD_ON_PROCESS };

struct method_args {
        struct conn *conn;
        struct call *call;
        const struct json *params; /* an object or NULL */
        struct handle *handle;
        struct system *system;   /* METHOD_ON_SYSTEM, METHOD_ON_PROCESS */
        struct process *process; /* METHOD_ON_PROCESS */
};

enum { METHOD_PARAMS_MAX = 3 };

struct method {
        const char *name;
        enum method_target target; /* whose handle is in params */
        void (*fn)(const struct method_args *a);
        const char *params[METHOD_PARAMS_MAX]; /* beside the handle */
};

const struct method *method_find(const char *name);
/* Answers the call now or later. */
void method_call(const struct method *method, struct conn *conn, struct call *call,
        const struct json *params);
