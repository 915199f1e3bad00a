// SPDX-License-Identifier: MIT
/* A compute system: its state, its worker, its guest's
 * processes, and the calls that wait for one of them. */
#pragma once
#include "base/guid.h"
#include "base/log.h"
#include "hcs-json/hcs.h"
#include "vmcompute/conn.h"
#include "vmcompute/files.h"
#include "vmcompute/hvsocket.h"
#include "vmcompute/worker.h"

enum system_state {
        SYSTEM_CREATING, /* known to nobody but its creator */
        SYSTEM_CREATED,
        SYSTEM_RUNNING,
        SYSTEM_PAUSED,
        SYSTEM_STOPPED,
};

/* A call that waits for an exit. */
struct waiter {
        struct waiter *next;
        struct waiter **list; /* where it waits */
        struct call *call;
        struct io_timer *timer; /* NULL: without end */
};

struct process {
        struct process *next;
        struct system *system;
        uint32_t pid;
        bool exited;
        int32_t code;
        int stdin_fd; /* the worker's end, to shut it; -1 */
        size_t handles;
        struct waiter *waiters;
};

/* A service that a client serves to the guest, until its handle is closed. */
struct binding {
        struct binding *next;
        struct guid service;
        struct conn *conn;
        const struct handle *handle;
};

/* What a DONE of the worker will answer. */
struct request {
        struct request *next;
        uint32_t id;
        enum ipc_type type;
        struct call *call;
        int fds[3];         /* CREATE_PROCESS: the client's ends of stdin, stdout, stderr, or -1;
                               HVSOCKET_DIAL: [0] the client's end */
        int stdin_fd;       /* and the worker's end of stdin, or -1 */
        struct json *query; /* STATISTICS: the property query */
};

enum { SYSTEM_REQUESTS_MAX = 1024 };

struct system {
        struct system *next;
        struct vmcompute *vc;
        char id[VMCOMPUTE_ID_MAX];
        struct guid runtime_id;
        struct jail_identity owner;
        struct hcs_system *document;
        struct json *warnings; /* of the document */
        enum system_state state;
        bool busy;    /* Start, Pause, Resume … are under way */
        bool leaving; /* asked to terminate */
        size_t handles;

        struct files *files;
        struct worker *worker;
        struct call *create_call; /* while creating */
        struct conn *creator;
        struct request *requests;
        size_t n_requests;
        uint32_t last_request;
        struct process *processes; /* newest first */
        struct waiter *waiters;
        struct binding *bindings;
        size_t n_bindings;
        struct hvhost *hvsockets; /* NULL: the daemon has no path, or the system has stopped */

        bool guest_connected;
        uint32_t guest_protocol;
        bool has_exit;    /* the worker said EXITED; what follows is known */
        bool worker_died; /* without saying so */
        enum ipc_exit_type exit_type;
        enum ipc_exit_cause exit_cause;
        uint32_t exit_status;
        bool crashed;
        uint64_t crash[5];
        char exit_text[ERROR_TEXT_MAX];
        char last_notice[ERROR_TEXT_MAX];
        struct log_limit notices;
};

struct system *system_find(struct vmcompute *vc, const struct conn *conn, const char *id);
/* Answers `call` when the system is there or cannot be. document and warnings are consumed. */
void system_create(struct conn *conn, struct call *call, const char *id,
        struct hcs_system *document_consume, struct json *warnings_consume);
/* Forgets a stopped system that nobody has a handle of; s may be gone afterwards. */
void system_settle(struct system *s);
void system_ref_handle(struct system *s);
void system_unref_handle(struct system *s);
/* Asks the worker to stop the machine at once; nothing to do when it is stopped. */
void system_terminate(struct system *s);
/* Whatever state it is in; calls that wait are answered. */
void system_free(struct system *s);
/* The creator's connection is gone. */
void system_creator_gone(struct system *s);

const char *system_state_name(const struct system *s);
const char *system_exit_type_name(const struct system *s);
_warn_unused_ int system_exit_document(const struct system *s, struct json **ret);

/* A request of that type, in the system's list, with its id; the DONE with this id answers the
 * call. NULL: the call has failed already. */
struct request *system_request_new(struct system *s, enum ipc_type type, struct call *call);
void system_request_free(struct system *s, struct request *q);
/* Sends a message without more to it than its type. `busy` verbs exclude each other. */
void system_request(struct system *s, enum ipc_type type, struct call *call);
/* Like a request, but answered when the worker is gone. */
void system_terminate_call(struct system *s, struct call *call);

/* Answers a waiting call when the system stopped, or now when it has. */
void system_wait(struct system *s, struct call *call, uint32_t timeout_ms);

/* What the worker said. */
void system_done(struct system *s, const struct ipc_message *m);
void system_statistics(struct system *s, const struct ipc_message *m);
void system_exited(struct system *s, const struct ipc_message *m);
void system_crash_report(struct system *s, const struct ipc_message *m);
void system_ended(struct system *s, const char *cause);

/* The Properties document; statistics may be NULL. */
_warn_unused_ int system_properties(struct system *s, const struct json *query,
        const struct ipc_statistics *statistics, struct error *e, struct json **ret);

/* process.c */
void process_create(struct system *s, struct call *call, const struct hcs_process *document,
        struct json *warnings);
void process_created(struct system *s, struct request *q, const struct ipc_message *done);
struct process *process_find(struct system *s, uint32_t pid);
void process_close_stdin(struct process *p);
void process_exited(struct system *s, uint32_t pid, int32_t code);
/* The system stopped: nothing of it runs any more. */
void process_all_lost(struct system *s);
void process_ref_handle(struct process *p);
void process_unref_handle(struct process *p);
_warn_unused_ int process_status(const struct process *p, struct json **ret);
void process_wait(struct process *p, struct call *call, uint32_t timeout_ms);
void process_free_all(struct system *s);

/* sockets.c */
/* Of one handle, or all with NULL. */
void binding_drop(struct system *s, const struct handle *handle);
/* Makes the directory of the system's hvsockets, if the daemon has a path. */
_warn_unused_ int system_serve_hvsockets(struct system *s, struct error *e);
/* A guest dials: a client that bound the service comes first, then the directory. */
void system_asked(struct system *s, const struct ipc_message *m);
/* The guest's end is connected. */
void system_dialled(struct system *s, struct request *q);

/* wait.c */
#define SYSTEM_WAIT_INFINITE 0xffffffffu
/* When the time is over the call fails with HCS_E_OPERATION_TIMEOUT. */
void waiter_add(struct io_loop *loop, struct waiter **list, struct call *call, uint32_t timeout_ms);
/* Takes the first waiter's call out of the list; NULL when there is none. */
struct call *waiter_take(struct waiter **list);
/* The client is gone: frees the waiter and its call. */
void waiter_cancel(struct waiter *waiter);
