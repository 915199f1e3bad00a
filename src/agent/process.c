// SPDX-License-Identifier: MIT
/* A process from the request to the answer about its end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "agent/internal.h"
#include "agent/spawn.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/hresult.h"

static void *alloc(size_t size) {
        return fault_hit(FAULT_ALLOC) ? NULL : calloc(1, size);
}

static struct process *find_running(struct agent *agent, uint32_t pid) {
        for (struct process *p = agent->processes; p; p = p->next)
                if (p->state == PROCESS_RUNNING && (uint32_t)p->pid == pid)
                        return p;
        return NULL;
}

static void free_process(struct process *p) {
        struct process **at = &p->agent->processes;
        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        for (size_t i = 0; i < 3; i++) {
                agent_dial_free(p->streams[i].dial);
                fd_close(p->streams[i].fd);
        }
        io_source_free(p->exec_source);
        fd_close(p->exec_fd);
        gcs_request_done(&p->request);
        free(p);
}

/* Answers the request that asked for it and forgets the process. */
static void refuse(struct process *p, int r, struct error *e) {
        error_set(e, r, 0, "cannot start the process: %s", strerror(-r));
        agent_answer(p->agent, &p->ticket, e->hresult, e->text, 0);
        free_process(p);
}

/* Terminals */

static void on_terminal_ended(void *ctx) {
        struct terminal *t = ctx;
        struct agent *agent = t->agent;
        for (struct process *p = agent->processes; p; p = p->next)
                if (p->terminal == t)
                        p->terminal = NULL;
        struct terminal **at = &agent->terminals;
        while (*at != t)
                at = &(*at)->next;
        *at = t->next;
        agent_relay_free(t->relay);
        free(t);
}

/* Makes the pty and its relay; *ret_slave is the child's end. */
static int open_terminal(struct process *p, int *ret_slave) {
        const struct gcs_execute *x = &p->request.execute;
        _cleanup_free_ struct terminal *t = alloc(sizeof *t);
        int master = -1;
        _cleanup_close_ int slave = -1;
        if (!t)
                return -ENOMEM;
        int r = agent_pty_new(x->rows, x->columns, &master, &slave);
        if (r < 0)
                return r;
        int fds[3] = {master, TAKE_FD(p->streams[0].fd), TAKE_FD(p->streams[1].fd)};
        r = agent_relay_new(p->agent->loop, fds, on_terminal_ended, t, &t->relay);
        if (r < 0)
                return r;
        t->agent = p->agent;
        t->next = p->agent->terminals;
        p->agent->terminals = p->terminal = TAKE_PTR(t);
        *ret_slave = TAKE_FD(slave);
        return 0;
}

/* The end */

static void free_waiter(struct agent *agent, struct waiter *w) {
        struct waiter **at = &agent->waiters;
        while (*at != w)
                at = &(*at)->next;
        *at = w->next;
        io_timer_free(w->timer);
        free(w);
}

/* Tells everyone who waits; true when somebody did. */
static bool tell_waiters(struct process *p) {
        struct agent *agent = p->agent;
        bool told = false;
        for (struct waiter *w = agent->waiters, *next; w; w = next) {
                next = w->next;
                if (w->process != p)
                        continue;
                agent_answer(agent, &w->ticket, S_OK, NULL, p->exit_code);
                free_waiter(agent, w);
                told = true;
        }
        return told;
}

static void forget_oldest_exited(struct agent *agent) {
        struct process *oldest = NULL;
        unsigned n = 0;
        for (struct process *p = agent->processes; p; p = p->next)
                if (p->state == PROCESS_EXITED) {
                        oldest = oldest ? oldest : p;
                        n++;
                }
        if (n > AGENT_EXITED_MAX)
                free_process(oldest);
}

static void on_exec(void *ctx, unsigned events);

void agent_child_ended(struct agent *agent, pid_t pid, int status) {
        struct process *p = agent->processes;
        while (p && (p->pid != pid || p->state < PROCESS_STARTING || p->state > PROCESS_RUNNING))
                p = p->next;
        if (!p)
                return; /* an orphan, or a child that could not run its program */
        if (p->state == PROCESS_STARTING) {
                /* The pipe holds the result by now, and it comes first. */
                on_exec(p, 0);
                p = find_running(agent, (uint32_t)pid);
                if (!p)
                        return;
        }
        p->state = PROCESS_EXITED;
        p->exit_code =
                (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        if (tell_waiters(p))
                free_process(p);
        else
                forget_oldest_exited(agent);
}

/* The start */

static void on_exec(void *ctx, _unused_ unsigned events) {
        struct process *p = ctx;
        const struct gcs_execute *x = &p->request.execute;
        struct error e = {0};
        int r = agent_spawn_result(p->exec_fd, x->argv ? x->argv[0] : "sh", x->cwd, &e);
        if (r < 0) {
                refuse(p, r, &e);
                return;
        }
        p->exec_source = io_source_free(p->exec_source);
        p->exec_fd = fd_close(p->exec_fd);
        p->state = PROCESS_RUNNING;
        gcs_request_done(&p->request);
        agent_answer(p->agent, &p->ticket, S_OK, NULL, (uint32_t)p->pid);
}

/* The kernel gives numbers out again. */
static void forget_exited(struct agent *agent, pid_t pid) {
        for (struct process *p = agent->processes; p; p = p->next)
                if (p->state == PROCESS_EXITED && p->pid == pid) {
                        free_process(p);
                        return;
                }
}

static int fork_process(struct process *p, struct error *e) {
        const struct gcs_execute *x = &p->request.execute;
        const char *const shell[] = {"sh", "-c", x->command_line, NULL};
        struct agent_user user;
        int r = agent_user_find(x->user, &user, e);
        if (r < 0)
                return r;
        _cleanup_free_ const char **env = NULL;
        r = agent_environment(x->env, &user, &env);
        if (r < 0)
                return r;
        _cleanup_close_ int slave = -1;
        if (x->console && (r = open_terminal(p, &slave)) < 0)
                return error_set(e, r, 0, "cannot make a terminal: %s", strerror(-r));
        struct agent_spawn spawn = {.argv = x->argv ? x->argv : shell,
                .env = env,
                .cwd = x->cwd,
                .user = &user,
                .stdio = {p->streams[0].fd, p->streams[1].fd, p->streams[2].fd},
                .tty = slave};
        pid_t pid;
        r = agent_spawn(&spawn, &pid, &p->exec_fd);
        if (r < 0)
                return r;
        forget_exited(p->agent, pid);
        p->pid = pid;
        p->state = PROCESS_STARTING;
        for (size_t i = 0; i < 3; i++)
                p->streams[i].fd = fd_close(p->streams[i].fd);
        return io_source_new(p->agent->loop, p->exec_fd, IO_READ, on_exec, p, &p->exec_source);
}

/* A child that nobody can learn about must not run. It may not lead its group yet. */
static void abandon(struct process *p) {
        if (p->state != PROCESS_STARTING && p->state != PROCESS_RUNNING)
                return;
        (void)kill(p->pid, SIGKILL);
        (void)kill(-p->pid, SIGKILL);
}

/* Goes on when every stream is connected. */
static void advance(struct process *p) {
        for (size_t i = 0; i < 3; i++)
                if (p->streams[i].dial)
                        return;
        struct error e = {0};
        int r = fork_process(p, &e);
        if (r < 0) {
                abandon(p);
                refuse(p, r, &e);
        }
}

static void on_stream(void *ctx, int r, int fd) {
        struct stream *s = ctx;
        struct process *p = s->process;
        s->dial = agent_dial_free(s->dial);
        s->fd = fd;
        /* A program expects streams that block; the relay of a terminal does not. */
        if (r == 0 && !p->request.execute.console)
                r = fd_set_nonblock(fd, false);
        if (r == 0) {
                advance(p);
                return;
        }
        struct error e = {0};
        error_set(&e, r, HCS_E_CONNECT_FAILED, "cannot reach port 0x%08x of the host: %s",
                p->request.execute.ports[s - p->streams], strerror(-r));
        refuse(p, r, &e);
}

static int dial_streams(struct process *p, struct error *e) {
        for (size_t i = 0; i < 3; i++) {
                uint32_t port = p->request.execute.ports[i];
                if (!port || (i == 2 && p->request.execute.console))
                        continue;
                struct stream *s = &p->streams[i];
                int r = agent_dial_new(
                        p->agent->loop, p->agent->transport, port, on_stream, s, &s->dial);
                if (r < 0)
                        return error_set(e, r, HCS_E_CONNECT_FAILED,
                                "cannot reach port 0x%08x of the host: %s", port, strerror(-r));
        }
        return 0;
}

static bool too_many(struct agent *agent) {
        unsigned n = 0;
        for (struct process *p = agent->processes; p; p = p->next)
                n += p->state != PROCESS_EXITED;
        return n >= AGENT_PROCESSES_MAX;
}

void agent_execute(
        struct agent *agent, const struct ticket *ticket, struct gcs_request *request_consume) {
        struct gcs_execute *x = &request_consume->execute;
        if (!x->argv && !x->command_line) {
                agent_answer(agent, ticket, E_INVALIDARG,
                        "neither CommandArgs nor CommandLine names a program", 0);
                return;
        }
        struct process *p = too_many(agent) ? NULL : alloc(sizeof *p);
        if (!p) {
                agent_answer(agent, ticket, HR_OUTOFMEMORY,
                        "no memory, or 256 processes run already", 0);
                return;
        }
        *p = (struct process){
                .agent = agent, .ticket = *ticket, .request = *request_consume, .exec_fd = -1};
        *request_consume = (struct gcs_request){0};
        for (size_t i = 0; i < 3; i++)
                p->streams[i] = (struct stream){.process = p, .fd = -1};
        struct process **at = &agent->processes;
        while (*at)
                at = &(*at)->next;
        *at = p;
        struct error e = {0};
        int r = dial_streams(p, &e);
        if (r < 0)
                refuse(p, r, &e);
        else
                advance(p);
}

/* The other requests */

static void not_found(struct agent *agent, const struct ticket *ticket, uint32_t pid) {
        char text[64];
        snprintf(text, sizeof text, "process %u does not run", pid);
        agent_answer(agent, ticket, HR_NOT_FOUND, text, 0);
}

static void on_wait_timeout(void *ctx) {
        struct waiter *w = ctx;
        struct agent *agent = w->process->agent;
        agent_answer(agent, &w->ticket, HCS_E_CONNECTION_TIMEOUT, "the process still runs", 0);
        free_waiter(agent, w);
}

void agent_wait(
        struct agent *agent, const struct ticket *ticket, uint32_t pid, uint32_t timeout_ms) {
        struct process *p = agent->processes;
        while (p && ((uint32_t)p->pid != pid || p->state < PROCESS_RUNNING))
                p = p->next;
        if (!p) {
                not_found(agent, ticket, pid);
                return;
        }
        if (p->state == PROCESS_EXITED) {
                agent_answer(agent, ticket, S_OK, NULL, p->exit_code);
                free_process(p);
                return;
        }
        unsigned n = 0;
        for (struct waiter *w = agent->waiters; w; w = w->next)
                n++;
        struct waiter *w = n < AGENT_WAITERS_MAX ? alloc(sizeof *w) : NULL;
        if (!w || (timeout_ms != GCS_INFINITE &&
                          io_timer_new(agent->loop, on_wait_timeout, w, &w->timer) < 0)) {
                free(w);
                agent_answer(agent, ticket, HR_OUTOFMEMORY,
                        "no memory, or 1024 requests wait for processes already", 0);
                return;
        }
        p->claimed = true;
        w->process = p;
        w->ticket = *ticket;
        w->next = agent->waiters;
        agent->waiters = w;
        if (w->timer)
                io_timer_arm(w->timer, timeout_ms * CLOCK_NS_PER_MS, 0);
}

/* Answers by errno. */
static void answer_errno(
        struct agent *agent, const struct ticket *ticket, int r, const char *what) {
        char text[128];
        snprintf(text, sizeof text, "%s: %s", what, strerror(-r));
        agent_answer(agent, ticket, r < 0 ? error_hresult(r) : S_OK, text, 0);
}

void agent_signal(struct agent *agent, const struct ticket *ticket, uint32_t pid, int32_t signal) {
        struct process *p = find_running(agent, pid);
        if (!p) {
                not_found(agent, ticket, pid);
                return;
        }
        int r = kill(-p->pid, signal) < 0 ? -errno : 0;
        if (r == -ESRCH)
                not_found(agent, ticket, pid);
        else
                answer_errno(agent, ticket, r, "cannot send the signal");
}

void agent_resize(struct agent *agent, const struct ticket *ticket, uint32_t pid, uint16_t rows,
        uint16_t columns) {
        struct process *p = find_running(agent, pid);
        if (!p) {
                not_found(agent, ticket, pid);
                return;
        }
        if (!p->terminal) {
                agent_answer(agent, ticket, HCS_E_INVALID_STATE, "the process has no terminal", 0);
                return;
        }
        int r = agent_pty_resize(agent_relay_master(p->terminal->relay), rows, columns);
        answer_errno(agent, ticket, r, "cannot resize the terminal");
}

void agent_processes_unbridge(struct agent *agent) {
        while (agent->waiters)
                free_waiter(agent, agent->waiters);
        for (struct process *p = agent->processes, *next; p; p = next) {
                next = p->next;
                if (p->claimed)
                        continue;
                abandon(p);
                free_process(p);
        }
}

void agent_processes_free(struct agent *agent) {
        while (agent->waiters)
                free_waiter(agent, agent->waiters);
        while (agent->processes)
                free_process(agent->processes);
        while (agent->terminals)
                on_terminal_ended(agent->terminals);
}
