// SPDX-License-Identifier: MIT
/* A machine saved in the middle of everything and restored in another process. The guest's side is
 * payload-saved.c. This program runs itself again as `save` and as `restore`, so that nothing but
 * two files goes from one to the other: the state, and what a device and a program on the host
 * would save of themselves. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../unit/test.h"
#include "base/fd.h"
#include "base/state.h"
#include "harness.h"
#include "saved.h"
#include "vmbus/channel.h"
#include "vmwp/machine.h"

enum { VPS = 2, ROUND_MS = 5, ROUNDS = 6000, RESTARTS = 10, SOCKET_BUFFER = 4096 };

/* In the two processes, where libcheck is not. */
#define check(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
                        exit(EXIT_FAILURE);                                                        \
                }                                                                                  \
        } while (0)

/* What the owners of the device and of the hvsocket know, beside the machine's state. */
struct owners {
        uint32_t device_sent, device_got, socket_sent, socket_got;
        uint64_t time;
};

struct host {
        struct io_loop *loop;
        int kvm_fd, kernel_fd;
        struct machine *machine;
        struct vmbus_channel *channel;
        struct owners owners;
        bool hoards;   /* the device takes one packet only, the program none */
        bool careless; /* the machine's state may be rubbish: so may be what comes of it */
        int socket;    /* the program's end */
        int stopped;   /* enum machine_stop, or -1 */
        unsigned opens, restarts;
        bool shut_down;
};

/* The device */

static uint32_t on_open(
        void *ctx, struct vmbus_channel *channel, const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct host *h = ctx;
        (void)channel, (void)user_data;
        h->opens++;
        return 0;
}

static void on_ready(void *ctx, struct vmbus_channel *channel) {
        struct host *h = ctx;
        struct owners *o = &h->owners;
        struct vmbus_packet p;
        uint8_t bytes[SAVED_PACKET_SIZE];
        while ((!h->hoards || o->device_got == 0) && vmbus_receive(channel, &p) == 0) {
                saved_fill(bytes, SAVED_FROM_GUEST, o->device_got++);
                check(h->careless || (p.payload_size == sizeof bytes &&
                                             !memcmp(p.payload, bytes, sizeof bytes)));
        }
        while (o->device_got > 0 && o->device_sent < SAVED_PACKETS) {
                saved_fill(bytes, SAVED_FROM_HOST, o->device_sent);
                if (vmbus_send_inband(channel, 0, bytes, sizeof bytes) != 0)
                        return;
                o->device_sent++;
        }
}

static void on_close(void *ctx, struct vmbus_channel *channel) {
        struct host *h = ctx;
        (void)channel;
        if (h->hoards)
                h->owners.device_sent = h->owners.device_got = 0;
}

static void on_released(void *ctx, struct vmbus_channel *channel) {
        struct host *h = ctx;
        (void)channel;
        h->channel = NULL;
}

static const struct vmbus_channel_ops device_ops = {on_open, on_ready, on_close, on_released};

/* The program behind the hvsocket */

static int socket_new(struct host *h) {
        int fds[2], size = SOCKET_BUFFER;
        check(fd_socketpair(SOCK_STREAM, fds) == 0);
        for (int i = 0; i < 2; i++)
                check(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
        fd_close(h->socket);
        h->socket = fds[0];
        return fds[1];
}

static void socket_receive(struct host *h) {
        uint8_t bytes[4096];
        struct owners *o = &h->owners;
        for (ssize_t n; (n = recv(h->socket, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
                for (ssize_t i = 0; i < n; i++)
                        check(bytes[i] == saved_byte(SAVED_FROM_GUEST, o->socket_got++));
}

static void socket_send(struct host *h) {
        uint8_t bytes[4096];
        struct owners *o = &h->owners;
        while (o->socket_sent < SAVED_SOCKET_BYTES) {
                for (uint32_t i = 0; i < sizeof bytes; i++)
                        bytes[i] = saved_byte(SAVED_FROM_HOST, o->socket_sent + i);
                uint32_t left = SAVED_SOCKET_BYTES - o->socket_sent;
                ssize_t n = send(h->socket, bytes, left < sizeof bytes ? left : sizeof bytes,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n <= 0)
                        return;
                o->socket_sent += (uint32_t)n;
                if (o->socket_sent == SAVED_SOCKET_BYTES)
                        shutdown(h->socket, SHUT_WR);
        }
}

/* The machine's owner */

static void on_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        struct host *h = ctx;
        uint32_t port = 0;
        (void)endpoint;
        check(h->careless || (hvsocket_port_of_service(service, &port) && port == SAVED_PORT));
        h->owners.socket_sent = h->owners.socket_got = 0;
        machine_hvsocket_answer(h->machine, token, socket_new(h));
}

static void on_stopped(void *ctx, enum machine_stop why, const struct vmm_event *event) {
        struct host *h = ctx;
        h->stopped = (int)why;
        if (event)
                fprintf(stderr, "machine: %s\n", event->text);
}

static void on_restarted(void *ctx) {
        ((struct host *)ctx)->restarts++;
}

static void on_guest_connected(void *ctx, uint32_t protocol) {
        (void)ctx, (void)protocol;
}

static void on_guest_closed(void *ctx) {
        (void)ctx;
}

static void on_process_exited(void *ctx, uint32_t pid, int32_t code) {
        (void)ctx, (void)pid, (void)code;
}

static const struct machine_ops machine_callbacks = {
        .guest_connected = on_guest_connected,
        .guest_closed = on_guest_closed,
        .process_exited = on_process_exited,
        .stopped = on_stopped,
        .restarted = on_restarted,
        .asked = on_asked,
};

static int open_payload(void) {
        const char *root = getenv("SANDBAR_BUILD_ROOT");
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/guest/guest-saved", root ? root : ".");
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0);
        return fd;
}

static struct host *host_new(const char *cmdline, bool hoards) {
        struct host *h = calloc(1, sizeof *h);
        struct error e = {0};
        *h = (struct host){.hoards = hoards, .socket = -1, .stopped = -1};
        check(io_loop_new(&h->loop) == 0);
        check(vmm_open_kvm(false, &e, &h->kvm_fd) == 0);
        h->kernel_fd = open_payload();
        const struct machine_config config = {
                .kvm_fd = h->kvm_fd,
                .kernel_fd = h->kernel_fd,
                .initrd_fd = -1,
                .vps = VPS,
                .memory = GUEST_MEMORY,
                .cmdline = cmdline,
                .default_bind = true,
        };
        if (machine_new(h->loop, &config, &machine_callbacks, h, &e, &h->machine) < 0)
                fprintf(stderr, "machine_new: %s\n", e.text);
        check(h->machine);
        const struct vmbus_offer offer = {.type = SAVED_DEVICE_TYPE, .name = "device"};
        check(vmbus_offer(machine_vmbus(h->machine), &offer, &device_ops, h, &h->channel) == 0);
        return h;
}

static struct host *host_free(struct host *h) {
        machine_free(h->machine);
        check(!h->channel);
        io_loop_free(h->loop);
        fd_close(h->socket);
        fd_close(h->kernel_fd);
        fd_close(h->kvm_fd);
        free(h);
        return NULL;
}

static bool console_has(struct host *h, const char *text) {
        return strstr(machine_console_tail(h->machine), text);
}

static void turn(struct host *h) {
        check(io_loop_once(h->loop, ROUND_MS) == 0);
        if (h->socket < 0)
                return;
        if (!h->hoards)
                socket_receive(h);
        socket_send(h);
}

/* Turns the loop until the guest says so. */
static void expect(struct host *h, const char *text) {
        for (unsigned i = 0; i < ROUNDS && h->stopped < 0 && !console_has(h, text); i++)
                turn(h);
        if (!console_has(h, text))
                fprintf(stderr, "no \"%s\": stopped %d, console:\n%s\n", text, h->stopped,
                        machine_console_tail(h->machine));
        check(console_has(h, text));
}

static void sleep_ms(unsigned ms) {
        const struct timespec t = {.tv_nsec = ms * 1000000L};
        nanosleep(&t, NULL);
}

static void save(struct host *h, int fd) {
        struct error e = {0};
        if (machine_save(h->machine, fd, &e) < 0)
                fprintf(stderr, "save: %s\n", e.text);
        check(e.hresult == 0);
}

static uint8_t *map(int fd, size_t *ret_size) {
        struct stat st;
        check(fstat(fd, &st) == 0);
        uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        check(p != MAP_FAILED);
        *ret_size = (size_t)st.st_size;
        return p;
}

static void check_same(int a, int b) {
        size_t size_a, size_b, i = 0;
        uint8_t *x = map(a, &size_a), *y = map(b, &size_b);
        check(size_a == size_b && size_a > GUEST_MEMORY);
        if (memcmp(x, y, size_a) != 0) {
                while (x[i] == y[i])
                        i++;
                fprintf(stderr, "the saved machines differ at byte %zu of %zu\n", i, size_a);
                check(false);
        }
        munmap(x, size_a);
        munmap(y, size_b);
}

/* Finds a section by its tag, which must be there once. */
static struct rd section(const uint8_t *file, size_t size, uint32_t tag) {
        struct rd rd = {0};
        for (size_t i = 0; i + STATE_HEADER_SIZE < size && rd_left(&rd) == 0; i++) {
                struct rd at = rd_make(file + i, size - i);
                (void)!state_open(&at, tag, 1, NULL, &rd);
        }
        check(rd_left(&rd) > 0);
        return rd;
}

/* The state is what the test is about: messages wait on all their ways. */
static void check_waiting(int fd) {
        size_t size;
        uint8_t *file = map(fd, &size);
        struct rd rd = section(file, size, STATE_TAG('V', 'B', 'U', 'S'));
        const uint8_t *skipped;
        uint32_t version, n = 0;
        uint16_t length;
        check(rd_le32(&rd, &version) == 0 && version == VMBUS_VERSION_5_3);
        check(rd_view(&rd, 4 + 1 + 1 + 2 + 4, &skipped) == 0); /* the rest of the connection */
        check(rd_le32(&rd, &n) == 0 && n > 0);                 /* the inbox */
        for (uint32_t i = 0; i < n; i++)
                check(rd_le16(&rd, &length) == 0 && rd_view(&rd, length, &skipped) == 0);
        check(rd_le32(&rd, &n) == 0 && n >= VMBUS_OUTBOX_MAX);
        munmap(file, size);
}

/* Runs the guest into the middle of everything, and pauses it there. */
static void run_and_pause(struct host *h) {
        struct error e = {0};
        check(machine_start(h->machine, &e) == 0);
        expect(h, "counting");
        for (unsigned i = 0; i < 20; i++)
                turn(h);
        check(h->owners.device_got == 1 && h->owners.device_sent > 1);
        machine_pause(h->machine);
        machine_pause(h->machine);
}

/* Nothing changes while the machine stands still, whatever the loop does. */
static void check_stands_still(struct host *h, int fd, int again) {
        uint64_t time = vmm_reference_time(machine_vmm(h->machine));
        save(h, fd);
        sleep_ms(30);
        for (unsigned i = 0; i < 10; i++)
                check(io_loop_once(h->loop, 1) == 0);
        check(vmm_reference_time(machine_vmm(h->machine)) == time);
        save(h, again);
        check_same(fd, again);
        h->owners.time = time;
}

static void on_shut_down(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        struct host *h = ctx;
        (void)pid;
        if (hresult)
                fprintf(stderr, "shutdown: %s\n", text);
        check(hresult == 0);
        h->shut_down = true;
}

/* Lets the guest finish what it began. */
static void run_to_the_end(struct host *h, char word) {
        h->hoards = false;
        machine_resume(h->machine);
        machine_resume(h->machine);
        check(vmm_reference_time(machine_vmm(h->machine)) >= h->owners.time);
        vmm_console_input(machine_vmm(h->machine), &word, 1);
        expect(h, "ready");
        machine_shutdown(h->machine, false, false, on_shut_down, h);
        expect(h, "exit 0");
        for (unsigned i = 0; i < ROUNDS && h->stopped < 0; i++)
                turn(h);
        check(h->stopped == MACHINE_POWERED_OFF && h->shut_down);
        check(h->owners.device_got == SAVED_PACKETS && h->owners.device_sent == SAVED_PACKETS);
        socket_receive(h);
        check(h->owners.socket_got == SAVED_SOCKET_BYTES);
        check(h->owners.socket_sent == SAVED_SOCKET_BYTES);
        check(hvsocket_connections(machine_hvsocket(h->machine)) == 0);
        check(vmbus_ignored(machine_vmbus(h->machine)) == 0);
}

/* The two processes */

static int open_in(const char *dir, const char *name) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, name);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        check(fd >= 0);
        return fd;
}

static int process_save(const char *dir) {
        struct host *h = host_new("save", true);
        int state = open_in(dir, "state"), again = open_in(dir, "again"),
            owners = open_in(dir, "owners");
        run_and_pause(h);
        check_stands_still(h, state, again);
        check_waiting(state);
        socket_receive(h); /* the program's: what it was given, but did not look at yet */
        check(h->owners.socket_got > 0 && h->owners.socket_got < SAVED_SOCKET_BYTES);
        check(fd_write_full(owners, &h->owners, sizeof h->owners) == 0);
        close(state);
        close(again);
        close(owners);
        host_free(h);
        return EXIT_SUCCESS;
}

static int process_restore(const char *dir) {
        struct host *h = host_new("save", true);
        struct error e = {0};
        struct guid service, endpoint;
        bool from_host;
        int state = open_in(dir, "state"), second = open_in(dir, "second"),
            owners = open_in(dir, "owners");
        check(fd_pread_full(owners, &h->owners, sizeof h->owners, 0) == sizeof h->owners);
        if (machine_restore(h->machine, state, &e) < 0)
                fprintf(stderr, "restore: %s\n", e.text);
        check(e.hresult == 0 && h->opens == 1);
        check(vmm_reference_time(machine_vmm(h->machine)) == h->owners.time);
        save(h, second);
        check_same(state, second);
        check(hvsocket_detached(machine_hvsocket(h->machine), &service, &endpoint, &from_host));
        check(hvsocket_reattach(machine_hvsocket(h->machine), socket_new(h)) == 0);
        check(!hvsocket_detached(machine_hvsocket(h->machine), &service, &endpoint, &from_host));
        run_to_the_end(h, 'r');
        close(state);
        close(second);
        close(owners);
        host_free(h);
        return EXIT_SUCCESS;
}

/* This program again, with two arguments: its status. */
static int run_process(const char *what, const char *dir) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
                execl("/proc/self/exe", "test-saved", what, dir, (char *)NULL);
                _exit(127);
        }
        check(pid > 0 && waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The tests */

static char dir[] = "/tmp/sandbar-saved-XXXXXX";

START_TEST(goes_on_in_another_process) {
        ck_assert_int_eq(run_process("restore", dir), EXIT_SUCCESS);
}
END_TEST

START_TEST(goes_on_where_it_was_saved) {
        struct host *h = host_new("save", true);
        int state = open_in(dir, "here"), again = open_in(dir, "here-again");
        run_and_pause(h);
        check_stands_still(h, state, again);
        run_to_the_end(h, 'c');
        close(state);
        close(again);
        host_free(h);
}
END_TEST

static unsigned count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

START_TEST(restarts_in_the_middle_of_everything_leave_nothing) {
        unsigned fds = count_fds(), after_two = 0;
        struct host *h = host_new("reset", true);
        struct error e = {0};
        assert_ok(machine_start(h->machine, &e));
        for (unsigned i = 0; i < ROUNDS && h->restarts < RESTARTS; i++) {
                turn(h);
                if (h->restarts == 2)
                        after_two = count_fds();
        }
        ck_assert_uint_ge(h->restarts, RESTARTS);
        ck_assert_int_eq(h->stopped, -1);
        ck_assert_uint_ge(h->opens, RESTARTS);
        /* Some more or fewer channels may be open at this moment. */
        ck_assert_uint_le(count_fds(), after_two + 8);
        host_free(h);
        ck_assert_uint_eq(count_fds(), fds);
}
END_TEST

/* A restored machine, well or badly; then whatever it does must not harm us. */
static int try_restore(int fd, bool run) {
        struct host *h = host_new("save", true);
        struct error e = {0};
        h->careless = true;
        h->owners.device_got = 1;
        int r = machine_restore(h->machine, fd, &e);
        ck_assert(r == 0 || (e.hresult != 0 && e.text[0]));
        if (r == 0 && run) {
                _cleanup_(wr_done) struct wr wr = wr_new(1 << 24);
                h->hoards = false;
                machine_resume(h->machine);
                vmm_console_input(machine_vmm(h->machine), "r", 1);
                for (unsigned i = 0; i < 4; i++)
                        assert_ok(io_loop_once(h->loop, 1));
                machine_pause(h->machine);
                (void)!machine_save_state(h->machine, &wr);
        }
        host_free(h);
        return r;
}

/* Where things stand in a state file. */
enum { FILE_HEADER = STATE_HEADER_SIZE + 4 + 8 + 8, FILE_STATE_SIZE = FILE_HEADER - 8 };

/* The file's header and state sections. */
static uint8_t *read_state(int fd, size_t *ret_size) {
        struct rd rd;
        uint64_t state;
        uint8_t head[FILE_HEADER], *bytes;
        check(fd_pread_full(fd, head, sizeof head, 0) == sizeof head);
        rd = rd_make(head + FILE_STATE_SIZE, 8);
        check(rd_le64(&rd, &state) == 0 && state < GUEST_MEMORY);
        *ret_size = FILE_HEADER + (size_t)state;
        bytes = malloc(*ret_size);
        check(fd_pread_full(fd, bytes, *ret_size, 0) == (ssize_t)*ret_size);
        return bytes;
}

/* Any section. */
static bool begins_section(const uint8_t *bytes, size_t size) {
        uint32_t tag;
        struct rd rd = rd_make(bytes, size), body;
        for (size_t i = 0; i < sizeof tag; i++)
                if (size < sizeof tag || ((bytes[i] < 'A' || bytes[i] > 'Z') && bytes[i] != ' '))
                        return false;
        memcpy(&tag, bytes, sizeof tag);
        return state_open(&rd, tag, 1, NULL, &body) == 0;
}

/* Row 22 of the negative tests, in the steps that seconds allow: closest at the head of a section,
 * farthest where KVM's own structures are. What KVM took of those is not run: it is KVM's to judge,
 * and a guest that is sent astray can keep a KVM without VT-x or AMD-V busy for ever. */
START_TEST(survives_flipped_bytes) {
        enum { HEAD = 24, STEP_HEAD = 3, STEP_KVM = 997, STEP = 307 };
        int fd = open_in(dir, "again");
        size_t size, i = 0, head = 0;
        unsigned refused = 0, taken = 0;
        uint8_t *bytes = read_state(fd, &size);
        size_t kvm_end = (size_t)(section(bytes, size, STATE_TAG('I', 'O', 'A', 'P')).data - bytes);
        ck_assert_int_eq(try_restore(fd, true), 0);
        while (i < size) {
                const uint8_t flipped = bytes[i] ^ (uint8_t)(1u << i % 8);
                ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)i), 1);
                if (try_restore(fd, i >= kvm_end) < 0)
                        refused++;
                else
                        taken++;
                ck_assert_int_eq(pwrite(fd, &bytes[i], 1, (off_t)i), 1);
                size_t next = i + (i < head + HEAD ? STEP_HEAD : i < kvm_end ? STEP_KVM : STEP);
                while (++i < next && i < size)
                        if (begins_section(bytes + i, size - i)) {
                                head = i;
                                break;
                        }
        }
        ck_assert_uint_gt(refused, 50);
        ck_assert_uint_gt(taken, 50);
        free(bytes);
        close(fd);
}
END_TEST

/* A file of n bytes, with as much state as its header says. */
static int make_file(const uint8_t *bytes, size_t n, uint64_t size) {
        int fd;
        assert_ok(fd_memfd("state", size, &fd));
        assert_ok(fd_write_full(fd, bytes, n));
        return fd;
}

START_TEST(refuses_a_file_cut_short_anywhere) {
        int fd = open_in(dir, "again");
        size_t size;
        uint8_t *bytes = read_state(fd, &size);
        struct host *h = host_new("save", true);
        for (size_t n = 0; n < size; n += 64) {
                struct error e = {0};
                int cut = make_file(bytes, n, n);
                assert_error(machine_restore(h->machine, cut, &e), -EBADMSG);
                ck_assert_str_ne(e.text, "");
                close(cut);
        }
        const size_t whole =
                (size + GMEM_PAGE_SIZE - 1) / GMEM_PAGE_SIZE * GMEM_PAGE_SIZE + GUEST_MEMORY;
        const size_t sizes[] = {size, whole - GUEST_MEMORY, whole - GUEST_MEMORY / 2, whole - 1,
                whole + 1, whole + GMEM_PAGE_SIZE};
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct error e = {0};
                int cut = make_file(bytes, size, sizes[i]);
                assert_error(machine_restore(h->machine, cut, &e), -EBADMSG);
                ck_assert_ptr_nonnull(strstr(e.text, "cut short or too long"));
                close(cut);
        }
        host_free(h);
        free(bytes);
        close(fd);
}
END_TEST

/* The same with headers that agree with what is left of the sections. */
START_TEST(refuses_sections_cut_short_anywhere) {
        int fd = open_in(dir, "again");
        size_t size;
        uint8_t *bytes = read_state(fd, &size);
        for (size_t n = FILE_HEADER; n < size; n += size / 40) {
                struct wr wr = wr_make(bytes, size);
                wr.size = size;
                wr_patch_le32(&wr, FILE_STATE_SIZE, (uint32_t)(n - FILE_HEADER));
                if (n >= FILE_HEADER + STATE_HEADER_SIZE)
                        wr_patch_le32(&wr, FILE_HEADER + STATE_HEADER_SIZE - 4,
                                (uint32_t)(n - FILE_HEADER - STATE_HEADER_SIZE));
                int cut = make_file(bytes, n,
                        (n + GMEM_PAGE_SIZE - 1) / GMEM_PAGE_SIZE * GMEM_PAGE_SIZE + GUEST_MEMORY);
                assert_error(try_restore(cut, false), -EBADMSG);
                close(cut);
        }
        free(bytes);
        close(fd);
}
END_TEST

static void clean_up(void) {
        static const char *const names[] = {
                "state", "again", "owners", "second", "here", "here-again"};
        char path[4096];
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof path, "%s/%s", dir, names[i]);
                unlink(path);
        }
        rmdir(dir);
}

int main(int argc, char **argv) {
        guest_kill_deadline(110);
        if (argc == 3)
                return strcmp(argv[1], "save") == 0 ? process_save(argv[2])
                                                    : process_restore(argv[2]);
        check(mkdtemp(dir));
        const test_fn tests[] = {
                goes_on_in_another_process,
                goes_on_where_it_was_saved,
                restarts_in_the_middle_of_everything_leave_nothing,
                survives_flipped_bytes,
                refuses_a_file_cut_short_anywhere,
                refuses_sections_cut_short_anywhere,
        };
        int status = run_process("save", dir);
        if (status == EXIT_SUCCESS)
                status = test_run("guest-saved", tests, ARRAY_SIZE(tests), 90);
        clean_up();
        return status;
}
