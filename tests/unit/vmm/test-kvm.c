// SPDX-License-Identifier: MIT
#include "vmm/kvm.h"
#include <cpuid.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../test.h"
#include "base/fault.h"
#include "base/fd.h"
#include "vmm/vmm.h"
#include "wire/hresult.h"

static void check_refused(const char *path, int error, uint32_t hresult, const char *remedy) {
        struct error e = {0};
        int fd = -7;
        ck_assert_int_eq(kvm_open(path, false, &e, &fd), error);
        ck_assert_int_eq(fd, -7);
        ck_assert_uint_eq(e.hresult, hresult);
        ck_assert_msg(strstr(e.text, path) && strstr(e.text, remedy), "%s", e.text);
        ck_assert_ptr_null(strchr(e.text, '\n'));
}

START_TEST(opens_the_device_that_is_there) {
        struct error e = {0};
        int fd = -1;
        ck_assert_msg(vmm_open_kvm(false, &e, &fd) == 0, "%s", e.text);
        ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(fd);
}
END_TEST

START_TEST(names_a_missing_device_and_what_to_load) {
        check_refused(
                "/dev/kvm-absent", -ENOENT, HCS_E_HYPERV_NOT_INSTALLED, "kvm_intel or kvm_amd");
}
END_TEST

START_TEST(names_the_group_when_permission_is_missing) {
        char path[] = "/tmp/sandbar-kvm-XXXXXX";
        int file = mkstemp(path);
        ck_assert_int_ge(file, 0);
        close(file);
        ck_assert_int_eq(chmod(path, 0), 0);
        pid_t child = fork();
        if (child == 0) {
                struct error e = {0};
                int fd = -1;
                if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
                        _exit(2);
                _exit(kvm_open(path, false, &e, &fd) == -EACCES && strstr(e.text, "usermod -aG kvm")
                                ? 0
                                : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        unlink(path);
        ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(refuses_a_device_that_is_not_kvm) {
        check_refused("/dev/null", -ENOTTY, HCS_E_HYPERV_NOT_INSTALLED, "Linux 5.16");
}
END_TEST

START_TEST(names_each_capability_that_is_missing) {
        unsigned named = 0;
        for (unsigned n = 2;; n++) {
                struct error e = {0};
                int fd = -1;
                fault_arm(FAULT_KVM, n);
                int r = vmm_open_kvm(false, &e, &fd);
                fault_arm(FAULT_KVM, 0);
                if (r == 0) {
                        close(fd);
                        break;
                }
                ck_assert_msg(
                        strstr(e.text, "KVM_CAP_") && strstr(e.text, "newer kernel"), "%s", e.text);
                ck_assert_uint_eq(e.hresult, HCS_E_HYPERV_NOT_INSTALLED);
                named++;
        }
        ck_assert_uint_eq(named, 14);
}
END_TEST

START_TEST(a_distribution_kernel_needs_virtualization_in_the_cpu) {
        unsigned a, b, c = 0, d, amd = 0;
        __get_cpuid(1, &a, &b, &c, &d);
        __get_cpuid(0x80000001, &a, &b, &amd, &d);
        bool has = (c & 1u << 5) || (amd & 1u << 2);
        struct error e = {0};
        int fd = -1;
        int r = vmm_open_kvm(true, &e, &fd);
        if (has) {
                assert_ok(r);
                close(fd);
        } else {
                ck_assert_int_lt(r, 0);
                ck_assert_uint_eq(e.hresult, HR_NO_HYPERVISOR);
                ck_assert_msg(strstr(e.text, "tools/lab"), "%s", e.text);
        }
}
END_TEST

TEST_MAIN("kvm", opens_the_device_that_is_there, names_a_missing_device_and_what_to_load,
        names_the_group_when_permission_is_missing, refuses_a_device_that_is_not_kvm,
        names_each_capability_that_is_missing,
        a_distribution_kernel_needs_virtualization_in_the_cpu)
