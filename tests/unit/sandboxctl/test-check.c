// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../test.h"
#include "base/fd.h"
#include "json/json.h"
#include "sandboxctl/check.h"

struct ran {
        int status;
        char *out, *err;
};

static char *taken(int fd) {
        char *text = NULL;
        size_t n;
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        assert_ok(fd_read_file(fd, 1 << 20, &text, &n));
        fd_close(fd);
        return text;
}

/* Runs the command in a process of its own, as its output is the process's. */
static struct ran run(const char *a, const char *b, const char *c) {
        const char *const args[] = {"check", a, b, c};
        char *argv[5] = {0};
        int argc = 0, out = memfd_create("out", MFD_CLOEXEC),
            err = memfd_create("err", MFD_CLOEXEC);
        while (argc < 4 && args[argc]) {
                argv[argc] = strdup(args[argc]);
                argc++;
        }
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(out, STDOUT_FILENO);
                dup2(err, STDERR_FILENO);
                int status = sandboxctl_check(argc, argv);
                fflush(NULL);
                _exit(status);
        }
        int status = -1;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        for (int i = 0; i < argc; i++)
                free(argv[i]);
        ck_assert(WIFEXITED(status));
        return (struct ran){WEXITSTATUS(status), taken(out), taken(err)};
}

static void ran_done(struct ran *r) {
        free(r->out);
        free(r->err);
}

static const char *file_with(const char *text) {
        static char path[64];
        snprintf(path, sizeof path, "/tmp/test-check-%d.wsb", getpid());
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        assert_ok(fd_write_full(fd, text, strlen(text)));
        return path;
}

static struct json *json_of(const char *text) {
        struct error e = {0};
        struct json *doc = NULL;
        int r = json_parse(text, strlen(text), &json_limits_client, &e, &doc);
        ck_assert_msg(r == 0, "%s: %s", text, e.text);
        return doc;
}

static const char missing[] =
        "<Configuration>\n<MappedFolders><MappedFolder><HostFolder>/no/such</HostFolder>"
        "</MappedFolder></MappedFolders></Configuration>";

START_TEST(a_good_file_is_0_with_its_warnings) {
        const char *path = file_with("<Configuration><VGpu>Disable</VGpu></Configuration>");
        struct ran r = run(path, NULL, NULL);
        ck_assert_int_eq(r.status, 0);
        ck_assert_ptr_nonnull(
                strstr(r.out, ":1:16: warning: /Configuration/VGpu: element VGpu read"));
        ck_assert_ptr_nonnull(strstr(r.out, ": good\n"));
        ck_assert_str_eq(r.err, "");
        ran_done(&r);
        unlink(path);
}
END_TEST

START_TEST(a_bad_file_is_1_with_place_code_and_remedy) {
        const char *path =
                file_with("<Configuration>\n <Networking>Off</Networking></Configuration>");
        struct ran r = run(path, NULL, NULL);
        ck_assert_int_eq(r.status, 1);
        ck_assert_ptr_nonnull(strstr(r.err, ".wsb:2:2: /Configuration/Networking: 'Off' is"));
        ck_assert_ptr_nonnull(strstr(r.err, "accepted: Enable, Disable, Default"));
        ck_assert_ptr_nonnull(strstr(r.err, "(0x80070057)"));
        ran_done(&r);
        unlink(path);
}
END_TEST

START_TEST(what_the_host_lacks_is_1_only_with_host) {
        const char *path = file_with(missing);
        struct ran r = run(path, NULL, NULL);
        ck_assert_int_eq(r.status, 0);
        ck_assert_ptr_nonnull(strstr(r.out, ":2:30: warning: "));
        ran_done(&r);
        r = run("--host", path, NULL);
        ck_assert_int_eq(r.status, 1);
        ck_assert_ptr_nonnull(strstr(r.out, ":2:30: error: "));
        ck_assert_ptr_null(strstr(r.out, "good"));
        ran_done(&r);
        unlink(path);
}
END_TEST

START_TEST(json_holds_the_settings_and_warnings) {
        const char *path = file_with(missing);
        struct ran r = run(path, "--json", NULL);
        ck_assert_int_eq(r.status, 0);
        _cleanup_(json_unrefp) struct json *doc = json_of(r.out);
        ck_assert(!json_has(doc, "Error"));
        ck_assert_uint_eq(json_length(json_get(json_get(doc, "Settings"), "MappedFolders")), 1);
        const struct json *warnings = json_get(doc, "Warnings");
        const struct json *last = json_at(warnings, json_length(warnings) - 1);
        ck_assert_str_eq(json_get_string(last, "HRESULT", ""), "0x80070003");
        ck_assert_uint_eq(json_get_u64(last, "Line", 0), 2);
        ran_done(&r);
        unlink(path);
}
END_TEST

START_TEST(json_holds_the_error) {
        const char *path = file_with("<Configuration>&</Configuration>");
        struct ran r = run("--json", path, NULL);
        ck_assert_int_eq(r.status, 1);
        ck_assert_str_eq(r.err, "");
        _cleanup_(json_unrefp) struct json *doc = json_of(r.out);
        const struct json *e = json_get(doc, "Error");
        ck_assert(!json_has(doc, "Settings"));
        ck_assert_str_eq(json_get_string(e, "HRESULT", ""), "0x80070057");
        ck_assert_str_eq(json_get_string(e, "Class", ""), "xml");
        ck_assert_str_eq(json_get_string(e, "XmlLite", ""), "0xC00CEE2C");
        ck_assert_str_eq(json_get_string(e, "Element", ""), "/Configuration");
        ck_assert_uint_eq(json_get_u64(e, "Line", 0), 1);
        ck_assert_uint_gt(json_get_u64(e, "Column", 0), 1);
        ran_done(&r);
        path = file_with(missing);
        r = run("--json", "--host", path);
        ck_assert_int_eq(r.status, 1);
        _cleanup_(json_unrefp) struct json *host = json_of(r.out);
        ck_assert_str_eq(json_get_string(json_get(host, "Error"), "HRESULT", ""), "0x80070003");
        ck_assert(json_has(host, "Settings"));
        ran_done(&r);
        unlink(path);
}
END_TEST

START_TEST(a_file_past_a_mebibyte_is_bad_and_one_that_cannot_be_read_is_2) {
        const char *path = file_with("");
        ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
        struct ran r = run(path, NULL, NULL);
        ck_assert_int_eq(r.status, 1);
        ck_assert_ptr_nonnull(strstr(r.err, "too large"));
        ran_done(&r);
        unlink(path);
        r = run("/no/such/file", NULL, NULL);
        ck_assert_int_eq(r.status, 2);
        ck_assert_ptr_nonnull(strstr(r.err, "/no/such/file: No such file"));
        ran_done(&r);
        r = run("/", NULL, NULL);
        ck_assert_int_eq(r.status, 2);
        ran_done(&r);
}
END_TEST

START_TEST(bad_usage_is_2) {
        static const char *const usages[][3] = {
                {NULL}, {"--nope", "f", NULL}, {"a", "b", NULL}, {"--json", NULL}};
        for (size_t i = 0; i < ARRAY_SIZE(usages); i++) {
                struct ran r = run(usages[i][0], usages[i][1], usages[i][2]);
                ck_assert_int_eq(r.status, 2);
                ck_assert_ptr_nonnull(strstr(r.err, "usage: sandboxctl check"));
                ran_done(&r);
        }
        struct ran r = run("--help", NULL, NULL);
        ck_assert_int_eq(r.status, 0);
        ck_assert_ptr_nonnull(strstr(r.out, "usage: sandboxctl check"));
        ran_done(&r);
}
END_TEST

TEST_MAIN("check", a_good_file_is_0_with_its_warnings, a_bad_file_is_1_with_place_code_and_remedy,
        what_the_host_lacks_is_1_only_with_host, json_holds_the_settings_and_warnings,
        json_holds_the_error, a_file_past_a_mebibyte_is_bad_and_one_that_cannot_be_read_is_2,
        bad_usage_is_2)
