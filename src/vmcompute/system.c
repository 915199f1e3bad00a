// SPDX-License-Identifier: MIT
#include "vmcompute/system.h"
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmcompute/server.h"
#include "wire/hresult.h"

enum { DEFAULT_PROCESSORS = 2 };

struct system *system_find(struct vmcompute *vc, const struct conn *conn, const char *id) {
        struct system *found = NULL;
        for (struct system *s = vc->systems; s; s = s->next) {
                if (s->state == SYSTEM_CREATING || strcasecmp(s->id, id) != 0 ||
                        !conn_may_use(conn, s))
                        continue;
                /* Ids are one user's own; root's view prefers root's. */
                if (!found || s->owner.uid == conn->who.uid)
                        found = s;
        }
        return found;
}

const char *system_state_name(const struct system *s) {
        switch (s->state) {
        case SYSTEM_CREATING:
        case SYSTEM_CREATED:
                return "Created";
        case SYSTEM_RUNNING:
                return "Running";
        case SYSTEM_PAUSED:
                return "Paused";
        case SYSTEM_STOPPED:
                return "Stopped";
        }
        return "Unknown";
}

/* Handles */

static bool has_process_handles(const struct system *s) {
        for (const struct process *p = s->processes; p; p = p->next)
                if (p->handles)
                        return true;
        return false;
}

void system_settle(struct system *s) {
        struct vmcompute *vc = s->vc;
        if (s->state == SYSTEM_STOPPED && s->handles == 0 && !has_process_handles(s))
                system_free(s);
        vmcompute_settle(vc);
}

void system_ref_handle(struct system *s) {
        s->handles++;
}

void system_unref_handle(struct system *s) {
        s->handles--;
        if (s->handles == 0 && s->state != SYSTEM_STOPPED &&
                s->document->terminate_on_last_handle_closed)
                system_terminate(s);
        system_settle(s);
}

/* Creating: the files are opened by a child, the worker is started and configured, and only then
 * does anybody see the system. Whatever fails takes all before it down. */

static void on_worker_message(void *ctx, const struct ipc_message *m) {
        struct system *s = ctx;
        switch (m->type) {
        case IPC_DONE:
                system_done(s, m);
                break;
        case IPC_STATISTICS_REPLY:
                system_statistics(s, m);
                break;
        case IPC_EXITED:
                system_exited(s, m);
                break;
        case IPC_PROCESS_EXITED:
                process_exited(s, m->pid, m->process_exit.code);
                break;
        case IPC_GUEST_CONNECTION:
                if (s->guest_connected && !m->connection.connected)
                        conn_send_event(s->vc, s, NULL, "SystemGuestConnectionClosed", NULL, NULL);
                s->guest_connected = m->connection.connected;
                s->guest_protocol = m->connection.protocol;
                break;
        case IPC_CRASH_REPORT:
                system_crash_report(s, m);
                break;
        case IPC_HVSOCKET_ASK:
                system_asked(s, m);
                break;
        case IPC_NOTICE:
                /* Each restart of the guest is one. */
                if (log_enabled(LOG_DEBUG) || log_allow(&s->notices))
                        log_info("system \"%s\": %s", s->id, m->text);
                memcpy(s->last_notice, m->text, sizeof s->last_notice);
                break;
        default:
                break;
        }
}

static void on_worker_ended(void *ctx, _unused_ bool orderly, const char *cause) {
        system_ended(ctx, cause);
}

static const struct worker_ops worker_callbacks = {
        .message = on_worker_message,
        .ended = on_worker_ended,
};

static void create_failed(struct system *s, const struct error *e) {
        call_fail(TAKE_PTR(s->create_call), e);
        struct vmcompute *vc = s->vc;
        system_free(s);
        vmcompute_settle(vc);
}

static void send_config(struct system *s, struct request *q, const int *fds, size_t n_fds) {
        const struct hcs_system *d = s->document;
        struct ipc_service services[HCS_SERVICES_MAX];
        for (size_t i = 0; i < d->n_services; i++)
                services[i] = (struct ipc_service){.service = d->services[i].id,
                        .allow_bind = d->services[i].allow_bind,
                        .allow_connect = d->services[i].allow_connect};
        struct ipc_message m = {.type = IPC_CONFIG,
                .id = q->id,
                .config = {
                        .vps = d->processors ? d->processors : DEFAULT_PROCESSORS,
                        .memory = d->memory_mib << 20,
                        .stop_on_reset = d->stop_on_reset,
                        .guest_connection = d->guest_connection,
                        .has_initrd = n_fds > 1,
                        .hvsocket_default_bind = d->default_bind,
                        .hvsocket_default_connect = d->default_connect,
                        .connect_timeout_ms = s->vc->options.connect_timeout_ms,
                        .cmdline = d->cmdline,
                        .services = services,
                        .n_services = d->n_services,
                }};
        static_assert(sizeof m.config.id == sizeof s->id, "");
        memcpy(m.config.id, s->id, sizeof s->id);
        worker_send(s->worker, &m, fds, n_fds);
}

static void on_files(void *ctx, int r, const struct error *error, int kernel_fd, int initrd_fd) {
        struct system *s = ctx;
        _cleanup_close_ int kernel = kernel_fd, initrd = initrd_fd;
        s->files = files_free(s->files);
        if (r < 0) {
                create_failed(s, error);
                return;
        }
        struct error e = {0};
        r = system_serve_hvsockets(s, &e);
        if (r < 0) {
                create_failed(s, &e);
                return;
        }
        r = worker_spawn(s->vc->loop, s->vc->options.worker, &s->owner, &worker_callbacks, s, &e,
                &s->worker);
        if (r < 0) {
                create_failed(s, &e);
                return;
        }
        /* Its call is create_call: system_request_new() cannot be refused one here. */
        struct request *q = system_request_new(s, IPC_CONFIG, NULL);
        if (!q) {
                error_set(&e, -ENOMEM, 0, "no memory to create \"%s\"", s->id);
                create_failed(s, &e);
                return;
        }
        const int fds[] = {kernel, initrd};
        send_config(s, q, fds, initrd >= 0 ? 2 : 1);
}

static int check_new(struct conn *conn, const char *id, struct error *e) {
        size_t of_uid = 0;
        if (conn->vc->stopping)
                return error_set(
                        e, -ESHUTDOWN, HCS_E_SERVICE_NOT_AVAILABLE, "vmcomputed is ending");
        if (!id[0] || strlen(id) >= VMCOMPUTE_ID_MAX)
                return error_set(e, -EINVAL, 0, "an id has 1 to %d bytes", VMCOMPUTE_ID_MAX - 1);
        for (const struct system *s = conn->vc->systems; s; s = s->next) {
                if (s->owner.uid != conn->who.uid)
                        continue;
                of_uid++;
                if (strcasecmp(s->id, id) == 0)
                        return error_set(e, -EEXIST, HCS_E_SYSTEM_ALREADY_EXISTS,
                                "there is a system \"%s\" already", id);
        }
        if (of_uid >= VMCOMPUTE_SYSTEMS_UID_MAX)
                return error_set(e, -ENOBUFS, HR_OUTOFMEMORY,
                        "user %u has %d systems already, the most that one may have", conn->who.uid,
                        VMCOMPUTE_SYSTEMS_UID_MAX);
        return 0;
}

void system_create(struct conn *conn, struct call *call, const char *id,
        struct hcs_system *document_consume, struct json *warnings_consume) {
        _cleanup_(hcs_system_freep) struct hcs_system *document = document_consume;
        _cleanup_(json_unrefp) struct json *warnings = warnings_consume;
        struct error e = {0};
        struct vmcompute *vc = conn->vc;
        if (check_new(conn, id, &e) < 0) {
                call_fail(call, &e);
                return;
        }
        struct system *s = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *s);
        if (!s) {
                call_fail_with(call, HR_OUTOFMEMORY, "no memory for a system");
                return;
        }
        s->vc = vc;
        memcpy(s->id, id, strlen(id));
        guid_random(&s->runtime_id);
        s->owner = conn->who;
        s->document = TAKE_PTR(document);
        s->warnings = TAKE_PTR(warnings);
        s->create_call = call;
        s->creator = conn;
        s->next = vc->systems;
        vc->systems = s;
        bool own = conn->who.uid == vc->uid;
        struct files_request request = {
                .owner = &s->owner,
                .kernel = s->document->kernel,
                .initrd = s->document->initrd,
                .xdg_cache_home = own ? vc->options.xdg_cache_home : NULL,
                .home = own ? vc->options.home : NULL,
        };
        if (files_open(vc->loop, &request, on_files, s, &e, &s->files) < 0)
                create_failed(s, &e);
}

void system_creator_gone(struct system *s) {
        struct error e = {.hresult = HCS_E_TERMINATED, .text = "the client is gone"};
        create_failed(s, &e);
}

void system_free(struct system *s) {
        struct system **at = &s->vc->systems;
        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        files_free(s->files);
        hvhost_free(s->hvsockets);
        worker_free(s->worker);
        while (s->requests)
                system_request_free(s, s->requests);
        process_free_all(s);
        binding_drop(s, NULL);
        hcs_system_free(s->document);
        json_unref(s->warnings);
#ifdef SANDBAR_LEAK
        (void)!eventfd(0, EFD_CLOEXEC);
#endif
        free(s);
}
