// SPDX-License-Identifier: MIT
#include "vmwp/worker.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/ipc.h"
#include "jail/jail.h"
#include "vmwp/machine.h"
#include "wire/hresult.h"

enum { WORKER_REQUESTS_MAX = 1024, WORKER_DRAIN_MS = 2000 };

struct worker {
        struct io_loop *loop;
        struct io_chan *chan;
        struct ipc_order order;
        struct machine *machine;

        int kvm_fd;
        struct error no_hardware;    /* nothing but VT-x or AMD-V is missing */
        struct error birth;          /* why there can be no machine */
        char missing[JAIL_TEXT_MAX]; /* what the host refused the jail */
        struct io_timer *connect_timer;

        bool guest_connection; /* START waits for the agent */
        uint32_t connect_timeout_ms;
        bool started, restored;
        uint32_t start_id; /* a START that waits, or 0 */
        bool terminating;
        size_t requests; /* answers that a callback owes */
        uint64_t started_at_ns;
        int status;
};

/* A request whose answer comes later. */
struct request {
        struct worker *worker;
        uint32_t id;
        bool is_process;
        int stream;     /* HVSOCKET_DIAL: the hvsocket's */
        char *greeting; /* written to it when it is connected, or NULL */
};

/* ---- to the daemon ---- */

static void worker_send(struct worker *w, const struct ipc_message *m) {
        if (!w->chan)
                return;
        int r = ipc_send(w->chan, m, NULL, 0);
        if (r < 0) {
                log_error("message %d to the daemon: %s", m->type, strerrordesc_np(-r));
                io_loop_stop(w->loop);
        }
}

static void set_text(struct ipc_message *m, const char *text) {
        snprintf(m->text, sizeof m->text, "%s", text);
}

static void answer(
        struct worker *w, uint32_t id, uint32_t hresult, const char *text, uint32_t pid) {
        struct ipc_message m = {.type = IPC_DONE, .id = id, .hresult = hresult, .pid = pid};
        set_text(&m, text);
        worker_send(w, &m);
}

static void answer_error(struct worker *w, uint32_t id, const struct error *e) {
        answer(w, id, e->hresult ? e->hresult : E_FAIL, e->text, 0);
}

static void notice(struct worker *w, const char *text) {
        struct ipc_message m = {.type = IPC_NOTICE};
        set_text(&m, text);
        worker_send(w, &m);
}

static enum ipc_exit_type exit_type(enum ipc_exit_cause cause) {
        switch (cause) {
        case IPC_CAUSE_POWER_OFF:
        case IPC_CAUSE_RESET:
                return IPC_EXIT_GRACEFUL;
        case IPC_CAUSE_TERMINATE:
                return IPC_EXIT_FORCED;
        default:
                return IPC_EXIT_UNEXPECTED;
        }
}

/* EXITED is the last message; the loop ends when it is on its way. */
static void worker_exited(struct worker *w, enum ipc_exit_cause cause, uint32_t status,
        const char *text, const struct vmm_event *crash) {
        if (w->start_id) {
                answer(w, w->start_id, HCS_E_TERMINATED_DURING_START, text, 0);
                w->start_id = 0;
        }
        struct ipc_message m = {.type = IPC_EXITED,
                .exit = {.type = exit_type(cause), .cause = cause, .status = status}};
        set_text(&m, text);
        if (crash) {
                m.exit.crashed = true;
                memcpy(m.exit.crash, crash->crash, sizeof m.exit.crash);
        }
        worker_send(w, &m);
        io_loop_stop(w->loop);
}

/* ---- from the machine ---- */

static void on_guest_connected(void *ctx, uint32_t protocol) {
        struct worker *w = ctx;
        struct ipc_message m = {.type = IPC_GUEST_CONNECTION,
                .connection = {.connected = true, .protocol = protocol}};
        worker_send(w, &m);
        io_timer_disarm(w->connect_timer);
        if (w->start_id) {
                answer(w, w->start_id, S_OK, "", 0);
                w->start_id = 0;
        }
}

static void on_guest_closed(void *ctx) {
        struct worker *w = ctx;
        struct ipc_message m = {.type = IPC_GUEST_CONNECTION};
        worker_send(w, &m);
}

static void on_process_exited(void *ctx, uint32_t pid, int32_t code) {
        struct worker *w = ctx;
        struct ipc_message m = {
                .type = IPC_PROCESS_EXITED, .pid = pid, .process_exit = {.code = code}};
        worker_send(w, &m);
}

static void report_crash(struct worker *w, const struct vmm_event *event) {
        struct ipc_message m = {.type = IPC_CRASH_REPORT, .crash = {.log = event->text}};
        memcpy(m.crash.parameters, event->crash, sizeof m.crash.parameters);
        worker_send(w, &m);
}

static void on_stopped(void *ctx, enum machine_stop why, const struct vmm_event *event) {
        struct worker *w = ctx;
        switch (why) {
        case MACHINE_POWERED_OFF:
                worker_exited(w, IPC_CAUSE_POWER_OFF, S_OK, "the guest powered off", NULL);
                return;
        case MACHINE_RESET:
                if (event->type == VMM_EVENT_TRIPLE_FAULT)
                        worker_exited(w, IPC_CAUSE_TRIPLE_FAULT, HCS_E_UNEXPECTED_EXIT,
                                "a virtual processor shut down (triple fault)", NULL);
                else
                        worker_exited(w, IPC_CAUSE_RESET, S_OK, "the guest restarted", NULL);
                return;
        case MACHINE_CRASHED:
                report_crash(w, event);
                worker_exited(w, IPC_CAUSE_GUEST_CRASH, HCS_E_UNEXPECTED_EXIT,
                        "the guest's kernel crashed", event);
                return;
        case MACHINE_FAILED:
                worker_exited(w, IPC_CAUSE_INTERNAL, HCS_E_UNEXPECTED_EXIT, event->text, NULL);
                return;
        }
}

static void on_restarted(void *ctx) {
        notice(ctx, "the machine restarted");
}

static void on_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        struct worker *w = ctx;
        struct ipc_message m = {.type = IPC_HVSOCKET_ASK,
                .hvsocket = {.token = token, .service = *service, .endpoint = *endpoint}};
        worker_send(w, &m);
}

static const struct machine_ops machine_callbacks = {
        .guest_connected = on_guest_connected,
        .guest_closed = on_guest_closed,
        .process_exited = on_process_exited,
        .stopped = on_stopped,
        .restarted = on_restarted,
        .asked = on_asked,
};

/* The agent did not come in time. What the guest last said on its console is the best hint. */
static void on_connect_timeout(void *ctx) {
        struct worker *w = ctx;
        if (!w->start_id)
                return;
        const char *tail = machine_console_tail(w->machine);
        size_t n = strlen(tail), keep = n < 400 ? n : 400;
        char text[ERROR_TEXT_MAX];
        snprintf(text, sizeof text,
                "the guest's agent did not connect within %u s; the guest's console ends with: %s",
                w->connect_timeout_ms / 1000, n ? tail + n - keep : "(nothing)");
        answer(w, w->start_id, HR_TIMEOUT, text, 0);
        w->start_id = 0;
        worker_exited(w, IPC_CAUSE_START, HR_TIMEOUT, text, NULL);
}

/* ---- requests ---- */

static struct request *request_new(struct worker *w, uint32_t id) {
        struct request *q = w->requests < WORKER_REQUESTS_MAX ? calloc(1, sizeof *q) : NULL;
        if (!q) {
                answer(w, id, HR_OUTOFMEMORY, "too many requests at once", 0);
                return NULL;
        }
        *q = (struct request){.worker = w, .id = id};
        w->requests++;
        return q;
}

static void request_done(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        struct request *q = ctx;
        q->worker->requests--;
        answer(q->worker, q->id, hresult, text ? text : "", pid);
        free(q);
}

/* No byte of the guest has moved yet, and the stream is still there. */
static void request_dialled(void *ctx, int r) {
        struct request *q = ctx;
        if (r == 0 && q->greeting)
                (void)!send(
                        q->stream, q->greeting, strlen(q->greeting), MSG_DONTWAIT | MSG_NOSIGNAL);
        free(q->greeting);
        request_done(q, error_hresult(r), r < 0 ? strerrordesc_np(-r) : "", 0);
}

static int do_start(struct worker *w, const struct ipc_message *m) {
        struct error e = {0};
        if (w->started) {
                answer(w, m->id, HCS_E_INVALID_STATE, "the machine was started before", 0);
                return 0;
        }
        w->started = true;
        w->started_at_ns = clock_now_ns();
        if (w->guest_connection) {
                w->start_id = m->id;
                io_timer_arm(w->connect_timer, w->connect_timeout_ms * CLOCK_NS_PER_MS, 0);
        }
        int r = 0;
        if (w->restored)
                machine_resume(w->machine);
        else
                r = machine_start(w->machine, &e);
        if (r < 0) {
                w->start_id = 0;
                answer_error(w, m->id, &e);
        } else if (!w->guest_connection) {
                answer(w, m->id, S_OK, "", 0);
        }
        return 0;
}

static void do_create_process(struct worker *w, const struct ipc_message *m, int *fds) {
        struct gcs_process p = {
                .argv = m->process.argv,
                .command_line = m->process.command_line,
                .env = m->process.env,
                .cwd = m->process.cwd,
                .user = m->process.user,
                .console = m->process.console,
                .rows = m->process.rows,
                .columns = m->process.columns,
                .stdio = {-1, -1, -1},
        };
        size_t next = 0;
        const bool want[3] = {
                m->process.want_stdin, m->process.want_stdout, m->process.want_stderr};
        for (int i = 0; i < 3; i++)
                if (want[i])
                        p.stdio[i] = TAKE_FD(fds[next++]);
        struct request *q = request_new(w, m->id);
        if (q) {
                gcs_create_process(machine_gcs(w->machine), &p, request_done, q);
                return;
        }
        for (int i = 0; i < 3; i++)
                fd_close(p.stdio[i]);
}

static void do_statistics(struct worker *w, const struct ipc_message *m) {
        struct rusage usage;
        struct stat st = {0};
        struct gmem *gm = vmm_gmem(machine_vmm(w->machine));
        getrusage(RUSAGE_SELF, &usage);
        (void)fstat(gmem_fd(gm), &st);
        uint64_t cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                          (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        struct ipc_message reply = {.type = IPC_STATISTICS_REPLY,
                .id = m->id,
                .statistics = {
                        .uptime_100ns = w->started ? (clock_now_ns() - w->started_at_ns) / 100 : 0,
                        .vp_runtime_100ns = cpu_us * 10,
                        .memory_assigned = gmem_size(gm),
                        .memory_resident = (uint64_t)st.st_blocks * 512,
                        .vmbus_version = vmbus_version(machine_vmbus(w->machine)),
                        .dropped_messages = vmbus_ignored(machine_vmbus(w->machine)),
                }};
        worker_send(w, &reply);
}

static void do_save(struct worker *w, const struct ipc_message *m, int fd) {
        struct error e = {0};
        if (machine_save(w->machine, fd, &e) < 0)
                answer_error(w, m->id, &e);
        else
                answer(w, m->id, S_OK, "", 0);
}

static struct hvsocket_rule *rules_of(const struct ipc_service *services, size_t n) {
        struct hvsocket_rule *rules = calloc(n ? n : 1, sizeof *rules);
        for (size_t i = 0; rules && i < n; i++)
                rules[i] = (struct hvsocket_rule){.service = services[i].service,
                        .allow_bind = services[i].allow_bind,
                        .allow_connect = services[i].allow_connect};
        return rules;
}

static void do_hvsocket_dial(struct worker *w, const struct ipc_message *m, int *fd) {
        struct request *q = request_new(w, m->id);
        if (!q)
                return;
        q->stream = *fd;
        if (m->text[0] && !(q->greeting = strdup(m->text)))
                request_dialled(q, -ENOMEM);
        else
                hvsocket_dial(machine_hvsocket(w->machine), &m->hvsocket.service, TAKE_FD(*fd),
                        m->hvsocket.timeout_ms, request_dialled, q);
}

static void do_hvsocket_table(struct worker *w, const struct ipc_message *m) {
        _cleanup_free_ struct hvsocket_rule *rules =
                rules_of(m->table.services, m->table.n_services);
        int r = !rules ? -ENOMEM
                       : hvsocket_set_table(machine_hvsocket(w->machine), rules,
                                 m->table.n_services, m->table.default_bind,
                                 m->table.default_connect);
        answer(w, m->id, error_hresult(r), r < 0 ? strerrordesc_np(-r) : "", 0);
}

static int worker_configure(struct worker *w, const struct ipc_message *m, int *fds, size_t n_fds);

/* A request to a machine that is there. */
static void worker_request(struct worker *w, const struct ipc_message *m, int *fds) {
        struct request *q;
        struct gcs *gcs = machine_gcs(w->machine);
        switch (m->type) {
        case IPC_PAUSE:
                machine_pause(w->machine);
                answer(w, m->id, S_OK, "", 0);
                break;
        case IPC_RESUME:
                machine_resume(w->machine);
                answer(w, m->id, S_OK, "", 0);
                break;
        case IPC_SHUTDOWN:
                if ((q = request_new(w, m->id)))
                        machine_shutdown(
                                w->machine, m->shutdown.force, m->shutdown.reboot, request_done, q);
                break;
        case IPC_CREATE_PROCESS:
                do_create_process(w, m, fds);
                break;
        case IPC_SIGNAL_PROCESS:
                if ((q = request_new(w, m->id)))
                        gcs_signal_process(gcs, m->pid, m->signal.signal, request_done, q);
                break;
        case IPC_RESIZE_CONSOLE:
                if ((q = request_new(w, m->id)))
                        gcs_resize_console(
                                gcs, m->pid, m->console.rows, m->console.columns, request_done, q);
                break;
        case IPC_STATISTICS:
                do_statistics(w, m);
                break;
        case IPC_SAVE:
                do_save(w, m, fds[0]);
                break;
        case IPC_HVSOCKET_DIAL:
                do_hvsocket_dial(w, m, &fds[0]);
                break;
        case IPC_HVSOCKET_ANSWER:
                machine_hvsocket_answer(
                        w->machine, m->hvsocket.token, m->hresult ? -1 : TAKE_FD(fds[0]));
                break;
        case IPC_HVSOCKET_TABLE:
                do_hvsocket_table(w, m);
                break;
        case IPC_CRASH:
                machine_nmi(w->machine);
                answer(w, m->id, S_OK, "", 0);
                break;
        default:
                break;
        }
}

static int on_message(void *ctx, const void *data, size_t size, int *fds, size_t n_fds) {
        struct worker *w = ctx;
        struct ipc_message m;
        int r = ipc_decode(IPC_WORKER, data, size, n_fds, &m);
        if (r == 0) {
                r = ipc_order_check(&w->order, &m);
                if (r < 0) {
                        /* nothing was done */
                } else if (m.type == IPC_CONFIG) {
                        r = worker_configure(w, &m, fds, n_fds);
                } else if (m.type == IPC_TERMINATE) {
                        machine_pause(w->machine);
                        worker_exited(w, IPC_CAUSE_TERMINATE, HCS_E_TERMINATED, "terminated", NULL);
                } else if (m.type == IPC_START) {
                        r = do_start(w, &m);
                } else {
                        worker_request(w, &m, fds);
                }
                ipc_message_done(&m);
        }
        for (size_t i = 0; i < n_fds; i++)
                fd_close(fds[i]);
        return r;
}

static void on_closed(void *ctx, int r) {
        struct worker *w = ctx;
        if (r < 0) {
                log_error("the channel to the daemon failed: %s", strerrordesc_np(-r));
                w->status = 1;
        }
        w->chan = io_chan_free(w->chan);
        io_loop_stop(w->loop);
}

static const struct io_chan_ops chan_ops = {.message = on_message, .closed = on_closed};

/* ---- configuration ---- */

static int make_machine(struct worker *w, const struct ipc_config *c, const int *fds, size_t n_fds,
        struct error *e) {
        _cleanup_free_ struct hvsocket_rule *rules = rules_of(c->services, c->n_services);
        if (!rules)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        struct machine_config config = {
                .kvm_fd = w->kvm_fd,
                .kernel_fd = fds[0],
                .initrd_fd = c->has_initrd ? fds[1] : -1,
                .vps = c->vps,
                .memory = c->memory,
                .cmdline = c->cmdline,
                .stop_on_reset = c->stop_on_reset,
                .rules = rules,
                .n_rules = c->n_services,
                .default_bind = c->hvsocket_default_bind,
                .default_connect = c->hvsocket_default_connect,
        };
        int r = machine_new(w->loop, &config, &machine_callbacks, w, e, &w->machine);
        if (r == 0 && c->restore) {
                r = machine_restore(w->machine, fds[n_fds - 1], e);
                w->restored = r == 0;
        }
        return r;
}

static int worker_configure(struct worker *w, const struct ipc_message *m, int *fds, size_t n_fds) {
        char name[64];
        snprintf(name, sizeof name, "vmwp[%.40s]", m->config.id);
        log_setup(name, log_enabled(LOG_DEBUG) ? LOG_DEBUG : LOG_INFO);
        if (w->missing[0])
                log_info("the jail is without: %s", w->missing);
        w->guest_connection = m->config.guest_connection;
        w->connect_timeout_ms = m->config.connect_timeout_ms;
        struct error e = w->birth;
        if (e.hresult == 0 && w->no_hardware.hresult && vmm_kernel_needs_hardware(fds[0]))
                e = w->no_hardware;
        if (e.hresult == 0)
                (void)make_machine(w, &m->config, fds, n_fds, &e);
        if (e.hresult) {
                answer_error(w, m->id, &e);
                io_loop_stop(w->loop);
                return 0;
        }
        /* The machine keeps using them until it is freed, which is when this process ends. */
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = -1;
        answer(w, m->id, S_OK, "", 0);
        return 0;
}

/* ---- life ---- */

/* The only things that need rights of the user: /dev/kvm is opened, then the door is shut. What
 * fails here is told when the daemon asks for a machine. */
static void worker_birth(struct worker *w, int channel_fd) {
        w->kvm_fd = -1;
        if (fd_raise_limit() < 0)
                log_warning(
                        "the limit on descriptors stays as it is: a guest may open fewer channels");
        int r = vmm_open_kvm(true, &w->birth, &w->kvm_fd);
        if (r < 0 && w->birth.hresult == HR_NO_HYPERVISOR) {
                w->no_hardware = w->birth;
                w->birth = (struct error){0};
                r = vmm_open_kvm(false, &w->birth, &w->kvm_fd);
        }
        const int fds[] = {channel_fd, w->kvm_fd};
        struct jail_profile profile = {.fds = fds, .n_fds = w->kvm_fd >= 0 ? 2 : 1};
        struct error e = {0};
        if (jail_enter(&profile, w->missing, &e) < 0) {
                error_prefix(&e, 0, "the worker's jail");
                w->birth = e;
        }
}

/* Lets EXITED and the last answers reach a daemon that is slow. */
static void worker_drain(struct worker *w) {
        uint64_t until = clock_now_ns() + WORKER_DRAIN_MS * CLOCK_NS_PER_MS;
        while (w->chan && !io_chan_idle(w->chan) && clock_now_ns() < until)
                if (io_loop_once(w->loop, 10) < 0)
                        return;
}

int worker_run(int channel_fd_consume) {
        struct worker w = {0};
        worker_birth(&w, channel_fd_consume);
        int r = io_loop_new(&w.loop);
        if (r == 0)
                r = io_timer_new(w.loop, on_connect_timeout, &w, &w.connect_timer);
        if (r == 0)
                r = io_chan_new(w.loop, channel_fd_consume, &chan_ops, &w, &w.chan);
        if (r == 0)
                r = io_loop_run(w.loop);
        if (r < 0) {
                log_error("the worker's loop: %s", strerrordesc_np(-r));
                w.status = 1;
        }
        w.machine = machine_free(w.machine);
        worker_drain(&w);
        io_chan_free(w.chan);
        io_timer_free(w.connect_timer);
        io_loop_free(w.loop);
        fd_close(w.kvm_fd);
        return w.status;
}
