// SPDX-License-Identifier: MIT
#include "vmm/partition.h"
#include <pthread.h>
#include <dirent.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "../test.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/hv.h"

enum { RAM = 64 << 20 };

static unsigned failures;

static uint16_t on_message(_unused_ void *ctx, _unused_ uint32_t vp, _unused_ uint32_t id,
        _unused_ uint32_t type, _unused_ const void *payload, _unused_ size_t size) {
        return 0;
}
static void on_free(_unused_ void *ctx, _unused_ uint32_t vp, _unused_ uint8_t sint) {
}
static void on_event(_unused_ void *ctx, const struct vmm_event *event) {
        failures += event->type == VMM_EVENT_FAILED;
}

static const struct vmm_ops ops = {
        .post_message = on_message, .message_slot_free = on_free, .event = on_event};

static struct vmm_config config_of(uint32_t vps) {
        struct error e = {0};
        struct vmm_config config = {.vps = vps, .memory = RAM, .kernel_fd = -1, .initrd_fd = -1};
        ck_assert_msg(vmm_open_kvm(false, &e, &config.kvm_fd) == 0, "%s", e.text);
        return config;
}

static struct vmm *make(struct vmm_config *config) {
        struct error e = {0};
        struct vmm *vmm = NULL;
        ck_assert_msg(vmm_new(config, &ops, NULL, &e, &vmm) == 0, "%s", e.text);
        return vmm;
}

static unsigned count(const char *directory) {
        unsigned n = 0;
        DIR *d = opendir(directory);
        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void *nothing(void *arg) {
        return arg;
}

START_TEST(is_made_and_freed_without_a_trace) {
        struct vmm_config config = config_of(4);
        /* A sanitizer may start a thread of its own with the first of ours. */
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, nothing, NULL), 0);
        pthread_join(thread, NULL);
        unsigned fds = count("/proc/self/fd"), threads = count("/proc/self/task");
        for (unsigned i = 0; i < 10; i++) {
                struct vmm *vmm = make(&config);
                ck_assert_uint_eq(vmm_vps(vmm), 4);
                ck_assert_uint_eq(gmem_size(vmm_gmem(vmm)), RAM);
                ck_assert_uint_eq(count("/proc/self/task"), threads + 4);
                ck_assert_ptr_null(vmm_free(vmm));
        }
        ck_assert_uint_eq(count("/proc/self/fd"), fds);
        ck_assert_uint_eq(count("/proc/self/task"), threads);
        ck_assert_ptr_null(vmm_free(NULL));
        close(config.kvm_fd);
}
END_TEST

START_TEST(a_reset_leaves_no_trace) {
        struct vmm_config config = config_of(2);
        struct vmm *vmm = make(&config);
        struct error e = {0};
        uint8_t byte = 7;
        assert_ok(vmm_reset(vmm, &e));
        unsigned fds = count("/proc/self/fd"), maps = count("/proc/self/map_files");
        for (unsigned i = 0; i < 10; i++) {
                assert_ok(gmem_write(vmm_gmem(vmm), RAM - 1, "x", 1));
                assert_ok(vmm_reset(vmm, &e));
        }
        assert_ok(gmem_read(vmm_gmem(vmm), RAM - 1, &byte, 1));
        ck_assert_uint_eq(byte, 0);
        ck_assert_uint_eq(count("/proc/self/fd"), fds);
        ck_assert_uint_eq(count("/proc/self/map_files"), maps);
        vmm_free(vmm);
        close(config.kvm_fd);
}
END_TEST

START_TEST(refuses_what_cannot_be_made) {
        struct vmm_config config = config_of(1);
        char cmdline[VMM_CMDLINE_MAX + 1];
        memset(cmdline, 'c', sizeof cmdline);
        cmdline[VMM_CMDLINE_MAX] = '\0';
        const struct {
                uint32_t vps;
                uint64_t memory;
                const char *cmdline, *word;
        } bad[] = {
                {0, RAM, "", "processors"},
                {VMM_VPS_MAX + 1, RAM, "", "processors"},
                {1, RAM - (2 << 20), "", "memory"},
                {1, RAM + 4096, "", "memory"},
                {1, 0, "", "memory"},
                {1, RAM, cmdline, "command line"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct error e = {0};
                struct vmm *vmm = NULL;
                config.vps = bad[i].vps;
                config.memory = bad[i].memory;
                config.cmdline = bad[i].cmdline;
                ck_assert_int_lt(vmm_new(&config, &ops, NULL, &e, &vmm), 0);
                ck_assert_ptr_null(vmm);
                ck_assert_msg(strstr(e.text, bad[i].word), "%s", e.text);
        }
        cmdline[VMM_CMDLINE_MAX - 1] = '\0';
        config = (struct vmm_config){.kvm_fd = config.kvm_fd,
                .vps = VMM_VPS_MAX,
                .memory = RAM,
                .kernel_fd = -1,
                .initrd_fd = -1,
                .cmdline = cmdline};
        vmm_free(make(&config));
        close(config.kvm_fd);
}
END_TEST

START_TEST(every_failure_on_the_way_unwinds) {
        struct vmm_config config = config_of(2);
        unsigned fds = count("/proc/self/fd"), threads = count("/proc/self/task"), failed = 0;
        for (int kind = FAULT_ALLOC; kind < FAULT_KINDS_; kind++) {
                for (unsigned n = 1;; n++) {
                        struct error e = {0};
                        struct vmm *vmm = NULL;
                        fault_arm((enum fault_kind)kind, n);
                        int r = vmm_new(&config, &ops, NULL, &e, &vmm);
                        bool fired = fault_fired((enum fault_kind)kind);
                        fault_arm((enum fault_kind)kind, 0);
                        if (!fired) {
                                assert_ok(r);
                                vmm_free(vmm);
                                break;
                        }
                        ck_assert_int_lt(r, 0);
                        ck_assert_ptr_null(vmm);
                        ck_assert_uint_ne(e.hresult, 0);
                        failed++;
                        ck_assert_uint_eq(count("/proc/self/fd"), fds);
                }
        }
        ck_assert_uint_gt(failed, 20);
        ck_assert_uint_eq(count("/proc/self/task"), threads);
        close(config.kvm_fd);
}
END_TEST

START_TEST(a_failing_reset_tells_and_can_be_freed) {
        struct vmm_config config = config_of(2);
        unsigned fds = count("/proc/self/fd");
        for (unsigned n = 1;; n++) {
                struct vmm *vmm = make(&config);
                struct error e = {0};
                fault_arm(FAULT_KVM, n);
                int r = vmm_reset(vmm, &e);
                bool fired = fault_fired(FAULT_KVM);
                fault_arm(FAULT_KVM, 0);
                vmm_free(vmm);
                if (!fired) {
                        assert_ok(r);
                        break;
                }
                ck_assert_int_lt(r, 0);
                ck_assert_msg(strstr(e.text, "reset"), "%s", e.text);
                ck_assert_uint_eq(count("/proc/self/fd"), fds);
        }
        close(config.kvm_fd);
}
END_TEST

static void ring_until_busy(struct vmm *vmm, uint32_t connection_id) {
        for (int i = 0; i < DOORBELL_BUSY; i++)
                ck_assert(doorbell_ring(vmm, connection_id));
}

START_TEST(the_first_busy_doorbells_are_the_kernels) {
        struct vmm_config config = config_of(1);
        struct vmm *vmm = make(&config);
        int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        uint64_t rung = 0;
        struct error e = {0};
        for (uint32_t i = 0; i < VMM_IOEVENTFDS_MAX + 10; i++)
                assert_ok(vmm_bind_event(vmm, 10000 - i, bell));
        assert_error(vmm_bind_event(vmm, 10000, bell), -EEXIST);
        for (int i = 0; i < DOORBELL_BUSY - 1; i++)
                ck_assert(doorbell_ring(vmm, 10000));
        ck_assert_uint_eq(vmm->n_in_kernel, 0);
        ck_assert(doorbell_ring(vmm, 10000));
        ck_assert_uint_eq(vmm->n_in_kernel, 1);
        for (uint32_t i = 1; i < VMM_IOEVENTFDS_MAX + 10; i++)
                ring_until_busy(vmm, 10000 - i);
        ck_assert_uint_eq(vmm->n_in_kernel, VMM_IOEVENTFDS_MAX);
        ck_assert(!doorbell_ring(vmm, 10001));
        ck_assert(!doorbell_ring(vmm, 0));
        ck_assert_int_eq(read(bell, &rung, sizeof rung), sizeof rung);
        ck_assert_uint_eq(rung, DOORBELL_BUSY * (VMM_IOEVENTFDS_MAX + 10));
        vmm_unbind_event(vmm, 10000);
        vmm_unbind_event(vmm, 10000);
        ck_assert(!doorbell_ring(vmm, 10000));
        ck_assert_uint_eq(vmm->n_in_kernel, VMM_IOEVENTFDS_MAX - 1);
        assert_ok(vmm_bind_event(vmm, 5, bell));
        ring_until_busy(vmm, 5);
        ck_assert_uint_eq(vmm->n_in_kernel, VMM_IOEVENTFDS_MAX);
        assert_ok(vmm_reset(vmm, &e)); /* binds them to the new machine */
        ck_assert(doorbell_ring(vmm, 5));
        vmm_free(vmm);
        close(bell);
        close(config.kvm_fd);
}
END_TEST

START_TEST(a_broken_saved_state_is_refused) {
        struct vmm_config config = config_of(2);
        struct vmm *vmm = make(&config);
        struct wr wr = wr_new(1 << 20);
        struct error e = {0};
        assert_ok(vmm_save(vmm, &wr));
        vmm_free(vmm);
        vmm = make(&config);
        struct rd rd = rd_make(wr.data, wr.size);
        ck_assert_msg(vmm_restore(vmm, &rd, &e) == 0, "%s", e.text);
        for (size_t n = 0; n < wr.size; n += n < 200 || n > wr.size - 500 ? 1 : 97) {
                rd = rd_make(wr.data, n);
                ck_assert_int_lt(vmm_restore(vmm, &rd, &e), 0);
        }
        vmm_free(vmm);
        config.vps = 1;
        vmm = make(&config);
        e.hresult = 0;
        rd = rd_make(wr.data, wr.size);
        assert_error(vmm_restore(vmm, &rd, &e), -EINVAL);
        ck_assert_msg(strstr(e.text, "2 processors"), "%s", e.text);
        vmm_free(vmm);
        wr_done(&wr);
        close(config.kvm_fd);
}
END_TEST

START_TEST(every_register_name_reads_and_writes_back) {
        struct vmm_config config = config_of(1);
        struct vmm *vmm = make(&config);
        static const uint32_t ranges[][2] = {{0x20000, 0x20011}, {0x30000, 0x30017},
                {0x40000, 0x40005}, {0x50000, 0x50005}, {0x60000, 0x60007}, {0x70000, 0x70001},
                {0x80001, 0x8000b}, {0x8007b, 0x8007b}};
        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
                for (uint32_t name = ranges[i][0]; name <= ranges[i][1]; name++) {
                        uint64_t v[2], w[2];
                        int r = vp_get_register(vmm, 0, name, v);
                        if (r == -ENOENT && name == HV_REGISTER_XFEM)
                                continue; /* a CPU without XSAVE */
                        ck_assert_msg(r == 0, "0x%x", name);
                        ck_assert_msg(vp_set_register(vmm, 0, name, v) == 0, "0x%x", name);
                        assert_ok(vp_get_register(vmm, 0, name, w));
                        ck_assert_mem_eq(v, w, sizeof v);
                }
        }
        uint64_t v[2] = {0x1234, 0};
        assert_ok(vp_set_register(vmm, 0, 0x2000f, v)); /* R15 */
        v[0] = 0;
        assert_ok(vp_get_register(vmm, 0, 0x2000f, v));
        ck_assert_uint_eq(v[0], 0x1234);
        v[0] = 1ull << 63;
        ck_assert_int_lt(vp_set_register(vmm, 0, 0x40000, v), 0); /* CR0 */
        assert_error(vp_get_register(vmm, 0, 0x99999, v), -ENOENT);
        assert_error(vp_set_register(vmm, 0, 0, v), -ENOENT);
        vmm_free(vmm);
        close(config.kvm_fd);
}
END_TEST

TEST_MAIN("partition", is_made_and_freed_without_a_trace, a_reset_leaves_no_trace,
        refuses_what_cannot_be_made, every_failure_on_the_way_unwinds,
        a_failing_reset_tells_and_can_be_freed, the_first_busy_doorbells_are_the_kernels,
        a_broken_saved_state_is_refused, every_register_name_reads_and_writes_back)
