// SPDX-License-Identifier: MIT
#include "vmwp/machine.h"
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/state.h"
#include "ic/ic.h"
#include "vmwp/bus.h"
#include "wire/hresult.h"

enum {
        MACHINE_SHUTDOWN_ANSWER_MS = 5000,
        MACHINE_RESTARTS = 1 << VMM_EVENT_RESET | 1 << VMM_EVENT_TRIPLE_FAULT,
};

struct machine {
        struct io_loop *loop;
        const struct machine_ops *ops;
        void *ctx;
        bool stop_on_reset;

        struct vmm *vmm;
        struct vmbus *vmbus;
        struct hvsocket *hvsocket;
        struct ic *ic;
        struct gcs *gcs;

        bool loaded; /* started or restored: there is a guest */
        bool running, stopped;
        struct vmm_event last; /* what ended the machine */

        /* What VP threads have to say, until the loop hears it. */
        pthread_mutex_t lock;
        struct io_event *wake;
        uint32_t pending; /* a bit for each enum vmm_event_type */
        struct vmm_event events[VMM_EVENT_FAILED + 1];

        /* The end of the console's output; written by VP threads under the lock. */
        char console[MACHINE_CONSOLE_TAIL];
        size_t console_size;
        char tail[MACHINE_CONSOLE_TAIL + 1];
};

/* ---- what comes from VP threads ---- */

static uint16_t on_post_message(void *ctx, uint32_t vp _unused_, uint32_t connection_id,
        uint32_t type, const void *payload, size_t size) {
        struct machine *m = ctx;
        return bus_post_message(m->vmbus, connection_id, type, payload, size);
}

static void on_message_slot_free(void *ctx, uint32_t vp _unused_, uint8_t sint _unused_) {
        struct machine *m = ctx;
        bus_slot_free(m->vmbus);
}

static void on_vmm_event(void *ctx, const struct vmm_event *event) {
        struct machine *m = ctx;
        pthread_mutex_lock(&m->lock);
        m->events[event->type] = *event;
        m->pending |= 1u << event->type;
        pthread_mutex_unlock(&m->lock);
        io_event_set(m->wake);
}

static void on_console(void *ctx, const void *data, size_t size) {
        struct machine *m = ctx;
        const char *p = data;
        if (size > sizeof m->console) {
                p += size - sizeof m->console;
                size = sizeof m->console;
        }
        pthread_mutex_lock(&m->lock);
        size_t keep = sizeof m->console - size;
        if (m->console_size > keep) {
                memmove(m->console, m->console + m->console_size - keep, keep);
                m->console_size = keep;
        }
        memcpy(m->console + m->console_size, p, size);
        m->console_size += size;
        pthread_mutex_unlock(&m->lock);
}

static const struct vmm_ops vmm_callbacks = {
        .post_message = on_post_message,
        .message_slot_free = on_message_slot_free,
        .event = on_vmm_event,
        .console = on_console,
};

/* ---- endings and restarts, on the loop ---- */

static void machine_stop(struct machine *m, enum machine_stop why, const struct vmm_event *event) {
        if (m->stopped)
                return;
        machine_pause(m);
        m->stopped = true;
        if (event)
                m->last = *event;
        m->ops->stopped(m->ctx, why, event ? &m->last : NULL);
}

/* Everything that the old guest had is void: devices first, so that nothing reaches memory that is
 * about to be zeroed. */
static void machine_restart(struct machine *m, const struct vmm_event *event) {
        struct error e = {0};
        machine_pause(m);
        vmbus_resume(m->vmbus);
        vmbus_reset(m->vmbus);
        gcs_reset(m->gcs);
        int r = vmm_reset(m->vmm, &e);
        /* A second reason to restart died with the guest that gave it. */
        pthread_mutex_lock(&m->lock);
        m->pending = 0;
        m->console_size = 0;
        pthread_mutex_unlock(&m->lock);
        if (r == 0)
                r = machine_start(m, &e);
        if (r < 0) {
                struct vmm_event failed = *event;
                failed.type = VMM_EVENT_FAILED;
                memcpy(failed.text, e.text, sizeof e.text);
                machine_stop(m, MACHINE_FAILED, &failed);
                return;
        }
        m->ops->restarted(m->ctx);
}

static void machine_event(struct machine *m, const struct vmm_event *event) {
        switch (event->type) {
        case VMM_EVENT_CRASH:
                machine_stop(m, MACHINE_CRASHED, event);
                return;
        case VMM_EVENT_FAILED:
                machine_stop(m, MACHINE_FAILED, event);
                return;
        case VMM_EVENT_POWER_OFF:
                machine_stop(m, MACHINE_POWERED_OFF, NULL);
                return;
        case VMM_EVENT_RESET:
        case VMM_EVENT_TRIPLE_FAULT:
                if (m->stop_on_reset)
                        machine_stop(m, MACHINE_RESET, event);
                else
                        machine_restart(m, event);
                return;
        }
}

static void on_wake(void *ctx) {
        struct machine *m = ctx;
        /* What explains an ending goes before the ending itself. */
        static const enum vmm_event_type order[] = {VMM_EVENT_CRASH, VMM_EVENT_FAILED,
                VMM_EVENT_POWER_OFF, VMM_EVENT_RESET, VMM_EVENT_TRIPLE_FAULT};
        for (size_t i = 0; i < ARRAY_SIZE(order) && !m->stopped; i++) {
                uint32_t bit = 1u << order[i];
                /* A machine that the owner has paused ends, but does not start again. */
                if ((bit & MACHINE_RESTARTS) && !m->running)
                        continue;
                pthread_mutex_lock(&m->lock);
                bool set = m->pending & bit;
                m->pending &= ~bit;
                struct vmm_event event = m->events[order[i]];
                pthread_mutex_unlock(&m->lock);
                if (set)
                        machine_event(m, &event);
        }
}

/* ---- gcs and hvsocket ---- */

static void on_gcs_connected(void *ctx, uint32_t protocol) {
        struct machine *m = ctx;
        m->ops->guest_connected(m->ctx, protocol);
}

static void on_gcs_closed(void *ctx, int r) {
        static struct log_limit limit;
        struct machine *m = ctx;
        if (r < 0 && log_allow(&limit))
                log_warning("gcs: the bridge to the guest was closed: %s", strerrordesc_np(-r));
        m->ops->guest_closed(m->ctx);
}

static void on_process_exited(void *ctx, uint32_t pid, int32_t code) {
        struct machine *m = ctx;
        m->ops->process_exited(m->ctx, pid, code);
}

static const struct gcs_ops gcs_callbacks = {
        .connected = on_gcs_connected,
        .closed = on_gcs_closed,
        .process_exited = on_process_exited,
};

/* The agent's ports: the bridge and the streams of its processes. */
static bool on_own(void *ctx _unused_, const struct guid *service) {
        uint32_t port;
        return hvsocket_port_of_service(service, &port) && port >= GCS_BRIDGE_PORT &&
               port <= INT32_MAX;
}

static void on_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        struct machine *m = ctx;
        uint32_t port = 0;
        int fd = -1;
        if (!on_own(m, service)) {
                m->ops->asked(m->ctx, token, service, endpoint);
                return;
        }
        (void)hvsocket_port_of_service(service, &port);
        int r = gcs_accept(m->gcs, port, &fd);
        if (r == 0)
                r = hvsocket_accept(m->hvsocket, token, fd);
        else
                hvsocket_refuse(m->hvsocket, token);
        if (r < 0)
                log_debug("gcs: port 0x%x: %s", port, strerrordesc_np(-r));
}

/* The guest's VMBus ended: the machine is about to crash, to restart or to kexec. The streams have
 * ended with it, which tells gcs what it has to know; its processes are given up only when the
 * machine restarts, so that a crash can still say why they are gone. */
static void on_hvsocket_reset(void *ctx _unused_) {
}

static void on_hvsocket_problem(void *ctx _unused_, const struct guid *service, int r) {
        static struct log_limit limit;
        char text[GUID_TEXT_SIZE];
        if (!log_allow(&limit))
                return;
        guid_format(service, text);
        log_warning("hvsocket: %s: connection closed: %s", text, strerrordesc_np(-r));
}

static const struct hvsocket_ops hvsocket_callbacks = {
        .own = on_own,
        .asked = on_asked,
        .reset = on_hvsocket_reset,
        .problem = on_hvsocket_problem,
};

/* ---- life ---- */

static void on_time(void *ctx, uint64_t *ret_filetime, uint64_t *ret_reference) {
        struct machine *m = ctx;
        *ret_filetime = clock_filetime();
        *ret_reference = vmm_reference_time(m->vmm);
}

static void on_ic_problem(void *ctx _unused_, const char *device, const char *what) {
        static struct log_limit limit;
        if (log_allow(&limit))
                log_warning("%s: %s", device, what);
}

static const struct ic_ops ic_callbacks = {.time = on_time, .problem = on_ic_problem};

/* The devices of every machine, in the order of their offers, which a saved state relies on. */
static int machine_make_devices(struct machine *m, const struct machine_config *config) {
        int r = vmbus_new(vmm_gmem(m->vmm), m->loop, &bus_ops, m->vmm, &m->vmbus);
        if (r == 0)
                r = gcs_new(m->loop, &gcs_callbacks, m, &m->gcs);
        if (r == 0)
                r = hvsocket_new(m->vmbus, m->loop, &hvsocket_callbacks, m, &m->hvsocket);
        if (r == 0)
                r = hvsocket_set_table(m->hvsocket, config->rules, config->n_rules,
                        config->default_bind, config->default_connect);
        if (r == 0)
                r = ic_new(m->vmbus, m->loop, &ic_callbacks, m, &m->ic);
        return r;
}

int machine_new(struct io_loop *loop, const struct machine_config *config,
        const struct machine_ops *ops, void *ctx, struct error *e, struct machine **ret) {
        _cleanup_(machine_freep) struct machine *m = calloc(1, sizeof *m);
        if (!m)
                return error_set(e, -ENOMEM, 0, "not enough memory for a machine");
        m->loop = loop;
        m->ops = ops;
        m->ctx = ctx;
        m->stop_on_reset = config->stop_on_reset;
        pthread_mutex_init(&m->lock, NULL);
        int r = io_event_new(loop, on_wake, m, &m->wake);
        if (r < 0)
                return error_set(e, r, 0, "an event for the machine: %s", strerrordesc_np(-r));
        struct vmm_config vmm_config = {
                .kvm_fd = config->kvm_fd,
                .vps = config->vps,
                .memory = config->memory,
                .kernel_fd = config->kernel_fd,
                .initrd_fd = config->initrd_fd,
                .cmdline = config->cmdline,
        };
        r = vmm_new(&vmm_config, &vmm_callbacks, m, e, &m->vmm);
        if (r < 0)
                return r;
        r = machine_make_devices(m, config);
        if (r < 0)
                return error_set(e, r, 0, "making the machine's devices: %s", strerrordesc_np(-r));
        *ret = TAKE_PTR(m);
        return 0;
}

struct machine *machine_free(struct machine *m) {
        if (!m)
                return NULL;
        /* No VP may post while the bus goes; the bus goes before the devices on it, whose channels
         * it ends, and before the memory that its rings are in. */
        if (m->vmm)
                vmm_pause(m->vmm);
        vmbus_free(m->vmbus);
        hvsocket_free(m->hvsocket);
        ic_free(m->ic);
        gcs_free(m->gcs);
        vmm_free(m->vmm);
        io_event_free(m->wake);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return NULL;
}

int machine_start(struct machine *m, struct error *e) {
        int r = vmm_start(m->vmm, e);
        if (r < 0)
                return r;
        m->loaded = m->running = true;
        return 0;
}

void machine_pause(struct machine *m) {
        if (!m->running)
                return;
        m->running = false;
        vmm_pause(m->vmm);
        vmbus_pause(m->vmbus);
}

void machine_resume(struct machine *m) {
        if (!m->loaded || m->running || m->stopped)
                return;
        m->running = true;
        vmbus_resume(m->vmbus);
        vmm_resume(m->vmm);
        ic_timesync(m->ic);
        io_event_set(m->wake); /* a restart that waited */
}

void machine_nmi(struct machine *m) {
        vmm_nmi(m->vmm);
}

struct shutdown {
        struct machine *machine;
        bool reboot;
        gcs_done_fn done;
        void *ctx;
};

static void on_ic_shutdown(void *ctx, int r) {
        struct shutdown *s = ctx;
        if (r == 0)
                s->done(s->ctx, S_OK, "", 0);
        else if (!s->reboot && gcs_is_connected(s->machine->gcs))
                gcs_shutdown(s->machine->gcs, s->done, s->ctx);
        else if (r == -ENOTCONN)
                s->done(s->ctx, HR_NOT_SUPPORTED,
                        "the guest has neither the shutdown integration service nor an agent", 0);
        else
                s->done(s->ctx, error_hresult(r), strerrordesc_np(-r), 0);
        free(s);
}

void machine_shutdown(struct machine *m, bool force, bool reboot, gcs_done_fn done, void *ctx) {
        struct shutdown *s = calloc(1, sizeof *s);
        if (!s) {
                done(ctx, HR_OUTOFMEMORY, "not enough memory", 0);
                return;
        }
        *s = (struct shutdown){.machine = m, .reboot = reboot, .done = done, .ctx = ctx};
        ic_shutdown(m->ic, reboot ? IC_REBOOT : IC_POWER_OFF, force, MACHINE_SHUTDOWN_ANSWER_MS,
                on_ic_shutdown, s);
}

struct gcs *machine_gcs(struct machine *m) {
        return m->gcs;
}

struct hvsocket *machine_hvsocket(struct machine *m) {
        return m->hvsocket;
}

struct vmm *machine_vmm(struct machine *m) {
        return m->vmm;
}

struct vmbus *machine_vmbus(struct machine *m) {
        return m->vmbus;
}

void machine_hvsocket_answer(struct machine *m, uint64_t token, int fd_consume) {
        if (fd_consume < 0) {
                hvsocket_refuse(m->hvsocket, token);
                return;
        }
        int r = hvsocket_accept(m->hvsocket, token, fd_consume);
        if (r < 0)
                log_debug("hvsocket: an answer came too late: %s", strerrordesc_np(-r));
}

const char *machine_console_tail(struct machine *m) {
        pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < m->console_size; i++) {
                char c = m->console[i];
                m->tail[i] = c == '\n' || isprint((unsigned char)c) ? c : ' ';
        }
        m->tail[m->console_size] = 0;
        pthread_mutex_unlock(&m->lock);
        return m->tail;
}

enum { MACHINE_STATE_VERSION = 1 };
#define MACHINE_STATE_TAG STATE_TAG('M', 'A', 'C', 'H')

int machine_save_state(struct machine *m, struct wr *wr) {
        pthread_mutex_lock(&m->lock);
        uint32_t pending = m->pending;
        pthread_mutex_unlock(&m->lock);
        /* One that has ended without the loop's knowledge is stopped all the same. */
        if (!m->loaded || m->running || m->stopped || (pending & ~(uint32_t)MACHINE_RESTARTS))
                return -EBUSY;
        size_t mark = state_begin(wr, MACHINE_STATE_TAG, MACHINE_STATE_VERSION);
        wr_u8(wr, pending != 0); /* a restart is due */
        int r = vmm_save(m->vmm, wr);
        if (r == 0)
                r = vmbus_save(m->vmbus, wr);
        if (r == 0)
                r = hvsocket_save(m->hvsocket, wr);
        if (r == 0)
                r = ic_save(m->ic, wr);
        state_end(wr, mark);
        return r < 0 ? r : wr_error(wr);
}

int machine_restore_state(struct machine *m, struct rd *rd, struct error *e) {
        struct rd body;
        if (state_open(rd, MACHINE_STATE_TAG, MACHINE_STATE_VERSION, NULL, &body) < 0)
                return error_set(e, -EBADMSG, 0, "the saved state is not one of this version");
        uint8_t restart;
        int r = rd_u8(&body, &restart);
        if (r == 0 && restart > 1)
                r = -EBADMSG;
        if (r == 0)
                r = vmm_restore(m->vmm, &body, e);
        if (r == 0)
                r = vmbus_restore(m->vmbus, &body);
        if (r == 0)
                r = hvsocket_restore(m->hvsocket, &body);
        if (r == 0)
                r = ic_restore(m->ic, &body);
        if (r == 0)
                r = rd_end(&body);
        if (r < 0)
                return error_set(e, r, 0, "the saved state is damaged: %s", strerrordesc_np(-r));
        if (restart)
                on_vmm_event(m, &(struct vmm_event){.type = VMM_EVENT_RESET});
        m->loaded = true;
        return 0;
}
