// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/utf16.h"
#include "gcs/field.h"
#include "gcs/proto.h"
#include "wire/hresult.h"

static const char *const port_keys[3] = {"StdIn", "StdOut", "StdErr"};
static const char *const pipe_keys[3] = {"CreateStdInPipe", "CreateStdOutPipe", "CreateStdErrPipe"};

/* Host: structs to bytes. A builder that ran out of memory shows in the result of the json_set()
 * that was to take it; `r |=` gathers those. */

/* JSON holds UTF-8 only, and an argument must not change on its way. */
static int check_text(const char *what, const char *text, struct error *e) {
        if (utf16_check_utf8(text, strlen(text)) == 0)
                return 0;
        return error_set(e, -EINVAL, E_INVALIDARG, "%s is not UTF-8", what);
}

static int set_text(struct json *o, const char *key, const char *text, struct error *e) {
        int r = check_text(key, text, e);
        return r < 0 ? r : json_set_string(o, key, text);
}

static int set_arguments(struct json *o, const char *const *argv, struct error *e) {
        _cleanup_(json_unrefp) struct json *array = json_new_array();
        for (size_t i = 0; argv[i]; i++) {
                int r = check_text("an argument", argv[i], e);
                if (r == 0)
                        r = json_add(array, json_new_string(argv[i]));
                if (r < 0)
                        return r;
        }
        return json_set(o, "CommandArgs", TAKE_PTR(array));
}

/* Of two settings of one name the later stays, as with setenv(). */
static int set_environment(struct json *o, const char *const *env, struct error *e) {
        _cleanup_(json_unrefp) struct json *object = json_new_object();
        for (size_t i = 0; env[i]; i++) {
                const char *equals = strchr(env[i], '=');
                if (!equals || equals == env[i])
                        return error_set(e, -EINVAL, E_INVALIDARG,
                                "environment string \"%s\" is not of the form NAME=VALUE", env[i]);
                int r = check_text("an environment string", env[i], e);
                if (r < 0)
                        return r;
                _cleanup_free_ char *name = strndup(env[i], (size_t)(equals - env[i]));
                if (!name || json_set_string(object, name, equals + 1) < 0)
                        return -ENOMEM;
        }
        return json_set(o, "Environment", TAKE_PTR(object));
}

static int set_console(struct json *o, const struct gcs_execute *x) {
        int r = json_set_bool(o, "EmulateConsole", true);
        if (!x->rows || !x->columns)
                return r;
        struct json *size = json_new_array();
        r |= json_add(size, json_new_u64(x->rows));
        r |= json_add(size, json_new_u64(x->columns));
        return r | json_set(o, "ConsoleSize", size);
}

static int set_parameters(struct json *o, const struct gcs_execute *x, struct error *e) {
        int r = 0;
        if (x->argv)
                r = set_arguments(o, x->argv, e);
        else if (x->command_line)
                r = set_text(o, "CommandLine", x->command_line, e);
        if (r == 0 && x->cwd && *x->cwd)
                r = set_text(o, "WorkingDirectory", x->cwd, e);
        if (r == 0 && x->user && *x->user)
                r = set_text(o, "User", x->user, e);
        if (r == 0 && x->env)
                r = set_environment(o, x->env, e);
        if (r == 0 && x->console)
                r = set_console(o, x);
        for (size_t i = 0; i < 3; i++)
                if (r == 0 && x->ports[i])
                        r = json_set_bool(o, pipe_keys[i], true);
        return r;
}

/* ProcessParameters is a document of its own within a string. */
static int encode_execute(const struct gcs_execute *x, struct json *o, struct error *e) {
        _cleanup_(json_unrefp) struct json *parameters = json_new_object();
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = set_parameters(parameters, x, e);
        if (r == 0)
                r = json_format(parameters, &text, &size);
        if (r < 0)
                return r;
        struct json *settings = json_new_object(), *ports = json_new_object();
        r |= json_set_string(settings, "ProcessParameters", text);
        for (size_t i = 0; i < 3; i++)
                if (x->ports[i])
                        r |= json_set_u64(ports, port_keys[i], x->ports[i]);
        r |= json_set(settings, "VsockStdioRelaySettings", ports);
        return r | json_set(o, "Settings", settings);
}

static int encode_signal(const struct gcs_request *q, struct json *o) {
        struct json *options = json_new_object();
        int r = json_set_u64(o, "ProcessId", q->signal.pid);
        r |= json_set_i64(options, "Signal", q->signal.signal);
        return r | json_set(o, "Options", options);
}

static int encode_call(const struct gcs_request *q, struct json *o, struct error *e) {
        switch (q->call) {
        case GCS_NEGOTIATE:
                return json_set_u64(o, "MinimumVersion", q->negotiate.min) |
                       json_set_u64(o, "MaximumVersion", q->negotiate.max);
        case GCS_CREATE:
                return json_set_string(o, "ContainerConfig", "{\"SystemType\":\"Container\"}");
        case GCS_EXECUTE_PROCESS:
                return encode_execute(&q->execute, o, e);
        case GCS_WAIT_FOR_PROCESS:
                return json_set_u64(o, "ProcessId", q->wait.pid) |
                       json_set_u64(o, "TimeoutInMs", q->wait.timeout_ms);
        case GCS_SIGNAL_PROCESS:
                return encode_signal(q, o);
        case GCS_RESIZE_CONSOLE:
                return json_set_u64(o, "ProcessId", q->console.pid) |
                       json_set_u64(o, "Height", q->console.rows) |
                       json_set_u64(o, "Width", q->console.columns);
        default: /* nothing besides the base */
                return 0;
        }
}

int gcs_request_encode(
        const struct gcs_request *request, char **ret, size_t *ret_size, struct error *e) {
        _cleanup_(json_unrefp) struct json *o = json_new_object();
        const char *container = *request->container ? request->container : GCS_NULL_ID;
        const char *activity = *request->activity ? request->activity : GCS_NULL_ID;
        int r = json_set_string(o, "ContainerId", container);
        if (r == 0)
                r = json_set_string(o, "ActivityId", activity);
        if (r == 0)
                r = encode_call(request, o, e);
        if (r < 0)
                return r == -EINVAL ? r : -ENOMEM;
        _cleanup_free_ char *text = NULL;
        size_t size;
        r = json_format(o, &text, &size);
        if (r < 0)
                return r;
        if (size > GCS_FROM_HOST_MAX - GCS_HEADER_SIZE)
                return error_set(e, -E2BIG, E_INVALIDARG,
                        "the request has %zu bytes and %u are allowed: shorten the command line or "
                        "the environment",
                        size, GCS_FROM_HOST_MAX - GCS_HEADER_SIZE);
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

/* Guest: bytes to structs. */

static int too_many(struct error *e, const char *key, unsigned max) {
        return error_set(e, -E2BIG, E_INVALIDARG, "%s has more than %u elements", key, max);
}

static int decode_arguments(struct gcs_request *q, struct error *e) {
        struct json *array = NULL;
        int r = gcs_field_container(q->parameters, "CommandArgs", JSON_ARRAY, &array, e);
        size_t n = json_length(array);
        if (r < 0 || n == 0)
                return r;
        if (n > GCS_ARGS_MAX)
                return too_many(e, "CommandArgs", GCS_ARGS_MAX);
        q->argv_list = calloc(n + 1, sizeof *q->argv_list);
        if (!q->argv_list)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = gcs_field_text(
                        json_at(array, i), "an element of CommandArgs", &q->argv_list[i], e);
                if (r < 0)
                        return r;
        }
        q->execute.argv = q->argv_list;
        return 0;
}

static int decode_environment(struct gcs_request *q, struct error *e) {
        struct json *object = NULL;
        int r = gcs_field_container(q->parameters, "Environment", JSON_OBJECT, &object, e);
        if (r < 0 || !object)
                return r;
        size_t n = json_length(object), i = 0;
        if (n > GCS_ENV_MAX)
                return too_many(e, "Environment", GCS_ENV_MAX);
        q->env_list = calloc(n + 1, sizeof *q->env_list);
        if (!q->env_list)
                return -ENOMEM;
        for (struct json_iter it = json_iter(object); json_next(&it);) {
                const char *value;
                if (!*it.key || strchr(it.key, '='))
                        return error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                                "\"%s\" in Environment is not a name", it.key);
                r = gcs_field_text(it.value, "a value of Environment", &value, e);
                if (r < 0)
                        return r;
                if (asprintf(&q->env_list[i], "%s=%s", it.key, value) < 0) {
                        q->env_list[i] = NULL;
                        return -ENOMEM;
                }
                i++;
        }
        q->execute.env = (const char *const *)q->env_list;
        return 0;
}

static int decode_console(struct gcs_request *q, struct error *e) {
        struct json *size = NULL;
        int r = gcs_field_bool(q->parameters, "EmulateConsole", &q->execute.console, e);
        if (r < 0)
                return r;
        r = gcs_field_container(q->parameters, "ConsoleSize", JSON_ARRAY, &size, e);
        if (r < 0 || !size)
                return r;
        uint64_t rows, columns;
        if (json_length(size) != 2 || json_u64(json_at(size, 0), &rows) < 0 ||
                json_u64(json_at(size, 1), &columns) < 0 || rows > UINT16_MAX ||
                columns > UINT16_MAX)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                        "ConsoleSize is not [rows, columns], each from 0 to 65535");
        q->execute.rows = (uint16_t)rows;
        q->execute.columns = (uint16_t)columns;
        return 0;
}

static int decode_ports(struct gcs_request *q, const struct json *settings, struct error *e) {
        struct json *ports = NULL;
        int r = gcs_field_container(settings, "VsockStdioRelaySettings", JSON_OBJECT, &ports, e);
        for (size_t i = 0; r == 0 && i < 3; i++) {
                bool wanted = false;
                r = gcs_field_bool(q->parameters, pipe_keys[i], &wanted, e);
                if (r < 0 || !wanted)
                        continue;
                r = gcs_field_u32(ports, port_keys[i], &q->execute.ports[i], e);
                if (r == 0 && q->execute.ports[i] == 0)
                        r = error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                                "%s is true and VsockStdioRelaySettings.%s names no port",
                                pipe_keys[i], port_keys[i]);
        }
        return r;
}

static int decode_execute(struct gcs_request *q, struct error *e) {
        struct gcs_execute *x = &q->execute;
        x->cwd = x->user = "";
        struct json *settings = NULL;
        const char *parameters = NULL;
        int r = gcs_field_container(q->tree, "Settings", JSON_OBJECT, &settings, e);
        if (r < 0)
                return r;
        r = gcs_field_string(settings, "ProcessParameters", &parameters, e);
        if (r < 0)
                return r;
        if (!parameters)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON,
                        "Settings.ProcessParameters is missing: a string that holds the "
                        "parameters' JSON");
        r = json_parse(parameters, strlen(parameters), &json_limits_client, e, &q->parameters);
        if (r < 0)
                return error_prefix(e, r, "ProcessParameters");
        if ((r = decode_arguments(q, e)) < 0 || (r = decode_environment(q, e)) < 0 ||
                (r = decode_console(q, e)) < 0 || (r = decode_ports(q, settings, e)) < 0 ||
                (r = gcs_field_string(q->parameters, "WorkingDirectory", &x->cwd, e)) < 0 ||
                (r = gcs_field_string(q->parameters, "User", &x->user, e)) < 0)
                return r;
        return gcs_field_string(q->parameters, "CommandLine", &x->command_line, e);
}

/* Signal 0 or none is SIGKILL, as hcsshim's guest has it. */
static int decode_signal(struct gcs_request *q, struct error *e) {
        struct json *options = NULL;
        uint32_t signal = 0;
        int r = gcs_field_u32(q->tree, "ProcessId", &q->signal.pid, e);
        if (r == 0)
                r = gcs_field_container(q->tree, "Options", JSON_OBJECT, &options, e);
        if (r == 0)
                r = gcs_field_u32(options, "Signal", &signal, e);
        q->signal.signal = signal ? (int32_t)(signal & INT32_MAX) : 9;
        return r;
}

static int decode_call(struct gcs_request *q, struct error *e) {
        int r;
        switch (q->call) {
        case GCS_NEGOTIATE:
                r = gcs_field_u32(q->tree, "MinimumVersion", &q->negotiate.min, e);
                return r < 0 ? r : gcs_field_u32(q->tree, "MaximumVersion", &q->negotiate.max, e);
        case GCS_EXECUTE_PROCESS:
                return decode_execute(q, e);
        case GCS_WAIT_FOR_PROCESS:
                q->wait.timeout_ms = GCS_INFINITE;
                r = gcs_field_u32(q->tree, "ProcessId", &q->wait.pid, e);
                return r < 0 ? r : gcs_field_u32(q->tree, "TimeoutInMs", &q->wait.timeout_ms, e);
        case GCS_SIGNAL_PROCESS:
                return decode_signal(q, e);
        case GCS_RESIZE_CONSOLE:
                r = gcs_field_u32(q->tree, "ProcessId", &q->console.pid, e);
                if (r == 0)
                        r = gcs_field_u16(q->tree, "Height", &q->console.rows, e);
                return r < 0 ? r : gcs_field_u16(q->tree, "Width", &q->console.columns, e);
        default:
                return 0;
        }
}

int gcs_request_decode(
        uint32_t call, const char *body, size_t size, struct gcs_request *ret, struct error *e) {
        struct gcs_request q = {.call = call};
        int r = json_parse(body, size, &json_limits_client, e, &q.tree);
        if (r == 0 && json_type(q.tree) != JSON_OBJECT)
                r = error_set(e, -EBADMSG, HCS_E_INVALID_JSON, "the request is not an object");
        if (r == 0)
                r = gcs_field_copy(q.tree, "ContainerId", q.container, sizeof q.container, e);
        if (r == 0)
                r = gcs_field_copy(q.tree, "ActivityId", q.activity, sizeof q.activity, e);
        if (r == 0)
                r = decode_call(&q, e);
        if (r < 0) {
                gcs_request_done(&q);
                return r;
        }
        *ret = q;
        return 0;
}

void gcs_request_done(struct gcs_request *request) {
        free(request->argv_list);
        for (size_t i = 0; request->env_list && request->env_list[i]; i++)
                free(request->env_list[i]);
        free(request->env_list);
        json_unref(request->parameters);
        json_unref(request->tree);
        *request = (struct gcs_request){0};
}
