// SPDX-License-Identifier: MIT
/* Documents about processes and about ending: parameters, signals, console size, shutdown. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/fault.h"
#include "hcs-json/decode.h"
#include "wire/hresult.h"

static void free_strings(char **strings) {
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
}

struct hcs_process *hcs_process_free(struct hcs_process *process) {
        if (!process)
                return NULL;
        free(process->command_line);
        free_strings(process->args);
        free_strings(process->environment);
        free(process->working_directory);
        free(process->user);
        free(process);
        return NULL;
}

static char **new_strings(size_t n) {
        return fault_hit(FAULT_ALLOC) ? NULL : calloc(n + 1, sizeof(char *));
}

static int copy_args(const struct json *array, char ***ret) {
        char **args = *ret = new_strings(json_length(array));
        for (size_t i = 0; args && i < json_length(array); i++) {
                const char *s;
                size_t n;
                if (json_string(json_at(array, i), &s, &n) < 0)
                        return -EINVAL;
                args[i] = fault_hit(FAULT_ALLOC) ? NULL : strdup(s);
                if (!args[i])
                        return -ENOMEM;
        }
        return args ? 0 : -ENOMEM;
}

static int copy_environment(const struct json *object, char ***ret) {
        char **environment = *ret = new_strings(json_length(object));
        struct json_iter it = json_iter(object);
        for (size_t i = 0; environment && json_next(&it); i++) {
                const char *value = "";
                size_t n;
                if (it.value && json_string(it.value, &value, &n) < 0)
                        return -EINVAL;
                if (fault_hit(FAULT_ALLOC) ||
                        asprintf(&environment[i], "%s=%s", it.key, value) < 0) {
                        environment[i] = NULL;
                        return -ENOMEM;
                }
        }
        return environment ? 0 : -ENOMEM;
}

static int decode(const struct json *doc, struct hcs_process *p) {
        const struct json *size = json_get(doc, "ConsoleSize");
        const struct json *args = json_get(doc, "CommandArgs");
        uint64_t rows = 0, columns = 0;
        p->create_stdin = json_get_bool(doc, "CreateStdInPipe", false);
        p->create_stdout = json_get_bool(doc, "CreateStdOutPipe", false);
        p->emulate_console = json_get_bool(doc, "EmulateConsole", false);
        /* A console has one output. */
        p->create_stderr = json_get_bool(doc, "CreateStdErrPipe", false) && !p->emulate_console;
        if (size &&
                (json_u64(json_at(size, 0), &rows) < 0 || json_u64(json_at(size, 1), &columns) < 0))
                return -EINVAL;
        p->rows = (uint16_t)rows;
        p->columns = (uint16_t)columns;
        int r = json_length(args) > 0 ? copy_args(args, &p->args)
                : (p->command_line = hcs_copy_string(doc, "CommandLine", "")) ? 0
                                                                              : -ENOMEM;
        if (r == 0)
                r = copy_environment(json_get(doc, "Environment"), &p->environment);
        p->working_directory = hcs_copy_string(doc, "WorkingDirectory", "");
        p->user = hcs_copy_string(doc, "User", "");
        return r == 0 && (!p->working_directory || !p->user) ? -ENOMEM : r;
}

int hcs_process_decode(const struct json *doc, struct error *e, struct hcs_process **ret,
        struct json **ret_warnings) {
        static const char *const effective[] = {"CommandLine", "CommandArgs", "User",
                "WorkingDirectory", "Environment", "EmulateConsole", "CreateStdInPipe",
                "CreateStdOutPipe", "CreateStdErrPipe", "ConsoleSize"};
        _cleanup_(hcs_process_freep) struct hcs_process *process =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *process);
        _cleanup_(json_unrefp) struct json *warnings = NULL;
        int r = process ? decode(doc, process) : -ENOMEM;
        if (r == 0)
                r = hcs_list_ineffective(doc, effective, ARRAY_SIZE(effective), &warnings);
        if (r < 0)
                return error_set(e, r, 0, r == -ENOMEM ? "out of memory" : "$: not checked");
        *ret = TAKE_PTR(process);
        *ret_warnings = TAKE_PTR(warnings);
        return 0;
}

int hcs_signal_decode(const struct json *doc, struct error *e, int32_t *ret) {
        static const struct {
                const char *name;
                int32_t signal;
        } signals[] = {
                {"CtrlC", SIGINT},
                {"CtrlBreak", SIGQUIT},
                {"CtrlClose", SIGHUP},
                {"CtrlLogOff", SIGTERM},
                {"CtrlShutdown", SIGTERM},
        };
        int64_t number;
        if (!json_get(doc, "Signal")) {
                *ret = SIGTERM;
                return 0;
        }
        if (json_i64(json_get(doc, "Signal"), &number) == 0) {
                if (number < 1 || number > 64)
                        return error_set(e, -EINVAL, E_INVALIDARG,
                                "$.Signal: a signal from 1 to 64 is expected");
                *ret = (int32_t)number;
                return 0;
        }
        const char *name = json_get_string(doc, "Signal", "");
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                if (strcmp(signals[i].name, name) == 0) {
                        *ret = signals[i].signal;
                        return 0;
                }
        return error_set(e, -EINVAL, E_INVALIDARG, "$.Signal: not a signal");
}

int hcs_process_modify_decode(
        const struct json *doc, struct error *e, struct hcs_process_modify *ret) {
        struct hcs_process_modify m = {0};
        const struct json *size = json_get(doc, "ConsoleSize");
        if (strcmp(json_get_string(doc, "Operation", ""), "ConsoleSize") == 0) {
                m.operation = HCS_PROCESS_CONSOLE_SIZE;
                m.rows = (uint16_t)json_get_u64(size, "Height", 0);
                m.columns = (uint16_t)json_get_u64(size, "Width", 0);
                if (!m.rows || !m.columns)
                        return error_set(e, -EINVAL, E_INVALIDARG,
                                "$.ConsoleSize: Height and Width above 0 are expected");
                *ret = m;
                return 0;
        }
        const char *handle = json_get_string(json_get(doc, "CloseHandle"), "Handle", "");
        bool all = strcmp(handle, "All") == 0;
        m.operation = HCS_PROCESS_CLOSE_HANDLE;
        m.close_stdin = all || strcmp(handle, "StdIn") == 0;
        m.close_stdout = all || strcmp(handle, "StdOut") == 0;
        m.close_stderr = all || strcmp(handle, "StdErr") == 0;
        if (!m.close_stdin && !m.close_stdout && !m.close_stderr)
                return error_set(e, -EINVAL, E_INVALIDARG,
                        "$.CloseHandle.Handle: missing; accepted: StdIn, StdOut, StdErr, All");
        *ret = m;
        return 0;
}

int hcs_shutdown_decode(const struct json *doc, struct error *e, struct hcs_shutdown *ret) {
        const char *type = json_get_string(doc, "Type", "Shutdown");
        const char *mechanism = json_get_string(doc, "Mechanism", "");
        if (strcmp(type, "Hibernate") == 0)
                return error_set(e, -EOPNOTSUPP, HR_NOT_SUPPORTED,
                        "$.Type: the machine cannot hibernate; accepted: Shutdown, Reboot");
        *ret = (struct hcs_shutdown){
                .mechanism_given = *mechanism,
                .by_guest_connection = strcmp(mechanism, "GuestConnection") == 0,
                .reboot = strcmp(type, "Reboot") == 0,
                .force = json_get_bool(doc, "Force", false),
        };
        return 0;
}
