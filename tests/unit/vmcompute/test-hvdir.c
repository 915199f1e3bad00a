// SPDX-License-Identifier: MIT
#include "../test.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmcompute/hvdir.h"
#include "wire/hvsocket.h"

static char base[64];
static int base_fd;
static struct jail_identity self;
static struct guid runtime_id;
static const struct guid service = GUID_MAKE(0x16u, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);
static const struct guid other = GUID_MAKE(0x16u, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d4);
#define SERVICE_NAME "00000016-facb-11e6-bd58-64006a7986d3"
#define OTHER_NAME   "00000016-facb-11e6-bd58-64006a7986d4"

static void begin(void) {
        log_setup("test", LOG_ERROR);
        snprintf(base, sizeof base, "/tmp/sandbar-test-hvdir-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(base));
        base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(base_fd, 0);
        assert_ok(jail_identity_self(&self));
        guid_random(&runtime_id);
}

static void end(void) {
        char command[128];
        close(base_fd);
        snprintf(command, sizeof command, "rm -r %s", base);
        ck_assert_int_eq(system(command), 0);
}

static struct hvdir *make(const char *id) {
        struct error e = {0};
        struct hvdir *dir;
        assert_ok(hvdir_new(base_fd, id, &runtime_id, &self, &e, &dir));
        return dir;
}

static bool there(const char *beneath) {
        struct stat st;
        return fstatat(base_fd, beneath, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void put(int dir_fd, const char *name) {
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
}

/* A socket beneath dir_fd; listens when backlog is not negative. */
static int put_socket(int dir_fd, const char *name, int type, int backlog) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
        if (backlog >= 0)
                ck_assert_int_eq(listen(fd, backlog), 0);
        return fd;
}

START_TEST(reads_services) {
        static const struct {
                const char *text;
                bool good;
                uint32_t data1;
        } cases[] = {
                {"0", true, 0},
                {"22", true, 22},
                {"2147483647", true, 0x7fffffff},
                {"2147483648", false, 0},
                {"4294967318", false, 0}, /* 22 + 2^32 */
                {"99999999999", false, 0},
                {"", false, 0},
                {"-1", false, 0},
                {"+1", false, 0},
                {" 1", false, 0},
                {"1 ", false, 0},
                {"0x16", false, 0},
                {"00000016-FACB-11e6-bd58-64006a7986d3", true, 22},
                {"{00000016-facb-11e6-bd58-64006a7986d3}", false, 0},
                {"00000016-facb-11e6-bd58-64006a7986d", false, 0},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct guid g = other;
                bool good = hvdir_parse_service(cases[i].text, &g);
                ck_assert_msg(good == cases[i].good, "%s", cases[i].text);
                struct guid expected = service;
                guid_set_data1(&expected, cases[i].data1);
                ck_assert_msg(!good || guid_equal(&g, &expected), "%s", cases[i].text);
        }
}
END_TEST

START_TEST(names_a_directory_by_a_plain_id_only) {
        char longest[HVDIR_NAME_MAX + 2];
        memset(longest, 'x', sizeof longest);
        longest[HVDIR_NAME_MAX] = 0;
        const struct {
                const char *id;
                bool plain;
        } cases[] = {{"a", true}, {"A-b_c.9", true}, {longest, true}, {".", false}, {"..", false},
                {".a", false}, {"a/b", false}, {"a b", false}, {"a\n", false}, {"", false}};
        char guid[GUID_TEXT_SIZE];
        begin();
        guid_format(&runtime_id, guid);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct hvdir *dir = make(cases[i].id);
                ck_assert_str_eq(hvdir_name(dir), cases[i].plain ? cases[i].id : guid);
                hvdir_free(dir);
        }
        longest[HVDIR_NAME_MAX] = 'x';
        longest[HVDIR_NAME_MAX + 1] = 0;
        struct hvdir *dir = make(longest);
        ck_assert_str_eq(hvdir_name(dir), guid);
        hvdir_free(dir);
        /* And the one that comes second. */
        struct hvdir *first = make("a"), *second = make("a");
        ck_assert_str_eq(hvdir_name(first), "a");
        ck_assert_str_eq(hvdir_name(second), guid);
        hvdir_free(first);
        ck_assert(there(HVDIR_ROOT));
        hvdir_free(second);
        ck_assert(!there(HVDIR_ROOT));
        end();
}
END_TEST

START_TEST(gives_the_owner_all_rights_and_others_none) {
        begin();
        mode_t mask = umask(0377);
        struct hvdir *dir = make("a");
        umask(mask);
        static const struct {
                const char *path;
                mode_t mode;
        } cases[] = {
                {HVDIR_ROOT, S_IFDIR | 0711},
                {HVDIR_ROOT "/a", S_IFDIR | 0700},
                {HVDIR_ROOT "/a/" HVDIR_CONNECT, S_IFSOCK | 0600},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct stat st;
                ck_assert_int_eq(fstatat(base_fd, cases[i].path, &st, AT_SYMLINK_NOFOLLOW), 0);
                ck_assert_uint_eq(st.st_mode, cases[i].mode);
                ck_assert_uint_eq(st.st_uid, self.uid);
        }
        hvdir_free(dir);
        end();
}
END_TEST

START_TEST(refuses_a_root_that_is_not_its_own) {
        char outside[128];
        struct hvdir *dir = (struct hvdir *)&base;
        begin();
        snprintf(outside, sizeof outside, "%s/outside", base);
        ck_assert_int_eq(mkdir(outside, 0700), 0);
        for (int i = 0; i < 3; i++) {
                struct error e = {0};
                if (i == 0)
                        ck_assert_int_eq(symlinkat(outside, base_fd, HVDIR_ROOT), 0);
                else if (i == 1)
                        put(base_fd, HVDIR_ROOT);
                else
                        ck_assert_int_eq(mkdirat(base_fd, HVDIR_ROOT, 0700) |
                                                 fchmodat(base_fd, HVDIR_ROOT, 0720, 0),
                                0);
                ck_assert_int_lt(hvdir_new(base_fd, "a", &runtime_id, &self, &e, &dir), 0);
                ck_assert_ptr_eq(dir, (struct hvdir *)&base);
                ck_assert_ptr_nonnull(strstr(e.text, HVDIR_ROOT));
                hvdir_sweep(base_fd);
                ck_assert(there(HVDIR_ROOT));
                ck_assert_int_eq(unlinkat(base_fd, HVDIR_ROOT, i == 2 ? AT_REMOVEDIR : 0), 0);
        }
        end();
}
END_TEST

START_TEST(connects_to_a_socket_and_to_nothing_else) {
        begin();
        struct hvdir *dir = make("a");
        int fd = hvdir_fd(dir);
        ck_assert(!hvdir_serves(fd, &service));
        assert_error(hvdir_connect(fd, &service, false), -ENOENT);

        ck_assert_int_eq(symlinkat(HVDIR_CONNECT, fd, SERVICE_NAME), 0);
        ck_assert(hvdir_serves(fd, &service));
        assert_error(hvdir_connect(fd, &service, false), -ENOTSOCK);
        /* A port's name counts only when there is none of the GUID's. */
        int number = put_socket(fd, "22", SOCK_STREAM, 1);
        assert_error(hvdir_connect(fd, &service, false), -ENOTSOCK);
        ck_assert_int_eq(unlinkat(fd, SERVICE_NAME, 0), 0);
        int c = hvdir_connect(fd, &service, false);
        ck_assert_int_ge(c, 0);
        ck_assert(fcntl(c, F_GETFL) & O_NONBLOCK);
        close(c);
        /* And only for a port. */
        assert_error(hvdir_connect(fd, &other, false), -ENOENT);

        put(fd, OTHER_NAME);
        assert_error(hvdir_connect(fd, &other, false), -ENOTSOCK);
        ck_assert_int_eq(unlinkat(fd, OTHER_NAME, 0), 0);
        int datagram = put_socket(fd, OTHER_NAME, SOCK_DGRAM, -1);
        assert_error(hvdir_connect(fd, &other, false), -EPROTOTYPE);
        ck_assert_int_eq(unlinkat(fd, OTHER_NAME, 0), 0);
        int silent = put_socket(fd, OTHER_NAME, SOCK_STREAM, -1);
        assert_error(hvdir_connect(fd, &other, true), -ECONNREFUSED);
        close(number);
        close(datagram);
        close(silent);
        hvdir_free(dir);
        end();
}
END_TEST

START_TEST(waits_for_a_full_backlog_no_longer_than_it_should) {
        begin();
        struct hvdir *dir = make("a");
        int fd = hvdir_fd(dir), server = put_socket(fd, SERVICE_NAME, SOCK_STREAM, 0);
        int first = hvdir_connect(fd, &service, false);
        ck_assert_int_ge(first, 0);
        assert_error(hvdir_connect(fd, &service, false), -EAGAIN);
        assert_error(hvdir_connect(fd, &service, true), -EAGAIN);
        int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        int second = hvdir_connect(fd, &service, true);
        ck_assert_int_ge(second, 0);
        ck_assert(fcntl(second, F_GETFL) & O_NONBLOCK);
        close(first);
        close(second);
        close(accepted);
        close(server);
        hvdir_free(dir);
        end();
}
END_TEST

/* Directories in each other, `depth` of them, a file in the last. */
static void put_deep(int dir_fd, unsigned depth) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < depth; i++) {
                ck_assert_int_eq(mkdirat(fd, "d", 0700), 0);
                int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        put(fd, "f");
        close(fd);
}

static void put_many(int dir_fd, unsigned n) {
        char name[16];
        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof name, "%u", i);
                put(dir_fd, name);
        }
}

START_TEST(removes_everything_up_to_its_limits) {
        begin();
        struct hvdir *dir = make("a");
        put_deep(hvdir_fd(dir), HVDIR_DEPTH_MAX);
        put(hvdir_fd(dir), "file");
        ck_assert_int_eq(mkfifoat(hvdir_fd(dir), "fifo", 0600), 0);
        ck_assert_int_eq(symlinkat(base, hvdir_fd(dir), "link"), 0);
        hvdir_free(dir);
        ck_assert(!there(HVDIR_ROOT));

        dir = make("a");
        put_deep(hvdir_fd(dir), HVDIR_DEPTH_MAX + 1);
        hvdir_free(dir);
        ck_assert(there(HVDIR_ROOT "/a"));
        ck_assert(!there(HVDIR_ROOT "/a/" HVDIR_CONNECT));
        /* A later attempt gets no deeper, and a new one of that name is not hindered. */
        hvdir_sweep(base_fd);
        ck_assert(there(HVDIR_ROOT "/a"));
        dir = make("a");
        ck_assert_str_ne(hvdir_name(dir), "a");
        hvdir_free(dir);
        end();

        begin();
        dir = make("a");
        put_many(hvdir_fd(dir), HVDIR_ENTRIES_MAX - 1); /* and `connect` */
        hvdir_free(dir);
        ck_assert(!there(HVDIR_ROOT));
        dir = make("a");
        put_many(hvdir_fd(dir), HVDIR_ENTRIES_MAX);
        hvdir_free(dir);
        ck_assert(there(HVDIR_ROOT "/a"));
        hvdir_sweep(base_fd); /* the next daemon has as much patience again */
        ck_assert(!there(HVDIR_ROOT));
        end();
}
END_TEST

START_TEST(bears_an_owner_who_took_it_away) {
        begin();
        struct hvdir *dir = make("a");
        ck_assert_int_eq(unlinkat(hvdir_fd(dir), HVDIR_CONNECT, 0), 0);
        ck_assert_int_eq(unlinkat(base_fd, HVDIR_ROOT "/a", AT_REMOVEDIR), 0);
        assert_error(hvdir_connect(hvdir_fd(dir), &service, false), -ENOENT);
        hvdir_free(dir);
        ck_assert(!there(HVDIR_ROOT));
        end();
}
END_TEST

START_TEST(sweeps_what_nobody_holds) {
        begin();
        hvdir_sweep(base_fd); /* nothing */
        struct hvdir *dir = make("lives");
        ck_assert_int_eq(mkdirat(base_fd, HVDIR_ROOT "/dead", 0700), 0);
        ck_assert_int_eq(mkdirat(base_fd, HVDIR_ROOT "/.unfinished", 0700), 0);
        put(base_fd, HVDIR_ROOT "/dead/file");
        hvdir_sweep(base_fd);
        ck_assert(!there(HVDIR_ROOT "/dead"));
        ck_assert(!there(HVDIR_ROOT "/.unfinished"));
        ck_assert(there(HVDIR_ROOT "/lives/" HVDIR_CONNECT));
        hvdir_free(dir);
        ck_assert(!there(HVDIR_ROOT));
        hvdir_sweep(-1); /* a daemon without a path */
        end();
}
END_TEST

START_TEST(sweep_of_faults_leaves_nothing) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                for (unsigned n = 1;; n++) {
                        begin();
                        struct error e = {0};
                        struct hvdir *dir = NULL;
                        fault_arm(kinds[k], n);
                        int r = hvdir_new(base_fd, "a", &runtime_id, &self, &e, &dir);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        ck_assert_int_eq(r < 0, fired);
                        ck_assert_int_eq(r < 0, e.hresult != 0);
                        ck_assert_int_eq(r < 0, !dir);
                        ck_assert_int_eq(r < 0, !there(HVDIR_ROOT));
                        hvdir_free(dir);
                        end();
                        if (!fired)
                                break;
                }
}
END_TEST

TEST_MAIN("hvdir", reads_services, names_a_directory_by_a_plain_id_only,
        gives_the_owner_all_rights_and_others_none, refuses_a_root_that_is_not_its_own,
        connects_to_a_socket_and_to_nothing_else, waits_for_a_full_backlog_no_longer_than_it_should,
        removes_everything_up_to_its_limits, bears_an_owner_who_took_it_away,
        sweeps_what_nobody_holds, sweep_of_faults_leaves_nothing)
