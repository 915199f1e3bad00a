// SPDX-License-Identifier: MIT
/* The state file. What goes into it is tested under a guest that uses everything:
 * tests/guest/test-saved.c. */
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/state.h"
#include "rig.h"
#include "wire/hresult.h"

enum { HEADER = STATE_HEADER_SIZE + 4 + 8 + 8 };
enum { VERSION_AT = 4, VPS_AT = 12, MEMORY_AT = 16, STATE_SIZE_AT = 24, SECTION_AT = HEADER };

static int new_file(void) {
        int fd;
        assert_ok(fd_memfd("saved", 0, &fd));
        return fd;
}

static off_t size_of(int fd) {
        struct stat st;
        ck_assert_int_eq(fstat(fd, &st), 0);
        return st.st_size;
}

static struct rig *paused(void) {
        struct rig *rig = rig_new(CODE_HALT);
        rig_start(rig);
        rig_sleep(5);
        machine_pause(rig->machine);
        return rig;
}

static int saved(void) {
        struct error e = {0};
        struct rig *rig = paused();
        int fd = new_file();
        ck_assert_msg(machine_save(rig->machine, fd, &e) == 0, "%s", e.text);
        rig_free(rig);
        return fd;
}

static void assert_same(int a, int b) {
        static char x[1 << 20], y[1 << 20];
        ck_assert_int_eq(size_of(a), size_of(b));
        for (uint64_t at = 0;; at += sizeof x) {
                ssize_t n = fd_pread_full(a, x, sizeof x, at);
                ck_assert_int_eq(fd_pread_full(b, y, sizeof y, at), n);
                ck_assert_int_eq(memcmp(x, y, (size_t)n), 0);
                if (n < (ssize_t)sizeof x)
                        break;
        }
}

START_TEST(only_a_paused_machine_is_saved) {
        struct rig *rig = rig_new(CODE_HALT);
        int fd = new_file();
        struct error new = {0}, runs = {0}, stopped = {0};
        assert_error(machine_save(rig->machine, fd, &new), -EBUSY);
        rig_start(rig);
        assert_error(machine_save(rig->machine, fd, &runs), -EBUSY);
        ck_assert_uint_eq(new.hresult, HCS_E_INVALID_STATE);
        ck_assert_uint_eq(runs.hresult, HCS_E_INVALID_STATE);
        rig = rig_free(rig);

        rig = rig_new(CODE_POWER_OFF);
        rig_start(rig);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->stops == 0; i++)
                rig_turn(rig, 1);
        assert_error(machine_save(rig->machine, fd, &stopped), -EBUSY);
        rig = rig_free(rig);
        ck_assert_int_eq(size_of(fd), 0);
        close(fd);
}
END_TEST

START_TEST(a_restored_machine_saves_to_the_same_bytes) {
        struct error e = {0};
        struct rig *rig = rig_new(CODE_HALT);
        int fd = saved(), again = new_file();
        ck_assert_msg(machine_restore(rig->machine, fd, &e) == 0, "%s", e.text);
        ck_assert_msg(machine_save(rig->machine, again, &e) == 0, "%s", e.text);
        assert_same(fd, again);
        machine_resume(rig->machine);
        rig_turn(rig, 5);
        ck_assert_uint_eq(rig->stops, 0);
        machine_pause(rig->machine);
        rig = rig_free(rig);
        close(fd);
        close(again);
}
END_TEST

START_TEST(a_restart_that_is_due_comes_after_the_restore) {
        struct error e = {0};
        struct rig *rig = rig_new(CODE_RESET_ONCE);
        int fd = new_file(), again = new_file();
        rig_start(rig);
        rig_sleep(100);
        machine_pause(rig->machine);
        assert_ok(machine_save(rig->machine, fd, &e));
        rig = rig_free(rig);
        rig = rig_new(CODE_RESET_ONCE);
        assert_ok(machine_restore(rig->machine, fd, &e));
        rig_turn(rig, 5);
        ck_assert_uint_eq(rig->restarts, 0);
        assert_ok(machine_save(rig->machine, again, &e));
        assert_same(fd, again);
        machine_resume(rig->machine);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->restarts == 0; i++)
                rig_turn(rig, 1);
        ck_assert_uint_ge(rig->restarts, 1);
        rig = rig_free(rig);
        close(fd);
        close(again);
}
END_TEST

START_TEST(memory_that_was_never_touched_is_a_hole) {
        int fd = saved();
        struct stat st;
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_int_gt(st.st_size, RIG_MEMORY);
        ck_assert_int_lt(st.st_blocks * 512, 1 << 20);
        close(fd);
}
END_TEST

/* What was in the file before does not shine through the holes. */
START_TEST(a_file_is_written_over) {
        struct error e = {0};
        static char old[1 << 20];
        int fd = new_file(), fresh = new_file();
        struct rig *rig = paused();
        memset(old, 0xa5, sizeof old);
        for (int i = 0; i < 80; i++)
                assert_ok(fd_write_full(fd, old, sizeof old));
        assert_ok(machine_save(rig->machine, fd, &e));
        assert_ok(machine_save(rig->machine, fresh, &e));
        assert_same(fd, fresh);
        rig = rig_free(rig);
        close(fd);
        close(fresh);
}
END_TEST

START_TEST(is_for_a_machine_of_the_same_size) {
        int fd = saved();
        struct rig *rig = rig_prepare(CODE_HALT, sizeof CODE_HALT - 1);
        rig->config.vps = 2;
        rig_make(rig);
        struct error vps = {0}, memory = {0};
        assert_error(machine_restore(rig->machine, fd, &vps), -EINVAL);
        ck_assert_ptr_nonnull(strstr(vps.text, "1 processors and 64 MiB"));
        rig = rig_free(rig);
        rig = rig_prepare(CODE_HALT, sizeof CODE_HALT - 1);
        rig->config.memory = 2 * RIG_MEMORY;
        rig_make(rig);
        assert_error(machine_restore(rig->machine, fd, &memory), -EINVAL);
        rig = rig_free(rig);
        close(fd);
}
END_TEST

/* With these bytes at that place. */
static void check_refused(int good, off_t at, const void *bytes, size_t size, const char *text) {
        struct error e = {0};
        char old[16];
        struct rig *rig = rig_new(CODE_HALT);
        ck_assert_int_eq(pread(good, old, size, at), (ssize_t)size);
        ck_assert_int_eq(pwrite(good, bytes, size, at), (ssize_t)size);
        assert_error(machine_restore(rig->machine, good, &e), -EBADMSG);
        ck_assert_msg(strstr(e.text, text), "%s", e.text);
        ck_assert_int_eq(pwrite(good, old, size, at), (ssize_t)size);
        rig_free(rig);
}

START_TEST(refuses_what_is_no_state) {
        static const le32 two = {{2}};
        static const uint8_t many[8] = {1, 0, 0, 16}; /* one byte more than sections may have */
        static const uint8_t most[8] = {0, 0, 0, 16};
        static const uint8_t all[8] = {255, 255, 255, 255, 255, 255, 255, 255};
        int fd = saved(), empty = new_file(), ends[2];
        check_refused(fd, 0, "X", 1, "not a saved state");
        check_refused(fd, VERSION_AT, &two, sizeof two, "later version");
        check_refused(fd, STATE_SIZE_AT, many, sizeof many, "not a saved state");
        check_refused(fd, STATE_SIZE_AT, most, sizeof most, "cut short or too long");
        check_refused(fd, STATE_SIZE_AT, all, sizeof all, "not a saved state");
        check_refused(fd, SECTION_AT, "X", 1, "not one of this version");
        check_refused(fd, SECTION_AT + STATE_HEADER_SIZE, "\2", 1, "damaged");
        struct rig *rig = rig_new(CODE_HALT);
        struct error e = {0}, pipe_error = {0};
        assert_error(machine_restore(rig->machine, empty, &e), -EBADMSG);
        assert_ok(fd_socketpair(SOCK_STREAM, ends));
        ck_assert_int_lt(machine_restore(rig->machine, ends[0], &pipe_error), 0);
        rig = rig_free(rig);
        close(ends[0]);
        close(ends[1]);
        close(empty);
        close(fd);
}
END_TEST

/* The header's state is longer than its section, within the same page. */
START_TEST(refuses_bytes_that_nothing_reads) {
        int fd = saved();
        uint64_t size;
        ck_assert_int_eq(pread(fd, &size, sizeof size, STATE_SIZE_AT), sizeof size);
        size++;
        check_refused(fd, STATE_SIZE_AT, &size, sizeof size, "bytes that nothing reads");
        close(fd);
}
END_TEST

START_TEST(a_failed_save_leaves_an_empty_file) {
        const enum fault_kind kinds[] = {FAULT_IO, FAULT_ALLOC};
        struct rig *rig = paused();
        int fd = new_file(), good = new_file();
        struct error none = {0};
        assert_ok(machine_save(rig->machine, good, &none));
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                for (unsigned n = 1;; n++) {
                        struct error e = {0};
                        ck_assert_int_eq(ftruncate(fd, 0), 0);
                        fault_arm(kinds[i], n);
                        int r = machine_save(rig->machine, fd, &e);
                        fault_arm(kinds[i], 0);
                        if (r == 0)
                                break;
                        ck_assert(e.hresult != 0 && e.text[0]);
                        ck_assert_int_eq(size_of(fd), 0);
                }
                assert_same(fd, good);
        }
        rig = rig_free(rig);
        close(fd);
        close(good);
}
END_TEST

START_TEST(a_failed_restore_leaves_a_machine_to_be_freed) {
        const enum fault_kind kinds[] = {FAULT_IO, FAULT_ALLOC, FAULT_KVM};
        unsigned fds = rig_count("/proc/self/fd");
        int fd = saved();
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                int r = -1;
                for (unsigned n = 1; r < 0; n++) {
                        struct error e = {0};
                        struct rig *rig = rig_new(CODE_HALT);
                        fault_arm(kinds[i], n);
                        r = machine_restore(rig->machine, fd, &e);
                        bool fired = fault_fired(kinds[i]);
                        fault_arm(kinds[i], 0);
                        ck_assert(r == 0 || (fired && e.hresult != 0 && e.text[0]));
                        machine_resume(rig->machine); /* nothing, unless it was restored */
                        rig_free(rig);
                }
        }
        close(fd);
        ck_assert_uint_eq(rig_count("/proc/self/fd"), fds);
}
END_TEST

TEST_MAIN("vmwp/save", only_a_paused_machine_is_saved, a_restored_machine_saves_to_the_same_bytes,
        a_restart_that_is_due_comes_after_the_restore, memory_that_was_never_touched_is_a_hole,
        a_file_is_written_over, is_for_a_machine_of_the_same_size, refuses_what_is_no_state,
        refuses_bytes_that_nothing_reads, a_failed_save_leaves_an_empty_file,
        a_failed_restore_leaves_a_machine_to_be_freed)
