// SPDX-License-Identifier: MIT
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"

enum { EVENT_TYPES = VMM_EVENT_FAILED + 1, EVENTS_MAX = 32 };

struct guest {
        struct guest_config config;
        int kvm_fd, kernel_fd;
        struct vmm *vmm;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        char console[GUEST_CONSOLE_MAX];
        size_t console_size, console_seen;
        struct vmm_event events[EVENTS_MAX];
        size_t events_used, events_seen;
        unsigned counts[EVENT_TYPES];
        struct vmm_event crash; /* the last */
};

static _Noreturn void die(const char *what, const char *why) {
        fprintf(stderr, "guest: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static void on_event(void *ctx, const struct vmm_event *event) {
        struct guest *g = ctx;
        pthread_mutex_lock(&g->lock);
        g->counts[event->type]++;
        if (event->type == VMM_EVENT_CRASH)
                g->crash = *event;
        else if (g->events_used < EVENTS_MAX)
                g->events[g->events_used++] = *event;
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
}

static void on_console(void *ctx, const void *data, size_t size) {
        struct guest *g = ctx;
        pthread_mutex_lock(&g->lock);
        if (size < sizeof g->console - g->console_size) {
                memcpy(g->console + g->console_size, data, size);
                g->console_size += size;
        }
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
}

static uint16_t on_message(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        enum { INVALID_CONNECTION_ID = 0x12 };
        struct guest *g = ctx;
        if (!g->config.ops || !g->config.ops->post_message)
                return INVALID_CONNECTION_ID;
        return g->config.ops->post_message(g->config.ctx, vp, connection_id, type, payload, size);
}

static void on_slot_free(void *ctx, uint32_t vp, uint8_t sint) {
        struct guest *g = ctx;
        if (g->config.ops && g->config.ops->message_slot_free)
                g->config.ops->message_slot_free(g->config.ctx, vp, sint);
}

static const struct vmm_ops ops = {
        .post_message = on_message,
        .message_slot_free = on_slot_free,
        .event = on_event,
        .console = on_console,
};

static int open_payload(const char *name) {
        const char *root = getenv("SANDBAR_BUILD_ROOT");
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/guest/guest-%s", root ? root : ".", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                die(path, strerror(errno));
        return fd;
}

struct guest *guest_new(const struct guest_config *config) {
        struct guest *g = calloc(1, sizeof *g);
        if (!g)
                die("calloc", strerror(errno));
        struct error e = {0};
        g->config = *config;
        pthread_mutex_init(&g->lock, NULL);
        pthread_cond_init(&g->changed, NULL);
        if (vmm_open_kvm(false, &e, &g->kvm_fd) < 0)
                die("vmm_open_kvm", e.text);
        g->kernel_fd = open_payload(config->payload);
        const struct vmm_config machine = {
                .kvm_fd = g->kvm_fd,
                .vps = config->vps ? config->vps : 1,
                .memory = config->memory ? config->memory : GUEST_MEMORY,
                .kernel_fd = g->kernel_fd,
                .initrd_fd = -1,
                .cmdline = config->cmdline,
                .no_hyperv = config->no_hyperv,
        };
        if (vmm_new(&machine, &ops, g, &e, &g->vmm) < 0)
                die("vmm_new", e.text);
        return g;
}

void guest_start(struct guest *g) {
        struct error e = {0};
        if (vmm_start(g->vmm, &e) < 0)
                die("vmm_start", e.text);
}

struct guest *guest_free(struct guest *g) {
        if (!g)
                return NULL;
        vmm_free(g->vmm);
        fd_close(g->kernel_fd);
        fd_close(g->kvm_fd);
        pthread_cond_destroy(&g->changed);
        pthread_mutex_destroy(&g->lock);
        free(g);
        return NULL;
}

struct vmm *guest_vmm(struct guest *g) {
        return g->vmm;
}

static struct timespec deadline(void) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec += GUEST_DEADLINE_MS / 1000;
        return t;
}

int guest_wait(struct guest *g, struct vmm_event *ret) {
        int type = -1;
        struct timespec end = deadline();
        pthread_mutex_lock(&g->lock);
        while (g->events_seen == g->events_used &&
                pthread_cond_timedwait(&g->changed, &g->lock, &end) == 0)
                ;
        if (g->events_seen < g->events_used) {
                const struct vmm_event *event = &g->events[g->events_seen++];
                type = (int)event->type;
                if (ret)
                        *ret = *event;
        }
        pthread_mutex_unlock(&g->lock);
        return type;
}

bool guest_expect(struct guest *g, const char *text) {
        const char *found;
        struct timespec end = deadline();
        pthread_mutex_lock(&g->lock);
        while (!(found = strstr(g->console + g->console_seen, text)) &&
                pthread_cond_timedwait(&g->changed, &g->lock, &end) == 0)
                ;
        if (found)
                g->console_seen = (size_t)(found - g->console) + strlen(text);
        pthread_mutex_unlock(&g->lock);
        if (!found)
                fprintf(stderr, "guest: no \"%s\" on its console:\n%s\n", text, g->console);
        return found;
}

const char *guest_console(struct guest *g) {
        return g->console;
}

const struct vmm_event *guest_crash(struct guest *g) {
        return &g->crash;
}

int guest_status(struct guest *g) {
        int status = -1;
        for (const char *p = g->console; (p = strstr(p, "exit ")); p++)
                if (p == g->console || p[-1] == '\n')
                        status = atoi(p + 5);
        return status;
}

unsigned guest_events(struct guest *g, enum vmm_event_type type) {
        pthread_mutex_lock(&g->lock);
        unsigned n = g->counts[type];
        pthread_mutex_unlock(&g->lock);
        return n;
}

int guest_run(const struct guest_config *config) {
        struct guest *g = guest_new(config);
        struct vmm_event event = {0};
        guest_start(g);
        int type = guest_wait(g, &event);
        int status = type == VMM_EVENT_POWER_OFF ? guest_status(g) : -1;
        if (status != 0)
                fprintf(stderr, "guest %s: event %d (%s), console:\n%s\n", config->payload, type,
                        event.text, g->console);
        guest_free(g);
        return status;
}

void guest_kill_deadline(unsigned seconds) {
        alarm(seconds);
}
