// SPDX-License-Identifier: MIT
/* bench-doorbell KERNEL poll|halt N: how long a guest waits from ringing a doorbell until the
 * answer interrupts it. Ours goes from SignalEvent through an event loop's thread and the SynIC;
 * the peer is a bare exit to the VP's own thread that answers by an MSI. In turn, some trips per
 * machine; prints "ours US" and "peer US". */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bare.h"
#include "bench/doorbell.h"
#include "io/loop.h"
#include "vmm/hv.h"
#include "vmm/vmm.h"

enum { TRIPS = 100, CONSOLE_MAX = 64 * 1024, DEADLINE_S = 120 };
enum { PORT_CONSOLE = 0x3f8, PORT_LINE_STATUS = 0x3fd, PORT_POWER = 0x604, LINE_IDLE = 0x60 };
static_assert((int)DOORBELL_SIGNAL_PORT == (int)HV_PORT_SIGNAL, "the same");
#define MEMORY (64ull << 20)

struct console {
        char text[CONSOLE_MAX];
        size_t size;
};

struct machine {
        struct vmm *vmm;
        sem_t ended;
        struct console console;
};

static void console_add(struct console *c, const void *data, size_t size) {
        if (size >= sizeof c->text - c->size)
                return;
        memcpy(c->text + c->size, data, size);
        c->size += size;
        c->text[c->size] = 0;
}

static void print_times(const struct console *c, const char *side, unsigned khz) {
        if (!strstr(c->text, "exit 0\n")) {
                fprintf(stderr, "bench-doorbell: the guest failed:\n%s\n", c->text);
                exit(EXIT_FAILURE);
        }
        for (const char *p = c->text; *p == 't'; p = strchr(p, '\n') + 1)
                printf("%s %.2f\n", side, strtod(p + 2, NULL) * 1e3 / khz);
}

static void on_event(void *ctx, const struct vmm_event *event) {
        struct machine *m = ctx;
        if (event->type != VMM_EVENT_POWER_OFF)
                fprintf(stderr, "bench-doorbell: event %d: %s\n", event->type, event->text);
        sem_post(&m->ended);
}

static void on_console(void *ctx, const void *data, size_t size) {
        struct machine *m = ctx;
        console_add(&m->console, data, size);
}

static void on_bell(void *ctx) {
        struct machine *m = ctx;
        if (vmm_signal(m->vmm, 0, DOORBELL_SINT, 0) != 0)
                fputs("bench-doorbell: no SynIC\n", stderr);
}

static void *loop_thread(void *ctx) {
        if (io_loop_run(ctx) < 0)
                fputs("bench-doorbell: the loop failed\n", stderr);
        return NULL;
}

static void ours(int kvm_fd, int kernel_fd, const char *cmdline, unsigned khz) {
        static const struct vmm_ops ops = {.event = on_event, .console = on_console};
        static struct machine m;
        const struct vmm_config config = {.kvm_fd = kvm_fd,
                .vps = 1,
                .memory = MEMORY,
                .kernel_fd = kernel_fd,
                .initrd_fd = -1,
                .cmdline = cmdline};
        struct error e = {0};
        struct io_loop *loop = NULL;
        struct io_event *bell = NULL;
        pthread_t thread;
        m = (struct machine){0};
        sem_init(&m.ended, 0, 0);
        bare_must(io_loop_new(&loop), "io_loop_new");
        bare_must(io_event_new(loop, on_bell, &m, &bell), "io_event_new");
        if (vmm_new(&config, &ops, &m, &e, &m.vmm) < 0) {
                fprintf(stderr, "bench-doorbell: %s\n", e.text);
                exit(EXIT_FAILURE);
        }
        bare_must(vmm_bind_event(m.vmm, DOORBELL_CONNECTION, io_event_fd(bell)), "vmm_bind_event");
        bare_must(-pthread_create(&thread, NULL, loop_thread, loop), "pthread_create");
        bare_must(vmm_start(m.vmm, &e), "vmm_start");
        while (sem_wait(&m.ended) < 0)
                ;
        io_loop_stop(loop);
        pthread_join(thread, NULL);
        vmm_free(m.vmm);
        io_event_free(bell);
        io_loop_free(loop);
        sem_destroy(&m.ended);
        print_times(&m.console, "ours", khz);
}

/* False at power-off. */
static bool bare_serve(struct bare *b, struct console *console) {
        struct kvm_run *run = b->run;
        uint8_t *data = (uint8_t *)run + run->io.data_offset;
        if (run->exit_reason != KVM_EXIT_IO) {
                fprintf(stderr, "bench-doorbell: exit %u\n", run->exit_reason);
                exit(EXIT_FAILURE);
        }
        switch (run->io.port) {
        case DOORBELL_PORT:
                bare_signal_msi(b, DOORBELL_VECTOR);
                break;
        case PORT_CONSOLE:
                console_add(console, data, 1);
                break;
        case PORT_LINE_STATUS:
                *data = LINE_IDLE;
                break;
        case PORT_POWER:
                return false;
        default:
                break;
        }
        return true;
}

static void peer(int kvm_fd, int kernel_fd, const char *cmdline, unsigned khz) {
        static struct console console;
        struct bare b;
        console = (struct console){0};
        bare_new(kvm_fd, MEMORY, &b);
        bare_load_kernel(&b, kvm_fd, kernel_fd, cmdline);
        do
                bare_run(&b);
        while (bare_serve(&b, &console));
        bare_done(&b);
        print_times(&console, "peer", khz);
}

static unsigned tsc_khz(int kvm_fd) {
        struct bare b;
        bare_new(kvm_fd, MEMORY, &b);
        int khz = bare_must(ioctl(b.vcpu_fd, KVM_GET_TSC_KHZ, 0), "KVM_GET_TSC_KHZ");
        bare_done(&b);
        return (unsigned)khz;
}

int main(int argc, char **argv) {
        struct error e = {0};
        char cmdline[2][32];
        int kvm_fd;
        if (argc != 4) {
                fputs("usage: bench-doorbell KERNEL poll|halt SAMPLES\n", stderr);
                return 2;
        }
        alarm(DEADLINE_S);
        if (vmm_open_kvm(false, &e, &kvm_fd) < 0) {
                fprintf(stderr, "bench-doorbell: %s\n", e.text);
                return 1;
        }
        int kernel_fd = bare_must(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
        unsigned khz = tsc_khz(kvm_fd);
        for (int i = 0; i < 2; i++)
                snprintf(cmdline[i], sizeof cmdline[i], "%c%c%d", "sp"[i], argv[2][0], TRIPS);
        for (int done = 0; done < atoi(argv[3]); done += TRIPS) {
                ours(kvm_fd, kernel_fd, cmdline[0], khz);
                peer(kvm_fd, kernel_fd, cmdline[1], khz);
        }
        return 0;
}
