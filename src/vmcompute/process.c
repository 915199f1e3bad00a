// SPDX-License-Identifier: MIT
/* The guest's processes, as far as clients started them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmcompute/build.h"
#include "vmcompute/server.h"
#include "wire/hresult.h"

static void process_free(struct process *p) {
        struct process **at = &p->system->processes;
        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        fd_close(p->stdin_fd);
        free(p);
}

void process_free_all(struct system *s) {
        while (s->processes)
                process_free(s->processes);
}

/* Ended, and nobody asks any more. */
static void process_settle(struct process *p) {
        if (p->exited && p->handles == 0)
                process_free(p);
}

static struct process *process_new(struct system *s, uint32_t pid) {
        struct process *p = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *p);
        if (!p)
                return NULL;
        *p = (struct process){.next = s->processes, .system = s, .pid = pid, .stdin_fd = -1};
        s->processes = p;
        return p;
}

struct process *process_find(struct system *s, uint32_t pid) {
        /* A number may be used again: the newest is meant. */
        struct process *p = s->processes;
        while (p && p->pid != pid)
                p = p->next;
        return p;
}

void process_ref_handle(struct process *p) {
        p->handles++;
}

void process_unref_handle(struct process *p) {
        struct system *s = p->system;
        p->handles--;
        process_settle(p);
        system_settle(s);
}

int process_status(const struct process *p, struct json **ret) {
        return hcs_process_status_encode(p->pid, p->exited, p->code, ret);
}

/* Creating */

static size_t count_processes(const struct system *s) {
        size_t n = 0;
        for (const struct process *p = s->processes; p; p = p->next)
                n++;
        for (const struct request *q = s->requests; q; q = q->next)
                n += q->type == IPC_CREATE_PROCESS;
        return n;
}

/* A socket pair for each wanted stream, which hvsocket can half-close: ret_worker gets the wanted
 * ends in order, non-blocking, client those of the client by stream. */
static int make_streams(const bool want[3], int client[3], int ret_worker[3], size_t *ret_n) {
        size_t n = 0;
        int r = 0;
        for (int i = 0; i < 3 && r == 0; i++) {
                if (!want[i])
                        continue;
                int ends[2];
                r = fd_socketpair(SOCK_STREAM, ends);
                if (r < 0)
                        break;
                client[i] = ends[0];
                ret_worker[n] = ends[1];
                r = fd_set_nonblock(ret_worker[n++], true);
        }
        *ret_n = n;
        return r;
}

static void send_create(struct system *s, struct request *q, const struct hcs_process *d,
        const int *fds, size_t n_fds) {
        union { /* the strings are not changed */
                char **in;
                const char *const *out;
        } args = {.in = d->args}, environment = {.in = d->environment};
        struct ipc_message m = {.type = IPC_CREATE_PROCESS,
                .id = q->id,
                .process = {
                        .argv = args.out,
                        .command_line = d->command_line,
                        .env = environment.out,
                        .cwd = d->working_directory,
                        .user = d->user,
                        .want_stdin = d->create_stdin,
                        .want_stdout = d->create_stdout,
                        .want_stderr = d->create_stderr,
                        .console = d->emulate_console,
                        .rows = d->rows,
                        .columns = d->columns,
                }};
        worker_send(s->worker, &m, fds, n_fds);
}

/* What the message to the worker can carry; past it the call fails and the worker lives. */
static bool fits(const struct hcs_process *d) {
        size_t bytes = 0, args = 0, env = 0;
        for (char **a = d->args; a && *a; a++, args++)
                bytes += strlen(*a) + 1;
        for (char **v = d->environment; v && *v; v++, env++)
                bytes += strlen(*v) + 1;
        size_t longest = 0;
        for (char **a = d->args; a && *a; a++)
                longest = strlen(*a) > longest ? strlen(*a) : longest;
        for (char **v = d->environment; v && *v; v++)
                longest = strlen(*v) > longest ? strlen(*v) : longest;
        return args <= IPC_ARGS_MAX && env <= IPC_ENV_MAX && bytes <= IPC_BLOB_MAX &&
               longest < IPC_STRING_MAX &&
               (!d->command_line || strlen(d->command_line) < IPC_STRING_MAX) &&
               strlen(d->working_directory) < IPC_STRING_MAX && strlen(d->user) < IPC_STRING_MAX;
}

void process_create(struct system *s, struct call *call, const struct hcs_process *document,
        struct json *warnings) {
        if (!fits(document)) {
                call_fail_with(call, E_INVALIDARG,
                        "the process parameters are too large: at most %d arguments, %d variables, "
                        "%d bytes each and %d together",
                        IPC_ARGS_MAX, IPC_ENV_MAX, IPC_STRING_MAX - 1, IPC_BLOB_MAX);
                return;
        }
        if (count_processes(s) >= VMCOMPUTE_PROCESSES_MAX) {
                call_fail_with(call, HR_OUTOFMEMORY, "\"%s\" has %d processes already", s->id,
                        VMCOMPUTE_PROCESSES_MAX);
                return;
        }
        struct request *q = system_request_new(s, IPC_CREATE_PROCESS, call);
        if (!q)
                return;
        q->query = warnings ? json_ref(warnings) : NULL;
        const bool want[3] = {
                document->create_stdin, document->create_stdout, document->create_stderr};
        int worker_ends[3];
        size_t n = 0;
        int r = make_streams(want, q->fds, worker_ends, &n);
        if (r == 0) {
                send_create(s, q, document, worker_ends, n);
                if (document->create_stdin)
                        q->stdin_fd = TAKE_FD(worker_ends[0]);
        } else {
                q->call = NULL;
                system_request_free(s, q);
                call_fail_with(
                        call, error_hresult(r), "no sockets for the process: %s", strerror(-r));
        }
        for (size_t i = 0; i < n; i++)
                fd_close(worker_ends[i]);
}

/* HCS_PROCESS_INFORMATION: a stream is the index of its descriptor in the answer. */
static struct json *information(
        uint32_t pid, const int client[3], int ret_fds[3], size_t *ret_n_fds) {
        static const char *const names[] = {"StdInput", "StdOutput", "StdError"};
        struct build info = build_new();
        build_u64(&info, "ProcessId", pid);
        *ret_n_fds = 0;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (client[i] < 0) {
                        build_set(&info, names[i], json_new_null());
                        continue;
                }
                build_u64(&info, names[i], *ret_n_fds);
                ret_fds[(*ret_n_fds)++] = client[i];
        }
        return build_take(&info);
}

void process_created(struct system *s, struct request *q, const struct ipc_message *done) {
        struct call *call = TAKE_PTR(q->call);
        struct process *p = process_new(s, done->pid);
        struct handle *handle = NULL;
        int r = p ? 0 : -ENOMEM;
        /* A client that left meanwhile: its process goes on without a handle. */
        if (r == 0 && call->conn)
                r = conn_add_handle(call->conn, s, p, &handle);
        if (p)
                p->stdin_fd = TAKE_FD(q->stdin_fd);
        if (r < 0) {
                call_fail_with(call, HR_OUTOFMEMORY, "process %u runs, but has no handle: %s",
                        done->pid, strerror(-r));
                return;
        }
        int fds[3];
        size_t n_fds = 0;
        struct build b = build_new();
        if (handle)
                build_u64(&b, "process", handle->number);
        build_set(&b, "processInformation", information(done->pid, q->fds, fds, &n_fds));
        if (json_length(q->query) > 0)
                build_set(&b, "warnings", json_ref(q->query));
        call_reply_object(call, build_take(&b), fds, n_fds);
}

/* What was written before is still read; the worker then sees the end. */
void process_close_stdin(struct process *p) {
        if (p->stdin_fd >= 0)
                (void)shutdown(p->stdin_fd, SHUT_RD);
        p->stdin_fd = fd_close(p->stdin_fd);
}

/* Ending */

static void wait_reply(const struct process *p, struct call *call) {
        struct json *status = NULL;
        (void)!process_status(p, &status);
        call_reply_member(call, "result", status);
}

void process_wait(struct process *p, struct call *call, uint32_t timeout_ms) {
        if (p->exited)
                wait_reply(p, call);
        else if (p->system->state == SYSTEM_STOPPED)
                call_fail_with(call, HCS_E_SYSTEM_ALREADY_STOPPED, "%s", p->system->exit_text);
        else
                waiter_add(p->system->vc->loop, &p->waiters, call, timeout_ms);
}

void process_exited(struct system *s, uint32_t pid, int32_t code) {
        struct process *p = process_find(s, pid);
        if (!p || p->exited)
                return;
        p->exited = true;
        p->code = code;
        p->stdin_fd = fd_close(p->stdin_fd);
        struct call *call;
        while ((call = waiter_take(&p->waiters)))
                wait_reply(p, call);
        struct json *status = NULL;
        if (process_status(p, &status) == 0)
                conn_send_event(s->vc, s, p, "ProcessExited", NULL, status);
        process_settle(p);
}

void process_all_lost(struct system *s) {
        for (struct process *p = s->processes, *next; p; p = next) {
                next = p->next;
                struct call *call;
                while ((call = waiter_take(&p->waiters)))
                        call_fail_with(call,
                                s->exit_status ? s->exit_status : HCS_E_SYSTEM_ALREADY_STOPPED,
                                "%s", s->exit_text);
                p->stdin_fd = fd_close(p->stdin_fd);
                if (p->handles == 0)
                        process_free(p);
        }
}
