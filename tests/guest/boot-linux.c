// SPDX-License-Identifier: MIT
/* boot-linux [-c VPS] [-m MIB] [-n] [-t SECONDS] [-r RESETS] KERNEL INITRD CMDLINE...
 * Boots a Linux kernel (ELF) with its console on stdout and stdin on its console; for trying things
 * in the lab. -n: no Hyper-V personality. A reset starts over, up to RESETS times. Exit status: 0
 * after power-off, 2 at the end of the time, 1 for everything else. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include "base/fd.h"
#include "vmm/vmm.h"

struct boot_linux {
        int event_fd;
        struct vmm_event event;
};

static uint16_t refuse_message(_unused_ void *ctx, _unused_ uint32_t vp,
        _unused_ uint32_t connection_id, _unused_ uint32_t type, _unused_ const void *payload,
        _unused_ size_t size) {
        enum { INVALID_CONNECTION_ID = 0x12 };
        return INVALID_CONNECTION_ID;
}

static void slot_free(_unused_ void *ctx, _unused_ uint32_t vp, _unused_ uint8_t sint) {
}

static void on_event(void *ctx, const struct vmm_event *event) {
        struct boot_linux *b = ctx;
        const uint64_t one = 1;
        if (event->type == VMM_EVENT_CRASH) {
                fprintf(stderr, "boot-linux: crash %llx %llx %llx %llx %llx\n%s\n",
                        (unsigned long long)event->crash[0], (unsigned long long)event->crash[1],
                        (unsigned long long)event->crash[2], (unsigned long long)event->crash[3],
                        (unsigned long long)event->crash[4], event->text);
                return;
        }
        b->event = *event;
        (void)!write(b->event_fd, &one, sizeof one);
}

static void on_console(_unused_ void *ctx, const void *data, size_t size) {
        (void)!write(STDOUT_FILENO, data, size);
}

static const struct vmm_ops ops = {
        .post_message = refuse_message,
        .message_slot_free = slot_free,
        .event = on_event,
        .console = on_console,
};

static _Noreturn void die(const char *what, const char *why) {
        fprintf(stderr, "boot-linux: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static int open_file(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                die(path, strerror(errno));
        return fd;
}

static void feed(struct vmm *vmm, struct pollfd *input) {
        char buf[256];
        ssize_t n = read(STDIN_FILENO, buf, sizeof buf);
        if (n <= 0)
                input->fd = -1;
        else
                vmm_console_input(vmm, buf, (size_t)n);
}

/* The type of the event that ended it, or -1 at the end of the time. */
static int serve(struct boot_linux *b, struct vmm *vmm, unsigned seconds) {
        struct pollfd fds[] = {
                {.fd = b->event_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        time_t end = time(NULL) + seconds;
        for (;;) {
                time_t left = end - time(NULL);
                if (left <= 0)
                        return -1;
                if (poll(fds, 2, (int)left * 1000) < 0 && errno != EINTR)
                        die("poll", strerror(errno));
                if (fds[1].revents)
                        feed(vmm, &fds[1]);
                uint64_t count;
                if (fds[0].revents && read(b->event_fd, &count, sizeof count) > 0)
                        return (int)b->event.type;
        }
}

static int run(struct vmm_config *config, unsigned seconds, unsigned resets) {
        struct boot_linux b = {.event_fd = eventfd(0, EFD_CLOEXEC)};
        struct error e = {0};
        struct vmm *vmm;
        if (vmm_open_kvm(true, &e, &config->kvm_fd) < 0)
                die("KVM", e.text);
        if (vmm_new(config, &ops, &b, &e, &vmm) < 0 || vmm_start(vmm, &e) < 0)
                die("machine", e.text);
        int type = serve(&b, vmm, seconds);
        while ((type == VMM_EVENT_RESET || type == VMM_EVENT_TRIPLE_FAULT) && resets-- > 0) {
                fprintf(stderr, "boot-linux: reset (%d)\n", type);
                vmm_pause(vmm);
                if (vmm_reset(vmm, &e) < 0 || vmm_start(vmm, &e) < 0)
                        die("reset", e.text);
                type = serve(&b, vmm, seconds);
        }
        fprintf(stderr, "boot-linux: event %d %s\n", type, b.event.text);
        vmm_free(vmm);
        close(config->kvm_fd);
        close(b.event_fd);
        return type == VMM_EVENT_POWER_OFF ? 0 : type < 0 ? 2 : 1;
}

int main(int argc, char **argv) {
        struct vmm_config config = {.vps = 1, .memory = 512ull << 20};
        unsigned seconds = 120, resets = 0;
        int option;
        while ((option = getopt(argc, argv, "+c:m:nt:r:")) >= 0) {
                switch (option) {
                case 'c':
                        config.vps = (uint32_t)atoi(optarg);
                        break;
                case 'm':
                        config.memory = strtoull(optarg, NULL, 10) << 20;
                        break;
                case 'n':
                        config.no_hyperv = true;
                        break;
                case 't':
                        seconds = (unsigned)atoi(optarg);
                        break;
                case 'r':
                        resets = (unsigned)atoi(optarg);
                        break;
                default:
                        return EXIT_FAILURE;
                }
        }
        if (argc - optind != 3)
                die("arguments", "KERNEL INITRD CMDLINE");
        config.kernel_fd = open_file(argv[optind]);
        config.initrd_fd = open_file(argv[optind + 1]);
        config.cmdline = argv[optind + 2];
        return run(&config, seconds, resets);
}
