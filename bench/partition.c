// SPDX-License-Identifier: MIT
/* bench-partition KERNEL N: how long a machine of 256 MiB takes to its first instruction, ours and
 * a bare one in turn. Prints "ours US" and "peer US". */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bare.h"
#include "vmm/vmm.h"

enum { WARM_UP = 5, DEADLINE_S = 120 };
#define MEMORY (256ull << 20)

struct first {
        sem_t seen;
        double at;
};

static void on_console(void *ctx, _unused_ const void *data, _unused_ size_t size) {
        struct first *first = ctx;
        first->at = bare_now_us();
        sem_post(&first->seen);
}

static void on_event(_unused_ void *ctx, const struct vmm_event *event) {
        fprintf(stderr, "bench-partition: event %d: %s\n", event->type, event->text);
        exit(EXIT_FAILURE);
}

static double ours(int kvm_fd, int kernel_fd) {
        static const struct vmm_ops ops = {.event = on_event, .console = on_console};
        const struct vmm_config config = {.kvm_fd = kvm_fd,
                .vps = 1,
                .memory = MEMORY,
                .kernel_fd = kernel_fd,
                .initrd_fd = -1,
                .cmdline = ""};
        struct first first;
        struct error e = {0};
        struct vmm *vmm = NULL;
        sem_init(&first.seen, 0, 0);
        double begin = bare_now_us();
        if (vmm_new(&config, &ops, &first, &e, &vmm) < 0 || vmm_start(vmm, &e) < 0) {
                fprintf(stderr, "bench-partition: %s\n", e.text);
                exit(EXIT_FAILURE);
        }
        while (sem_wait(&first.seen) < 0)
                ;
        vmm_free(vmm);
        sem_destroy(&first.seen);
        return first.at - begin;
}

static double bare(int kvm_fd) {
        static const uint8_t code[] = {0xe6, 0xf9, 0xf4}; /* out 0xf9, al; hlt */
        struct bare b;
        double begin = bare_now_us();
        bare_new(kvm_fd, MEMORY, &b);
        bare_load_code(&b, code, sizeof code);
        bare_run(&b);
        double end = bare_now_us();
        if (b.run->exit_reason != KVM_EXIT_IO) {
                fprintf(stderr, "bench-partition: exit %u\n", b.run->exit_reason);
                exit(EXIT_FAILURE);
        }
        bare_done(&b);
        return end - begin;
}

int main(int argc, char **argv) {
        struct error e = {0};
        int kvm_fd;
        if (argc != 3) {
                fputs("usage: bench-partition KERNEL SAMPLES\n", stderr);
                return 2;
        }
        alarm(DEADLINE_S);
        if (vmm_open_kvm(false, &e, &kvm_fd) < 0) {
                fprintf(stderr, "bench-partition: %s\n", e.text);
                return 1;
        }
        int kernel_fd = bare_must(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
        for (int i = -WARM_UP; i < atoi(argv[2]); i++) {
                double a = ours(kvm_fd, kernel_fd), b = bare(kvm_fd);
                if (i >= 0)
                        printf("ours %.1f\npeer %.1f\n", a, b);
        }
        return 0;
}
