// SPDX-License-Identifier: MIT
/* Who may run guest code. VP threads live as long as the partition: they run while `running` is set
 * and are parked otherwise. Whoever clears `running` kicks them: a signal ends KVM_RUN, and
 * immediate_exit catches the thread that was on its way in. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "vmm/partition.h"

enum { KICK_SIGNAL_OFFSET = 4 };

static int kick_signal(void) {
        return SIGRTMIN + KICK_SIGNAL_OFFSET;
}

static void ignore_kick(_unused_ int number) {
        /* Its arrival is all that counts. */
}

static void install_kick(void) {
        struct sigaction action = {.sa_handler = ignore_kick};
        sigemptyset(&action.sa_mask);
        sigaction(kick_signal(), &action, NULL);
}

static void park(struct vmm *vmm) {
        vmm->parked++;
        pthread_cond_broadcast(&vmm->run_changed);
        while (!vmm->quit && !atomic_load(&vmm->running))
                pthread_cond_wait(&vmm->run_changed, &vmm->run_lock);
        vmm->parked--;
}

static void *vp_thread(void *arg) {
        struct vp *vp = arg;
        struct vmm *vmm = vp->vmm;
        char name[16];
        snprintf(name, sizeof name, "vp%u", vp->index);
        pthread_setname_np(pthread_self(), name);

        pthread_mutex_lock(&vmm->run_lock);
        for (;;) {
                park(vmm);
                if (vmm->quit)
                        break;
                __atomic_store_n(&vp->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
                pthread_mutex_unlock(&vmm->run_lock);
                vp_run(vp);
                pthread_mutex_lock(&vmm->run_lock);
        }
        pthread_mutex_unlock(&vmm->run_lock);
        return NULL;
}

/* Only the kick reaches these threads; all other signals are the process's. */
int run_start_threads(struct vmm *vmm) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, install_kick);
        sigset_t mine, old;
        sigfillset(&mine);
        sigdelset(&mine, kick_signal());
        pthread_sigmask(SIG_SETMASK, &mine, &old);
        int r = 0;
        for (uint32_t i = 0; r == 0 && i < vmm->config.vps; i++) {
                struct vp *vp = &vmm->vps[i];
                r = -pthread_create(&vp->thread, NULL, vp_thread, vp);
                vp->has_thread = r == 0;
        }
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

/* Under run_lock. */
static void stop_running(struct vmm *vmm) {
        atomic_store(&vmm->running, false);
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                struct vp *vp = &vmm->vps[i];
                if (!vp->has_thread)
                        continue;
                __atomic_store_n(&vp->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
                pthread_kill(vp->thread, kick_signal());
        }
}

void run_stop_threads(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->run_lock);
        vmm->quit = true;
        stop_running(vmm);
        pthread_cond_broadcast(&vmm->run_changed);
        pthread_mutex_unlock(&vmm->run_lock);
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                struct vp *vp = &vmm->vps[i];
                if (vp->has_thread)
                        pthread_join(vp->thread, NULL);
                vp->has_thread = false;
        }
}

void run_raise(struct vmm *vmm, const struct vmm_event *event) {
        unsigned bit = 1u << event->type;
        if (atomic_fetch_or(&vmm->raised, bit) & bit)
                return;
        if (event->type != VMM_EVENT_CRASH) {
                pthread_mutex_lock(&vmm->run_lock);
                atomic_store(&vmm->ended, true);
                stop_running(vmm);
                pthread_mutex_unlock(&vmm->run_lock);
        }
        vmm->ops->event(vmm->ctx, event);
}

void run_raise_type(struct vmm *vmm, enum vmm_event_type type) {
        const struct vmm_event event = {.type = type};
        run_raise(vmm, &event);
}

void run_fail(struct vmm *vmm, const char *fmt, ...) {
        struct vmm_event event = {.type = VMM_EVENT_FAILED};
        va_list args;
        va_start(args, fmt);
        vsnprintf(event.text, sizeof event.text, fmt, args);
        va_end(args);
        run_raise(vmm, &event);
}

static int run(struct vmm *vmm) {
        int r = timebase_start(vmm);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < vmm->config.vps; i++)
                vmm->vps[i].settled = false;
        pthread_mutex_lock(&vmm->run_lock);
        if (!atomic_load(&vmm->ended))
                atomic_store(&vmm->running, true);
        pthread_cond_broadcast(&vmm->run_changed);
        pthread_mutex_unlock(&vmm->run_lock);
        return 0;
}

void vmm_pause(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->run_lock);
        stop_running(vmm);
        while (vmm->parked < vmm->config.vps)
                pthread_cond_wait(&vmm->run_changed, &vmm->run_lock);
        pthread_mutex_unlock(&vmm->run_lock);
        timebase_stop(vmm);
}

void vmm_resume(struct vmm *vmm) {
        int r = run(vmm);
        if (r < 0)
                run_fail(vmm, "the time stamp counters cannot be set: %s", strerror(-r));
}

int vmm_start(struct vmm *vmm, struct error *e) {
        int r = partition_load(vmm, e);
        if (r < 0)
                return r;
        r = run(vmm);
        if (r < 0)
                return error_set(
                        e, r, 0, "KVM: the time stamp counters cannot be set: %s", strerror(-r));
        return 0;
}
