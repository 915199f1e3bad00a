// SPDX-License-Identifier: MIT
/* What vmcomputed and vmwp say to each other: typed messages over an io_chan, each encoded and
 * decoded here, with a table of who may send what and when. No byte of a guest's JSON crosses:
 * the daemon sees these structs only (decision 8).
 *
 * Order: the daemon sends CONFIG once, then anything; the worker answers each request that has an
 * id with DONE, in any order. A message that breaks the table ends the channel. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/guid.h"
#include "io/chan.h"

enum {
        IPC_STRING_MAX = 32 * 1024, /* bytes with NUL, each */
        IPC_ARGS_MAX = 1024,
        IPC_ENV_MAX = 1024,
        IPC_SERVICES_MAX = 256,
        IPC_BLOB_MAX = 64 * 1024, /* all argv and environment strings together, with their NULs */
        IPC_CRASH_LOG_MAX = 4096, /* the crash message page (TLFS, crash enlightenment), with NUL */
};

enum ipc_type {
        /* daemon → worker; requests carry an id that DONE repeats */
        IPC_CONFIG = 1, /* once, first; fds: kernel, [initrd], [restore]; DONE when the partition
                           exists. The worker opens /dev/kvm itself before its jail closes. */
        IPC_START,      /* DONE when running: agent connected if guest_connection, else at once */
        IPC_PAUSE,
        IPC_RESUME,
        IPC_SHUTDOWN,       /* asks the guest; DONE when it was delivered; EXITED follows */
        IPC_TERMINATE,      /* no DONE: EXITED is the answer, then the worker ends */
        IPC_CREATE_PROCESS, /* fds: the wanted ones of stdin, stdout, stderr, in this order, each a
                               non-blocking stream socket; DONE.pid */
        IPC_SIGNAL_PROCESS,
        IPC_RESIZE_CONSOLE,
        IPC_STATISTICS,    /* answered by STATISTICS_REPLY with the id, or by DONE with a failure */
        IPC_SAVE,          /* fd: the state file; paused; DONE */
        IPC_HVSOCKET_DIAL, /* fd: a connected stream; host connects to the guest's service; text, if
                              any, is written to it before the guest's first byte; DONE */
        IPC_HVSOCKET_ANSWER, /* to HVSOCKET_ASK: error 0 and an fd, or a refusal */
        IPC_HVSOCKET_TABLE,  /* replaces the service table */
        IPC_CRASH,           /* NMI */
        IPC_TYPES_DAEMON_END_,

        /* worker → daemon */
        IPC_DONE = 64, /* answer to a request */
        IPC_EXITED,    /* the machine stopped for good; once */
        IPC_PROCESS_EXITED,
        IPC_GUEST_CONNECTION, /* connected or lost */
        IPC_CRASH_REPORT,
        IPC_HVSOCKET_ASK, /* a guest dials a service that a host program serves */
        IPC_STATISTICS_REPLY,
        IPC_NOTICE, /* one line for the log and the events of this system */
        IPC_TYPES_WORKER_END_,
};

struct ipc_service { /* a row of the hvsocket service table */
        struct guid service;
        bool allow_bind;    /* the host may offer it to the guest: guest → host connects */
        bool allow_connect; /* the host may connect to it in the guest */
};

struct ipc_config {
        char id[128]; /* the compute system's, for log lines */
        uint32_t vps;
        uint64_t memory; /* bytes */
        bool stop_on_reset;
        bool guest_connection;
        bool has_initrd;
        bool restore; /* a further fd holds a saved state */
        bool hvsocket_default_bind, hvsocket_default_connect;
        uint32_t connect_timeout_ms; /* no agent in this time: START fails with HR_TIMEOUT */
        const char *cmdline;
        const struct ipc_service *services;
        size_t n_services;
};

struct ipc_process {
        const char *const
                *argv; /* NULL-terminated; argv[0] may be looked up in PATH by the guest */
        const char *command_line; /* for sh -c; set instead of argv */
        const char *const *env;   /* "NAME=VALUE", NULL-terminated */
        const char *cwd;          /* "" for the agent's default */
        const char *user;         /* "" for root */
        bool want_stdin, want_stdout, want_stderr;
        bool console; /* a pty; stdout carries both */
        uint16_t rows, columns;
};

enum ipc_exit_type { IPC_EXIT_GRACEFUL, IPC_EXIT_FORCED, IPC_EXIT_UNEXPECTED };

/* What made the machine stop; becomes SystemExitStatus.Attribution. */
enum ipc_exit_cause {
        IPC_CAUSE_POWER_OFF, /* the guest switched itself off */
        IPC_CAUSE_TERMINATE, /* IPC_TERMINATE */
        IPC_CAUSE_RESET,     /* a reset, and StopOnReset is set */
        IPC_CAUSE_TRIPLE_FAULT,
        IPC_CAUSE_GUEST_CRASH, /* the guest reported a crash and stopped */
        IPC_CAUSE_START,       /* could not start; text says why */
        IPC_CAUSE_INTERNAL,    /* the worker cannot go on; text says why */
};

struct ipc_statistics {
        uint64_t uptime_100ns, vp_runtime_100ns;
        uint64_t memory_assigned, memory_resident; /* bytes */
        uint32_t vmbus_version;
        uint32_t channels_open;
        uint64_t storage_reads, storage_writes, storage_read_bytes, storage_write_bytes;
        uint64_t dropped_messages; /* guest mistakes counted */
};

/* One message, decoded. Pointers live in `arena` until ipc_message_done(). */
struct ipc_message {
        enum ipc_type type;
        uint32_t id;  /* request id, 0 where there is none */
        uint32_t pid; /* guest process */
        uint32_t hresult;
        char text[ERROR_TEXT_MAX]; /* UTF-8: why, for DONE with hresult, EXITED, HVSOCKET_ANSWER;
                                      the line of NOTICE; the first bytes for HVSOCKET_DIAL */
        union {
                struct ipc_config config;
                struct ipc_process process;
                struct ipc_statistics statistics;
                struct {
                        int32_t signal;
                } signal;
                struct {
                        uint16_t rows, columns;
                } console;
                struct {
                        enum ipc_exit_type type;
                        enum ipc_exit_cause cause;
                        uint32_t status; /* HRESULT of SystemExitStatus.Status */
                        bool crashed;
                        uint64_t crash[5];
                } exit;
                struct {
                        uint64_t parameters[5];
                        const char *log; /* the guest's text, "" when there is none */
                } crash;                 /* CRASH_REPORT */
                struct {
                        int32_t code; /* the guest's status, 128+signal */
                } process_exit;
                struct {
                        bool connected;
                        uint32_t protocol; /* GCS version */
                } connection;
                struct {
                        uint64_t token;
                        struct guid service;
                        struct guid endpoint;
                        uint32_t timeout_ms;
                } hvsocket;
                struct {
                        const struct ipc_service *services;
                        size_t n_services;
                        bool default_bind, default_connect;
                } table;
                struct {
                        bool force;
                        bool reboot;
                } shutdown;
        };
        void *arena;
};

enum ipc_side { IPC_DAEMON, IPC_WORKER }; /* who receives */

/* Encodes and sends; fds are duplicated by the channel. */
_warn_unused_ int ipc_send(
        struct io_chan *chan, const struct ipc_message *m, const int *fds, size_t n_fds);
/* Decodes what `side` received: -EBADMSG for anything that the encoder does not produce, -EPROTO
 * for a type that this side must not get or a count of fds that its row does not allow. */
_warn_unused_ int ipc_decode(
        enum ipc_side side, const void *data, size_t size, size_t n_fds, struct ipc_message *ret);
void ipc_message_done(struct ipc_message *m);

/* The protocol's order, one per channel end: -EPROTO for a second CONFIG, anything before it, or
 * anything after EXITED. */
struct ipc_order {
        bool configured, exited;
};
_warn_unused_ int ipc_order_check(struct ipc_order *order, const struct ipc_message *m);
