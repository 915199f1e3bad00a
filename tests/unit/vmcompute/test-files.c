// SPDX-License-Identifier: MIT
#include "../test.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmcompute/files.h"
#include "wire/hresult.h"

static struct io_loop *loop;
static struct files *files;
static char dir[64], kernel[128], initrd[128], fifo[128];
static struct jail_identity self;
static bool done;
static int result, kernel_fd, initrd_fd;
static struct error error;

static void on_done(void *ctx, int r, const struct error *e, int k, int i) {
        (void)ctx;
        done = true;
        result = r;
        error = *e;
        kernel_fd = k;
        initrd_fd = i;
        files = files_free(files);
}

static void put(const char *path, const void *data, size_t n, mode_t mode) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        ck_assert_int_ge(fd, 0);
        assert_ok(fd_write_full(fd, data, n));
        ck_assert_int_eq(fchmod(fd, mode), 0);
        close(fd);
}

static void begin(void) {
        Elf64_Ehdr elf = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                                  EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_X86_64,
                .e_version = EV_CURRENT};
        snprintf(dir, sizeof dir, "/tmp/sandbar-test-files-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(kernel, sizeof kernel, "%s/kernel", dir);
        snprintf(initrd, sizeof initrd, "%s/initrd", dir);
        snprintf(fifo, sizeof fifo, "%s/fifo", dir);
        put(kernel, &elf, sizeof elf, 0600);
        put(initrd, "initrd", 6, 0600);
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
        assert_ok(jail_identity_self(&self));
        assert_ok(io_loop_new(&loop));
}

static void end(void) {
        char command[128];
        io_loop_free(loop);
        snprintf(command, sizeof command, "rm -r %s", dir);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static int open_files(const struct jail_identity *owner, const char *k, const char *i) {
        struct files_request request = {
                .owner = owner, .kernel = k, .initrd = i, .xdg_cache_home = dir, .home = dir};
        struct error e = {0};
        done = false;
        kernel_fd = initrd_fd = -1;
        assert_ok(files_open(loop, &request, on_done, NULL, &e, &files));
        for (int n = 0; n < 100 && !done; n++)
                assert_ok(io_loop_once(loop, 1000));
        ck_assert(done);
        return result;
}

START_TEST(gives_what_the_owner_may_open) {
        begin();
        assert_ok(open_files(&self, kernel, initrd));
        char text[8] = "";
        ck_assert_int_eq(pread(initrd_fd, text, 7, 0), 6);
        ck_assert_str_eq(text, "initrd");
        ck_assert_int_eq(fcntl(initrd_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        ck_assert_int_eq(pread(kernel_fd, text, 4, 0), 4);
        ck_assert_mem_eq(text, ELFMAG, 4);
        close(kernel_fd);
        close(initrd_fd);
        assert_ok(open_files(&self, kernel, NULL));
        ck_assert_int_eq(initrd_fd, -1);
        close(kernel_fd);
        end();
}
END_TEST

START_TEST(names_the_file_and_the_cause) {
        begin();
        char missing[160], beneath[160];
        snprintf(missing, sizeof missing, "%s/missing", dir);
        snprintf(beneath, sizeof beneath, "%s/kernel/x", dir);
        const struct {
                const char *kernel, *initrd;
                uint32_t hresult;
                const char *text;
        } cases[] = {
                {missing, NULL, HR_FILE_NOT_FOUND, "kernel"},
                {kernel, missing, HR_FILE_NOT_FOUND, "initrd"},
                {beneath, NULL, HR_PATH_NOT_FOUND, "kernel"},
                {dir, NULL, E_INVALIDARG, "not a regular file"},
                {fifo, NULL, E_INVALIDARG, "not a regular file"},
                {"/dev/null", NULL, E_INVALIDARG, "not a regular file"},
                {kernel, fifo, E_INVALIDARG, "not a regular file"},
                {initrd, NULL, E_INVALIDARG, "kernel"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                ck_assert_int_lt(open_files(&self, cases[i].kernel, cases[i].initrd), 0);
                ck_assert_msg(error.hresult == cases[i].hresult, "%zu: 0x%x %s", i, error.hresult,
                        error.text);
                ck_assert_ptr_nonnull(strstr(error.text, cases[i].text));
                ck_assert_int_eq(kernel_fd, -1);
                ck_assert_int_eq(initrd_fd, -1);
        }
        end();
}
END_TEST

START_TEST(opens_nothing_that_the_owner_may_not) {
        if (geteuid() != 0)
                return; /* only root acts for others */
        begin();
        ck_assert_int_eq(chmod(dir, 0755), 0);
        struct jail_identity nobody = {.uid = 65534, .gid = 65534};
        ck_assert_int_lt(open_files(&nobody, kernel, NULL), 0);
        ck_assert_uint_eq(error.hresult, HR_ACCESS_DENIED);
        ck_assert_int_eq(chmod(kernel, 0644), 0);
        assert_ok(open_files(&nobody, kernel, NULL));
        close(kernel_fd);
        ck_assert_int_lt(open_files(&nobody, kernel, initrd), 0);
        ck_assert_uint_eq(error.hresult, HR_ACCESS_DENIED);
        /* A group that the caller has does open. */
        ck_assert_int_eq(chown(initrd, 0, 4321), 0);
        ck_assert_int_eq(chmod(initrd, 0640), 0);
        nobody.n_groups = 1;
        nobody.groups[0] = 4321;
        assert_ok(open_files(&nobody, kernel, initrd));
        close(kernel_fd);
        close(initrd_fd);
        end();
}
END_TEST

START_TEST(can_be_given_up) {
        begin();
        struct files_request request = {.owner = &self, .kernel = kernel, .home = dir};
        struct error e = {0};
        done = false;
        assert_ok(files_open(loop, &request, on_done, NULL, &e, &files));
        files = files_free(files);
        assert_ok(io_loop_once(loop, 10));
        ck_assert(!done);
        end();
}
END_TEST

START_TEST(sweep_of_faults_leaves_no_process) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (int k = 0; k < 2; k++)
                for (unsigned n = 1;; n++) {
                        begin();
                        struct files_request request = {
                                .owner = &self, .kernel = kernel, .home = dir};
                        struct error e = {0};
                        files = NULL;
                        fault_arm(kinds[k], n);
                        int r = files_open(loop, &request, on_done, NULL, &e, &files);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        ck_assert_int_eq(r < 0, fired);
                        files = files_free(files);
                        end();
                        if (!fired)
                                break;
                }
}
END_TEST

TEST_MAIN("files", gives_what_the_owner_may_open, names_the_file_and_the_cause,
        opens_nothing_that_the_owner_may_not, can_be_given_up, sweep_of_faults_leaves_no_process)
