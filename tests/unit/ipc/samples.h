// SPDX-License-Identifier: MIT
/* One message of each type, with every field set to something that can be told apart. */
#pragma once
#include "ipc/ipc.h"

#define SAMPLE_GUID(n)                                                                             \
        {                                                                                          \
                { n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, 0, 0, 0, 0, 0, 0, 0, n }     \
        }

static const struct ipc_service sample_services[] = {
        {.service = SAMPLE_GUID(1), .allow_bind = true},
        {.service = SAMPLE_GUID(2), .allow_connect = true},
};
static const char *const sample_argv[] = {"ls", "-l", "", NULL};
static const char *const sample_env[] = {"A=1", "B=\xc3\xbc", NULL};

struct sample {
        unsigned n_fds;
        struct ipc_message m;
};

static const struct sample samples[] = {
        {2, {.type = IPC_CONFIG,
                    .id = 1,
                    .config = {.id = "vm1",
                            .vps = 2,
                            .memory = 0x80000000,
                            .stop_on_reset = true,
                            .has_initrd = true,
                            .hvsocket_default_connect = true,
                            .connect_timeout_ms = 1000,
                            .cmdline = "quiet",
                            .services = sample_services,
                            .n_services = 2}}},
        {0, {.type = IPC_START, .id = 2}},
        {0, {.type = IPC_PAUSE, .id = 3}},
        {0, {.type = IPC_RESUME, .id = 4}},
        {0, {.type = IPC_SHUTDOWN, .id = 5, .shutdown = {.force = false, .reboot = true}}},
        {0, {.type = IPC_TERMINATE}},
        {3, {.type = IPC_CREATE_PROCESS,
                    .id = 6,
                    .process = {.argv = sample_argv,
                            .env = sample_env,
                            .cwd = "/",
                            .user = "",
                            .want_stdin = true,
                            .want_stdout = true,
                            .want_stderr = true,
                            .console = false,
                            .rows = 24,
                            .columns = 80}}},
        {1, {.type = IPC_CREATE_PROCESS,
                    .id = 7,
                    .process = {.command_line = "echo hi",
                            .cwd = "",
                            .user = "root",
                            .want_stdout = true,
                            .console = true}}},
        {0, {.type = IPC_SIGNAL_PROCESS, .id = 8, .pid = 77, .signal = {.signal = 15}}},
        {0, {.type = IPC_RESIZE_CONSOLE, .id = 9, .pid = 77, .console = {.rows = 1, .columns = 2}}},
        {0, {.type = IPC_STATISTICS, .id = 11}},
        {1, {.type = IPC_SAVE, .id = 12}},
        {1, {.type = IPC_HVSOCKET_DIAL,
                    .id = 13,
                    .text = "OK 1\n",
                    .hvsocket = {.service = SAMPLE_GUID(3), .timeout_ms = 500}}},
        {1, {.type = IPC_HVSOCKET_ANSWER, .hvsocket = {.token = 9}}},
        {0, {.type = IPC_HVSOCKET_ANSWER,
                    .hresult = 0x80370108,
                    .text = "no",
                    .hvsocket = {.token = 9}}},
        {0, {.type = IPC_HVSOCKET_TABLE,
                    .id = 14,
                    .table = {.services = sample_services, .n_services = 1, .default_bind = true}}},
        {0, {.type = IPC_CRASH, .id = 15}},
        {0, {.type = IPC_DONE, .id = 6, .pid = 77, .hresult = 0x80070002, .text = "not found"}},
        {0, {.type = IPC_EXITED,
                    .text = "panic",
                    .exit = {.type = IPC_EXIT_UNEXPECTED,
                            .cause = IPC_CAUSE_GUEST_CRASH,
                            .status = 0x80370106,
                            .crashed = true,
                            .crash = {1, 2, 3, 4, 5}}}},
        {0, {.type = IPC_PROCESS_EXITED, .pid = 77, .process_exit = {.code = -1}}},
        {0, {.type = IPC_GUEST_CONNECTION, .connection = {.connected = true, .protocol = 4}}},
        {0, {.type = IPC_CRASH_REPORT,
                    .crash = {.parameters = {5, 4, 3, 2, 1}, .log = "Kernel panic\n"}}},
        {0, {.type = IPC_HVSOCKET_ASK,
                    .hvsocket = {.token = 9,
                            .service = SAMPLE_GUID(4),
                            .endpoint = SAMPLE_GUID(5)}}},
        {0, {.type = IPC_STATISTICS_REPLY,
                    .id = 11,
                    .statistics = {.uptime_100ns = 1,
                            .vp_runtime_100ns = 2,
                            .memory_assigned = 3,
                            .memory_resident = 4,
                            .vmbus_version = 5,
                            .channels_open = 6,
                            .storage_reads = 7,
                            .storage_writes = 8,
                            .storage_read_bytes = 9,
                            .storage_write_bytes = 10,
                            .dropped_messages = 11}}},
        {0, {.type = IPC_NOTICE, .text = "restarted"}},
};
