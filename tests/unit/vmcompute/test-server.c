// SPDX-License-Identifier: MIT
/* The daemon in this process, its clients too, on one loop; the workers are this program again
 * (worker-double.h). */
#include "../test.h"
#include <elf.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "client/client.h"
#include "vmcompute/vmcompute.h"
#include "worker-double.h"

static struct io_loop *loop;
static struct vmcompute *vc;
static struct client *client;
static char dir[64], socket_path[96], kernel[96], self[4096];
static bool finished;
static unsigned events;
static char last_event[64], last_message[256];

static void on_finished(void *ctx) {
        (void)ctx;
        finished = true;
}

static unsigned replies;
static void on_reply(void *ctx, const struct client_reply *reply) {
        (void)ctx;
        (void)reply;
        replies++;
}

static void on_event(void *ctx, const char *method, const struct json *params) {
        (void)ctx;
        ck_assert_str_eq(method, "HcsEvent");
        events++;
        snprintf(last_event, sizeof last_event, "%s", json_get_string(params, "Type", ""));
        snprintf(last_message, sizeof last_message, "%s",
                json_get_string(params, "Message",
                        json_get_string(json_get(params, "EventData"), "CrashLog", "")));
}

static const struct client_ops ops = {.event = on_event};

static struct client *connect_client(void) {
        struct client_options options = {.daemon = CLIENT_EXISTING, .socket = socket_path};
        struct error e = {0};
        struct client *c;
        assert_ok(client_connect(loop, &options, &ops, NULL, &e, &c));
        return c;
}

static void begin(void) {
        Elf64_Ehdr elf = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                                  EV_CURRENT}};
        snprintf(dir, sizeof dir, "/tmp/sandbar-test-server-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(socket_path, sizeof socket_path, "%s/socket", dir);
        snprintf(kernel, sizeof kernel, "%s/kernel", dir);
        int fd = open(kernel, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_ok(fd_write_full(fd, &elf, sizeof elf));
        close(fd);
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        ck_assert_int_gt(n, 0);
        self[n] = 0;
        events = replies = 0;
        finished = false;
        assert_ok(io_loop_new(&loop));
        struct vmcompute_options options = {.worker = self,
                .xdg_cache_home = dir,
                .home = dir,
                .connect_timeout_ms = 1000,
                .finished = on_finished};
        struct error e = {0};
        assert_ok(vmcompute_new(loop, &options, &vc));
        assert_ok(vmcompute_bind(socket_path, &e, &fd));
        assert_ok(vmcompute_listen(vc, fd));
        client = connect_client();
}

static void end(void) {
        client = client_free(client);
        vc = vmcompute_free(vc);
        io_loop_free(loop);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* every child was reaped */
        char command[128];
        snprintf(command, sizeof command, "rm -r %s", dir);
        ck_assert_int_eq(system(command), 0);
}

static void turn_until(const bool *flag) {
        uint64_t deadline = clock_now_ns() + 20 * CLOCK_NS_PER_SEC;
        while (!*flag && clock_now_ns() < deadline)
                assert_ok(io_loop_once(loop, 100));
        ck_assert(*flag);
}

/* Calls. params may hold one handle and one document. */

static struct json *parse(const char *text) {
        struct error e = {0};
        struct json *value;
        int r = json_parse(text, strlen(text), &json_limits_client, &e, &value);
        ck_assert_msg(r == 0, "%s: %s", text, e.text);
        return value;
}

static struct error error;

static int call(const char *method, const char *params, struct json **ret) {
        error = (struct error){0};
        return client_call_wait(client, method, parse(params), 20000, &error, ret);
}

static void ok(const char *method, const char *params) {
        int r = call(method, params, NULL);
        ck_assert_msg(r == 0, "%s: 0x%08X %s", method, error.hresult, error.text);
}

static void fails(uint32_t hresult, const char *method, const char *params) {
        ck_assert_msg(call(method, params, NULL) < 0, "%s worked", method);
        ck_assert_msg(error.hresult == hresult, "%s: 0x%08X %s", method, error.hresult, error.text);
}

static const char *create_params(const char *id, bool keep) {
        static char text[1024];
        snprintf(text, sizeof text,
                "{\"id\":\"%s\",\"configuration\":{\"Owner\":\"t\",\"SchemaVersion\":{\"Major\":2,"
                "\"Minor\":1},\"ShouldTerminateOnLastHandleClosed\":%s,\"VirtualMachine\":{"
                "\"Chipset\":{\"LinuxKernelDirect\":{\"KernelFilePath\":\"%s\"}},"
                "\"ComputeTopology\":"
                "{\"Memory\":{\"SizeInMB\":64},\"Processor\":{\"Count\":1}},\"GuestConnection\":{}}"
                "}}",
                id, keep ? "false" : "true", kernel);
        return text;
}

static uint64_t create(const char *id) {
        struct json *result;
        int r = call("HcsCreateComputeSystem", create_params(id, false), &result);
        ck_assert_msg(r == 0, "%s", error.text);
        uint64_t handle = json_get_u64(result, "computeSystem", 0);
        json_unref(result);
        return handle;
}

static uint64_t start(const char *id) {
        uint64_t handle = create(id);
        ck_assert_uint_eq(handle, 1); /* the first of the connection, as all tests assume */
        ok("HcsSetComputeSystemCallback", "{\"computeSystem\":1}");
        ok("HcsStartComputeSystem", "{\"computeSystem\":1}");
        return handle;
}

START_TEST(a_worker_that_refuses_undoes_the_creation) {
        begin();
        fails(HR_NO_HYPERVISOR, "HcsCreateComputeSystem", create_params("refuse", false));
        ck_assert_str_eq(error.text, "no hypervisor");
        fails(HCS_E_UNEXPECTED_EXIT, "HcsCreateComputeSystem", create_params("die", false));
        ck_assert_ptr_nonnull(strstr(error.text, "signal 9"));
        fails(HCS_E_SYSTEM_NOT_FOUND, "HcsOpenComputeSystem", "{\"id\":\"refuse\"}");
        create("refused"); /* and the next one works */
        end();
}
END_TEST

START_TEST(a_start_that_fails_stops_the_system) {
        begin();
        create("late");
        ok("HcsSetComputeSystemCallback", "{\"computeSystem\":1}");
        fails(HR_TIMEOUT, "HcsStartComputeSystem", "{\"computeSystem\":1}");
        struct json *result;
        assert_ok(call("HcsWaitForComputeSystemExit", "{\"computeSystem\":1}", &result));
        ck_assert_str_eq(json_get_string(result, "message", ""), "no agent");
        json_unref(result);
        fails(HCS_E_SYSTEM_ALREADY_STOPPED, "HcsStartComputeSystem", "{\"computeSystem\":1}");
        end();
}
END_TEST

START_TEST(a_worker_that_falls_during_the_start_is_told) {
        begin();
        create("fall");
        fails(HCS_E_TERMINATED_DURING_START, "HcsStartComputeSystem", "{\"computeSystem\":1}");
        ck_assert_ptr_nonnull(strstr(error.text, "the worker"));
        end();
}
END_TEST

START_TEST(gives_a_process_its_streams_and_its_status) {
        begin();
        start("ok");
        struct json *result;
        int fds[CLIENT_FDS_MAX];
        size_t n;
        error = (struct error){0};
        assert_ok(client_call_wait_fds(client, "HcsCreateProcess",
                parse("{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"cat\","
                      "\"CreateStdInPipe\":true,\"CreateStdOutPipe\":true}}"),
                &error, &result, fds, &n));
        ck_assert_uint_eq(n, 2);
        ck_assert_uint_eq(json_get_u64(result, "process", 0), 2);
        const struct json *info = json_get(result, "processInformation");
        ck_assert_uint_eq(json_get_u64(info, "ProcessId", 0), 101);
        ck_assert_uint_eq(json_get_u64(info, "StdInput", 9), 0);
        ck_assert_uint_eq(json_get_u64(info, "StdOutput", 9), 1);
        ck_assert(json_has(info, "StdError") && json_is_null(json_get(info, "StdError")));
        json_unref(result);
        ck_assert_int_eq(write(fds[0], "hello", 5), 5);
        close(fds[0]);
        assert_ok(call("HcsWaitForProcessExit", "{\"process\":2}", &result));
        ck_assert_int_eq(json_get_i64(json_get(result, "result"), "ExitCode", 0), 3);
        json_unref(result);
        char text[8] = "";
        ck_assert_int_eq(read(fds[1], text, sizeof text), 5);
        ck_assert_str_eq(text, "hello");
        ck_assert_int_eq(read(fds[1], text, sizeof text), 0);
        close(fds[1]);
        fails(HCS_E_PROCESS_ALREADY_STOPPED, "HcsSignalProcess", "{\"process\":2}");
        ok("HcsCloseProcess", "{\"process\":2}");
        fails(HR_INVALID_HANDLE, "HcsGetProcessProperties", "{\"process\":2}");
        end();
}
END_TEST

START_TEST(close_handle_ends_the_input_while_the_client_holds_it) {
        begin();
        start("ok");
        struct json *result;
        int fds[CLIENT_FDS_MAX];
        size_t n;
        error = (struct error){0};
        assert_ok(client_call_wait_fds(client, "HcsCreateProcess",
                parse("{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"cat\","
                      "\"CreateStdInPipe\":true,\"CreateStdOutPipe\":true}}"),
                &error, &result, fds, &n));
        json_unref(result);
        ck_assert_int_eq(write(fds[0], "abc", 3), 3);
        ok("HcsModifyProcess", "{\"process\":2,\"settings\":{\"Operation\":\"CloseHandle\","
                               "\"CloseHandle\":{\"Handle\":\"StdIn\"}}}");
        ok("HcsWaitForProcessExit", "{\"process\":2,\"timeoutMs\":20000}");
        char text[8] = "";
        ck_assert_int_eq(read(fds[1], text, sizeof text), 3);
        close(fds[0]);
        close(fds[1]);
        end();
}
END_TEST

START_TEST(steers_processes) {
        begin();
        start("ok");
        struct json *result;
        fails(HR_FILE_NOT_FOUND, "HcsCreateProcess",
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"fail\"}}");
        ck_assert_str_eq(error.text, "no such program");
        ok("HcsCreateProcess",
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"run\"}}");
        assert_ok(call("HcsOpenProcess", "{\"computeSystem\":1,\"processId\":101}", &result));
        ck_assert_uint_eq(json_get_u64(result, "process", 0), 3);
        json_unref(result);
        fails(HR_NOT_FOUND, "HcsOpenProcess", "{\"computeSystem\":1,\"processId\":7}");
        ok("HcsModifyProcess", "{\"process\":2,\"settings\":{\"Operation\":\"ConsoleSize\","
                               "\"ConsoleSize\":{\"Height\":30,\"Width\":90}}}");
        fails(HR_NOT_SUPPORTED, "HcsModifyProcess",
                "{\"process\":2,\"settings\":{\"Operation\":\"CloseHandle\",\"CloseHandle\":{"
                "\"Handle\":\"StdOut\"}}}");
        fails(HCS_E_OPERATION_TIMEOUT, "HcsWaitForProcessExit", "{\"process\":2,\"timeoutMs\":20}");
        ok("HcsSetProcessCallback", "{\"process\":3}");
        ok("HcsTerminateProcess", "{\"process\":2}");
        assert_ok(call("HcsWaitForProcessExit", "{\"process\":3}", &result));
        ck_assert_int_eq(json_get_i64(json_get(result, "result"), "ExitCode", 0), 137);
        json_unref(result);
        ck_assert_str_eq(last_event, "ProcessExited");
        end();
}
END_TEST

START_TEST(a_lost_system_takes_its_processes_along) {
        begin();
        start("ok");
        ok("HcsCreateProcess",
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"run\"}}");
        ok("HcsTerminateComputeSystem", "{\"computeSystem\":1}");
        fails(HCS_E_SYSTEM_ALREADY_STOPPED, "HcsWaitForProcessExit", "{\"process\":2}");
        fails(HCS_E_SYSTEM_ALREADY_STOPPED, "HcsSignalProcess", "{\"process\":2}");
        /* The process's handle keeps the system, the last one lets it go. */
        ok("HcsCloseComputeSystem", "{\"computeSystem\":1}");
        ok("HcsGetProcessProperties", "{\"process\":2}");
        ok("HcsCloseProcess", "{\"process\":2}");
        fails(HCS_E_SYSTEM_NOT_FOUND, "HcsOpenComputeSystem", "{\"id\":\"ok\"}");
        end();
}
END_TEST

START_TEST(bounds_the_processes_of_a_system) {
        begin();
        start("ok");
        for (int i = 0; i < VMCOMPUTE_PROCESSES_MAX; i++)
                ok("HcsCreateProcess",
                        "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"run\"}}");
        fails(HR_OUTOFMEMORY, "HcsCreateProcess",
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"run\"}}");
        ok("HcsTerminateProcess", "{\"process\":2}");
        ok("HcsWaitForProcessExit", "{\"process\":2}"); /* asked to end is not yet ended */
        ok("HcsCloseProcess", "{\"process\":2}");
        ok("HcsCreateProcess",
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"run\"}}");
        end();
}
END_TEST

START_TEST(passes_a_crash_on_in_words) {
        begin();
        start("ok");
        ok("HcsCrashComputeSystem", "{\"computeSystem\":1,\"options\":{\"Type\":\"CrashGuest\"}}");
        struct json *result;
        assert_ok(call("HcsWaitForComputeSystemExit", "{\"computeSystem\":1}", &result));
        ck_assert_str_eq(json_get_string(result, "message", ""), "the guest crashed");
        const struct json *attribution = json_get(json_get(result, "result"), "Attribution");
        ck_assert_str_eq(
                json_get_string(json_get(json_at(attribution, 0), "WorkerExit"), "Detail", ""),
                "GuestCrash");
        json_unref(result);
        ck_assert_uint_eq(events, 2);
        ck_assert_str_eq(last_event, "SystemExited");
        end();
}
END_TEST

START_TEST(shuts_down_and_measures) {
        begin();
        start("ok");
        struct json *result;
        assert_ok(call("HcsGetComputeSystemProperties",
                "{\"computeSystem\":1,\"propertyQuery\":{\"PropertyTypes\":[\"Statistics\"]}}",
                &result));
        const struct json *properties = json_get(result, "resultDocument");
        ck_assert_uint_eq(json_get_u64(json_get(properties, "Statistics"), "Uptime100ns", 0), 77);
        json_unref(result);
        assert_ok(call("HcsGetComputeSystemProperties",
                "{\"computeSystem\":1,\"propertyQuery\":{\"PropertyTypes\":[\"GuestConnection\"]}}",
                &result));
        json_unref(result);
        ok("HcsShutDownComputeSystem", "{\"computeSystem\":1,\"options\":{}}");
        assert_ok(call("HcsWaitForComputeSystemExit", "{\"computeSystem\":1}", &result));
        ck_assert_str_eq(
                json_get_string(json_get(result, "result"), "ExitType", ""), "GracefulExit");
        json_unref(result);
        end();
}
END_TEST

START_TEST(connects_to_the_guest) {
        begin();
        start("ok");
        struct json *result;
        int fds[CLIENT_FDS_MAX];
        size_t n = 0;
        error = (struct error){0};
        assert_ok(client_call_wait_fds(client, "SandbarHvSocketConnect",
                parse("{\"computeSystem\":1,\"serviceId\":"
                      "\"00000016-facb-11e6-bd58-64006a7986d3\"}"),
                &error, &result, fds, &n));
        json_unref(result);
        ck_assert_uint_eq(n, 1);
        char text[4] = "";
        ck_assert_int_eq(read(fds[0], text, 4), 2);
        ck_assert_str_eq(text, "hi");
        close(fds[0]);
        end();
}
END_TEST

START_TEST(stops_everything_and_says_when) {
        begin();
        start("ok");
        struct json *params = parse(create_params("mute", true));
        assert_ok(client_call(client, "HcsCreateComputeSystem", params, on_reply, NULL));
        assert_ok(io_loop_once(loop, 100));
        vmcompute_stop(vc);
        vmcompute_stop(vc);
        turn_until(&finished);
        for (int i = 0; i < 5; i++)
                assert_ok(io_loop_once(loop, 10)); /* the client hears of it */
        ck_assert_str_eq(last_event, "SystemExited");
        end();
}
END_TEST

START_TEST(a_start_that_is_terminated_says_so) {
        begin();
        create("slow");
        assert_ok(client_call(
                client, "HcsStartComputeSystem", parse("{\"computeSystem\":1}"), on_reply, NULL));
        fails(HCS_E_INVALID_STATE, "HcsPauseComputeSystem", "{\"computeSystem\":1}");
        fails(HCS_E_INVALID_STATE, "HcsStartComputeSystem", "{\"computeSystem\":1}");
        ok("HcsTerminateComputeSystem", "{\"computeSystem\":1}");
        ck_assert_uint_eq(replies, 1); /* the start was answered first */
        end();
}
END_TEST

/* params NULL: those that create. Whatever runs out of memory or descriptors: the client gets an
 * answer or loses its connection, and nothing stays. */
static void sweep(enum fault_kind kind, const char *method, const char *params, bool started) {
        for (unsigned n = 1;; n++) {
                begin();
                if (started)
                        start("ok");
                struct json *document = parse(params ? params : create_params("ok", false));
                fault_arm(kind, n);
                error = (struct error){0};
                (void)!client_call_wait(client, method, document, 20000, &error, NULL);
                bool fired = fault_fired(kind);
                fault_arm(kind, 0);
                end();
                if (!fired)
                        break;
        }
}

START_TEST(sweep_of_faults_while_creating) {
        sweep(FAULT_ALLOC, "HcsCreateComputeSystem", NULL, false);
        sweep(FAULT_FD, "HcsCreateComputeSystem", NULL, false);
}
END_TEST

START_TEST(sweep_of_faults_while_a_process_starts) {
        static const char params[] =
                "{\"computeSystem\":1,\"processParameters\":{\"CommandLine\":\"exit\","
                "\"CreateStdInPipe\":true,\"CreateStdOutPipe\":true,\"CreateStdErrPipe\":true}}";
        sweep(FAULT_ALLOC, "HcsCreateProcess", params, true);
        sweep(FAULT_FD, "HcsCreateProcess", params, true);
}
END_TEST

START_TEST(sweep_of_faults_while_ending) {
        sweep(FAULT_ALLOC, "HcsTerminateComputeSystem", "{\"computeSystem\":1}", true);
}
END_TEST

int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "3") == 0)
                return double_main();
        log_setup("vmcomputed", LOG_ERROR);
        const test_fn tests[] = {a_worker_that_refuses_undoes_the_creation,
                a_start_that_fails_stops_the_system, a_worker_that_falls_during_the_start_is_told,
                gives_a_process_its_streams_and_its_status,
                close_handle_ends_the_input_while_the_client_holds_it, steers_processes,
                a_lost_system_takes_its_processes_along, bounds_the_processes_of_a_system,
                passes_a_crash_on_in_words, shuts_down_and_measures, connects_to_the_guest,
                stops_everything_and_says_when, a_start_that_is_terminated_says_so,
                sweep_of_faults_while_creating, sweep_of_faults_while_a_process_starts,
                sweep_of_faults_while_ending};
        return test_run("server", tests, sizeof tests / sizeof *tests, 60);
}
