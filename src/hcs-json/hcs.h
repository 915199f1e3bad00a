// SPDX-License-Identifier: MIT
/* HCS v2 documents (Virtualization-Documentation, "HCS schema reference") to structs and back.
 *
 * A document is read in three steps: JSON (json_parse), the schema (types, enums, members), and
 * what must hold beyond types (semantics). hcs_document_read() does all three; the decoders then
 * give a struct with what acts in this version, and name what does not. Every refusal starts with
 * the JSON path: "$.VirtualMachine.StopOnReset: …". Pure functions, no state. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "base/guid.h"
#include "json/json.h"

enum {
        HCS_SCHEMA_MAJOR = 2,
        HCS_SCHEMA_MINOR_MAX = 7,
        HCS_SCSI_CONTROLLERS_MAX = 4,
        HCS_SCSI_LUNS_MAX = 64, /* of a controller */
        HCS_COM_PORTS_MAX = 2,
        HCS_PMEM_DEVICES_MAX = 128,
        HCS_SHARES_MAX = 1024, /* of one server */
        HCS_PROCESS_ARGS_MAX = 4096,
        HCS_SERVICES_MAX = 64, /* rows of an HvSocket service table that act here */
};

/* ── Documents ─────────────────────────────────────────────────────────────────────────────── */

enum hcs_document {
        HCS_DOC_CREATE,         /* ComputeSystem */
        HCS_DOC_MODIFY,         /* ModifySettingRequest */
        HCS_DOC_PROCESS,        /* ProcessParameters */
        HCS_DOC_PROCESS_MODIFY, /* ProcessModifyRequest */
        HCS_DOC_SIGNAL,         /* SignalProcessOptions, or {"Signal": number} */
        HCS_DOC_SHUTDOWN,       /* ShutdownOptions */
        HCS_DOC_PAUSE,          /* PauseOptions */
        HCS_DOC_SAVE,           /* SaveOptions */
        HCS_DOC_CRASH,          /* CrashOptions */
        HCS_DOC_SYSTEM_QUERY,   /* System_PropertyQuery */
        HCS_DOC_SERVICE_QUERY,  /* Service_PropertyQuery */
        HCS_DOC_ENUMERATE,      /* SystemQuery */
        HCS_DOC_SERVICE_MODIFY, /* ModificationRequest */
        HCS_DOC_HCN_NETWORK,    /* HostComputeNetwork */
        HCS_DOC_HCN_ENDPOINT,   /* HostComputeEndpoint */
        HCS_DOC_HCN_NAMESPACE,  /* HostComputeNamespace */
        HCS_DOC_HCN_MODIFY_NETWORK,
        HCS_DOC_HCN_MODIFY_ENDPOINT,
        HCS_DOC_HCN_MODIFY_NAMESPACE,
        HCS_DOC_HCN_QUERY, /* HostComputeQuery */
        HCS_DOCUMENTS_,
};

enum { HCS_ALLOW_UNKNOWN = 1 << 0 }; /* members that the schema lacks are let through */

/* -EBADMSG: not JSON or not of the schema (HCS_E_INVALID_JSON, or the HCN codes); -EINVAL: typed
 * well and still wrong (E_INVALIDARG …); -ENOMEM. */
_warn_unused_ int hcs_document_check(
        enum hcs_document kind, const struct json *doc, unsigned flags, struct error *e);
/* The same from the text on. */
_warn_unused_ int hcs_document_read(enum hcs_document kind, const char *text, size_t n,
        unsigned flags, struct error *e, struct json **ret);

/* ── ComputeSystem ─────────────────────────────────────────────────────────────────────────── */

struct hcs_service {
        struct guid id;
        bool allow_bind, allow_connect;
};

struct hcs_com_port {
        bool present;
        char *pipe; /* a socket's absolute path; NULL: present but not connected */
};

struct hcs_system {
        char *owner; /* "" when the document has none */
        unsigned schema_minor;
        bool terminate_on_last_handle_closed;
        bool stop_on_reset;
        char *kernel, *initrd;              /* absolute; initrd may be NULL */
        char *cmdline;                      /* may be "" */
        uint64_t memory_mib;                /* even */
        unsigned processors;                /* 0: the platform's choice */
        bool default_bind, default_connect; /* services without a row */
        struct hcs_service *services;
        size_t n_services;
        bool guest_connection; /* Start waits for the agent */
        struct hcs_com_port com_ports[HCS_COM_PORTS_MAX];
};

/* `doc` has passed hcs_document_check(HCS_DOC_CREATE). Members that are accepted and have no effect
 * in this version are listed in *ret_warnings, an array of strings. -EOPNOTSUPP
 * (HR_NOT_SUPPORTED) for what would make another machine: Container, HostedSystem, Uefi,
 * RestoreState. */
_warn_unused_ int hcs_system_decode(const struct json *doc, struct error *e,
        struct hcs_system **ret, struct json **ret_warnings);
struct hcs_system *hcs_system_free(struct hcs_system *system);
DEFINE_CLEANUP(struct hcs_system, hcs_system_free)

/* Whether the sandbox's owner is granted access by a security descriptor (SDDL, MS-DTYP 2.5.1).
 * The owner stands for SYSTEM, administrators, users and everyone; the first entry that names one
 * of them decides. Text without a DACL grants, an empty DACL denies. -EINVAL: not SDDL. */
_warn_unused_ int hcs_sddl_grants(const char *sddl, bool *ret);

/* ── Processes ─────────────────────────────────────────────────────────────────────────────── */

struct hcs_process {
        char *command_line;      /* NULL when args is set */
        char **args;             /* NULL-terminated; NULL when command_line is set */
        char **environment;      /* "NAME=VALUE", NULL-terminated */
        char *working_directory; /* "" for the agent's default */
        char *user;              /* "" for root */
        bool create_stdin, create_stdout, create_stderr;
        bool emulate_console;   /* a pty; stdout carries both */
        uint16_t rows, columns; /* 0: not given */
};
_warn_unused_ int hcs_process_decode(const struct json *doc, struct error *e,
        struct hcs_process **ret, struct json **ret_warnings);
struct hcs_process *hcs_process_free(struct hcs_process *process);
DEFINE_CLEANUP(struct hcs_process, hcs_process_free)

/* The POSIX signal: a number as it is, CtrlC is SIGINT, CtrlBreak SIGQUIT, CtrlClose SIGHUP,
 * CtrlLogOff and CtrlShutdown SIGTERM. A NULL document or one without Signal is SIGTERM. */
_warn_unused_ int hcs_signal_decode(const struct json *doc, struct error *e, int32_t *ret);

enum hcs_process_operation { HCS_PROCESS_CONSOLE_SIZE, HCS_PROCESS_CLOSE_HANDLE };
struct hcs_process_modify {
        enum hcs_process_operation operation;
        uint16_t rows, columns;
        bool close_stdin, close_stdout, close_stderr;
};
_warn_unused_ int hcs_process_modify_decode(
        const struct json *doc, struct error *e, struct hcs_process_modify *ret);

struct hcs_shutdown {
        bool by_guest_connection; /* else by the shutdown integration service */
        bool mechanism_given;
        bool reboot, force;
};
/* NULL is as {}. -EOPNOTSUPP for Hibernate. */
_warn_unused_ int hcs_shutdown_decode(
        const struct json *doc, struct error *e, struct hcs_shutdown *ret);

/* ── Queries ───────────────────────────────────────────────────────────────────────────────── */

/* Whether a system is asked for. Ids are compared without ASCII case, Owners exactly. */
bool hcs_query_matches(const struct json *system_query, const char *id, const char *owner);

struct hcs_properties {
        const char *id;
        const char *owner;
        struct guid runtime_id;
        const char *state; /* "Created" … (State) */
        bool stopped;
        const char *exit_type; /* NULL while it runs */
        bool terminate_on_last_handle_closed;
        uint64_t memory_assigned; /* bytes; 0: not known */
        uint64_t uptime_100ns, processor_100ns;
        uint64_t memory_resident; /* bytes */
        bool guest_connected;
        uint32_t guest_protocol;
};
/* The Properties document for a System_PropertyQuery (NULL: basic). A property that this version
 * does not have is -EOPNOTSUPP in the legacy form (PropertyTypes), and its own error in the answer
 * in the form of schema 2.5 (Queries). */
_warn_unused_ int hcs_properties_encode(const struct hcs_properties *properties,
        const struct json *query, struct error *e, struct json **ret);

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

/* ResultError. */
_warn_unused_ int hcs_error_encode(const struct error *e, struct json **ret);

struct hcs_exit {
        uint32_t status;           /* HRESULT */
        const char *type;          /* NotificationType: "GracefulExit" … */
        const char *worker_type;   /* WorkerExitType, or NULL for no WorkerExit */
        const char *worker_detail; /* WorkerExitDetail */
        const char *system_detail; /* SystemExitDetail, or NULL for no SystemExit */
        const char *initiator;     /* ExitInitiator, for both */
        bool crashed;
        uint64_t crash[5];
};
_warn_unused_ int hcs_exit_encode(
        const struct hcs_exit *x, struct json **ret); /* SystemExitStatus */
/* ProcessStatus; exit_code counts only when exited. */
_warn_unused_ int hcs_process_status_encode(
        uint32_t pid, bool exited, int32_t exit_code, struct json **ret);
