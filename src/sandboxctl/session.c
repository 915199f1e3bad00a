// SPDX-License-Identifier: MIT
#include "sandboxctl/session.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/guid.h"
#include "base/log.h"
#include "client/client.h"
#include "sandboxctl/relay.h"
#include "sandboxctl/terminal.h"
#include "wire/hresult.h"

enum { STDIN, STDOUT, STDERR, STREAMS };

struct session {
        const struct session_options *options;
        struct io_loop *loop;
        struct client *client;
        uint64_t system, process; /* handles */

        int signal_fd;
        struct io_source *signals;

        int fds[STREAMS]; /* the process's streams, -1 when done */
        struct relay *relays[STREAMS];
        bool exited, finished; /* the status is known; nothing more to wait for */
        int status;
        struct error *e;
        int r;
};

/* ---- endings ---- */

static void session_stop(struct session *s, int r) {
        if (!s->finished)
                s->r = r;
        s->finished = true;
        io_loop_stop(s->loop);
}

/* Everything that the process wrote is shown before its status counts. */
static void session_settle(struct session *s) {
        if (s->exited && !s->relays[STDOUT] && !s->relays[STDERR])
                session_stop(s, 0);
}

static void session_gone(struct session *s, uint32_t hresult, const char *text) {
        error_set(s->e, -ECONNRESET, hresult ? hresult : HCS_E_TERMINATED, "the sandbox ended: %s",
                text);
        session_stop(s, -ECONNRESET);
}

/* ---- streams ---- */

static void stream_done(struct session *s, int i) {
        s->relays[i] = relay_free(s->relays[i]);
        s->fds[i] = fd_close(s->fds[i]);
        session_settle(s);
}

static void on_stdin_done(void *ctx, int r _unused_) {
        stream_done(ctx, STDIN);
}

/* Output that cannot be written (a closed pipe) ends us like any other program in a pipeline. */
static void on_output_done(struct session *s, int i, int r) {
        if (r == -EPIPE) {
                error_set(s->e, r, 0, "nobody reads the output any more");
                session_stop(s, r);
        }
        stream_done(s, i);
}

static void on_stdout_done(void *ctx, int r) {
        on_output_done(ctx, STDOUT, r);
}

static void on_stderr_done(void *ctx, int r) {
        on_output_done(ctx, STDERR, r);
}

static int start_streams(struct session *s) {
        static const relay_done_fn done[STREAMS] = {on_stdin_done, on_stdout_done, on_stderr_done};
        for (int i = 0; i < STREAMS; i++) {
                if (s->fds[i] < 0)
                        continue;
                int from = i == STDIN ? i : s->fds[i], to = i == STDIN ? s->fds[i] : i;
                int r = fd_set_nonblock(s->fds[i], true);
                if (r == 0)
                        r = relay_new(s->loop, from, to, done[i], s, &s->relays[i]);
                if (r < 0)
                        return error_set(s->e, r, 0, "relaying the process's streams: %s",
                                strerrordesc_np(-r));
        }
        return 0;
}

/* ---- signals ---- */

static void ignore_reply(void *ctx _unused_, const struct client_reply *reply) {
        for (size_t i = 0; i < reply->n_fds; i++)
                fd_close(reply->fds[i]);
}

static void console_resized(struct session *s) {
        uint16_t rows, columns;
        if (!s->process || !s->options->console)
                return;
        terminal_size(&rows, &columns);
        struct json *size = json_new_object(), *settings = json_new_object(),
                    *params = json_new_object();
        json_set_u64(size, "Height", rows);
        json_set_u64(size, "Width", columns);
        json_set_string(settings, "Operation", "ConsoleSize");
        json_set(settings, "ConsoleSize", size);
        json_set_u64(params, "process", s->process);
        json_set(params, "settings", settings);
        /* A window that did not follow is no reason to end anything. */
        (void)!client_call(s->client, "HcsModifyProcess", params, ignore_reply, s);
}

static void on_signal(void *ctx, unsigned events _unused_) {
        struct session *s = ctx;
        struct signalfd_siginfo info;
        if (read(s->signal_fd, &info, sizeof info) != sizeof info)
                return;
        if (info.ssi_signo == SIGWINCH) {
                console_resized(s);
                return;
        }
        /* Closing the connection takes the sandbox down; a private daemon is waited for. */
        terminal_restore();
        client_free(s->client);
        exit(128 + (int)info.ssi_signo);
}

static int watch_signals(struct session *s) {
        sigset_t set;
        sigemptyset(&set);
        static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                sigaddset(&set, wanted[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (s->signal_fd < 0)
                return -errno;
        return io_source_new(s->loop, s->signal_fd, IO_READ, on_signal, s, &s->signals);
}

/* ---- calls ---- */

static struct json *with_handle(const char *name, uint64_t handle) {
        struct json *params = json_new_object();
        json_set_u64(params, name, handle);
        return params;
}

static int create_system(struct session *s) {
        struct guid id;
        char text[GUID_TEXT_SIZE];
        guid_random(&id);
        guid_format(&id, text);
        struct json *params = json_new_object();
        json_set_string(params, "id", text);
        json_set(params, "configuration", json_ref(s->options->document));
        _cleanup_(json_unrefp) struct json *result = NULL;
        int r = client_call_wait(s->client, "HcsCreateComputeSystem", params, -1, s->e, &result);
        if (r < 0)
                return r;
        s->system = json_get_u64(result, "computeSystem", 0);
        r = client_call_wait(s->client, "HcsSetComputeSystemCallback",
                with_handle("computeSystem", s->system), -1, s->e, NULL);
        if (r < 0)
                return r;
        return client_call_wait(s->client, "HcsStartComputeSystem",
                with_handle("computeSystem", s->system), -1, s->e, NULL);
}

static struct json *process_parameters(const struct session_options *options) {
        struct json *p = json_new_object();
        if (options->argv) {
                struct json *args = json_new_array();
                for (const char *const *arg = options->argv; *arg; arg++)
                        json_add(args, json_new_string(*arg));
                json_set(p, "CommandArgs", args);
        } else {
                json_set_string(p, "CommandLine", options->command_line);
        }
        json_set_bool(p, "CreateStdInPipe", true);
        json_set_bool(p, "CreateStdOutPipe", true);
        json_set_bool(p, "CreateStdErrPipe", !options->console);
        if (options->console) {
                uint16_t rows, columns;
                const char *term = getenv("TERM");
                struct json *size = json_new_array(), *env = json_new_object();
                terminal_size(&rows, &columns);
                json_add(size, json_new_u64(rows));
                json_add(size, json_new_u64(columns));
                json_set(p, "ConsoleSize", size);
                json_set_bool(p, "EmulateConsole", true);
                json_set_string(env, "TERM", term ? term : "linux");
                json_set(p, "Environment", env);
        }
        return p;
}

static int create_process(struct session *s) {
        struct json *params = with_handle("computeSystem", s->system);
        json_set(params, "processParameters", process_parameters(s->options));
        _cleanup_(json_unrefp) struct json *result = NULL;
        int fds[CLIENT_FDS_MAX];
        size_t n_fds = 0;
        int r = client_call_wait_fds(
                s->client, "HcsCreateProcess", params, s->e, &result, fds, &n_fds);
        if (r < 0)
                return r;
        s->process = json_get_u64(result, "process", 0);
        size_t want = s->options->console ? 2 : 3;
        for (size_t i = 0; i < n_fds; i++) {
                if (i < want)
                        s->fds[i] = fds[i];
                else
                        fd_close(fds[i]);
        }
        if (n_fds != want)
                return error_set(s->e, -EPROTO, HCS_E_PROTOCOL_ERROR,
                        "the daemon sent %zu streams instead of %zu", n_fds, want);
        return 0;
}

static void on_exit_status(void *ctx, const struct client_reply *reply) {
        struct session *s = ctx;
        ignore_reply(NULL, reply);
        if (reply->r < 0) {
                session_gone(s, reply->e->hresult, reply->e->text);
                return;
        }
        const struct json *status = json_get(reply->result, "result");
        /* A process that was lost with its machine has no status; the machine's end tells why. */
        if (!json_get_bool(status, "Exited", false) ||
                json_get_i64(status, "LastWaitResult", 0) != 0)
                return;
        s->status = (int)(json_get_i64(status, "ExitCode", EXIT_FAILURE) & 0xff);
        s->exited = true;
        session_settle(s);
}

static void on_event(void *ctx, const char *method _unused_, const struct json *params) {
        struct session *s = ctx;
        const char *type = json_get_string(params, "Type", "");
        const struct json *data = json_get(params, "EventData");
        if (strcmp(type, "SystemCrashReport") == 0)
                fprintf(stderr, "sandboxctl: the guest's kernel crashed; it said:\n%s\n",
                        json_get_string(data, "CrashLog", "(nothing)"));
        if (strcmp(type, "SystemExited") == 0 && !s->exited)
                session_gone(s, (uint32_t)json_get_i64(data, "Status", 0),
                        json_get_string(params, "Message", "it did not say why"));
}

static void on_closed(void *ctx, int r) {
        struct session *s = ctx;
        session_gone(s, HCS_E_SERVICE_DISCONNECT,
                r < 0 ? strerrordesc_np(-r) : "vmcomputed closed the connection");
}

/* ---- life ---- */

static int session_steps(struct session *s) {
        static const struct client_ops ops = {.event = on_event, .closed = on_closed};
        struct client_options options;
        int r = watch_signals(s);
        if (r < 0)
                return error_set(s->e, r, 0, "watching for signals: %s", strerrordesc_np(-r));
        client_options_init(&options, CLIENT_RUN);
        options.verbose = log_enabled(LOG_DEBUG);
        if (s->options->socket)
                options.socket = s->options->socket;
        r = client_connect(s->loop, &options, &ops, s, s->e, &s->client);
        if (r == 0)
                r = create_system(s);
        if (r == 0)
                r = create_process(s);
        if (r == 0)
                r = client_call(s->client, "HcsWaitForProcessExit",
                        with_handle("process", s->process), on_exit_status, s);
        if (r == 0 && s->options->console)
                r = terminal_raw();
        if (r == 0)
                r = start_streams(s);
        if (r == 0)
                r = io_loop_run(s->loop);
        if (r < 0)
                return error_set(s->e, r, 0, "%s", strerrordesc_np(-r));
        return s->r;
}

int session_run(const struct session_options *options, struct error *e) {
        struct session s = {.options = options, .signal_fd = -1, .fds = {-1, -1, -1}, .e = e};
        int r = io_loop_new(&s.loop);
        if (r < 0)
                return error_set(e, r, 0, "%s", strerrordesc_np(-r));
        r = session_steps(&s);
        terminal_restore();
        s.client = client_free(s.client);
        for (int i = 0; i < STREAMS; i++) {
                relay_free(s.relays[i]);
                fd_close(s.fds[i]);
        }
        io_source_free(s.signals);
        fd_close(s.signal_fd);
        io_loop_free(s.loop);
        return r < 0 ? r : s.status;
}
