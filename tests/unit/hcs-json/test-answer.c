// SPDX-License-Identifier: MIT
#include "hcs-test.h"
#include "base/fault.h"
#include "hcs-json/check.h"
#include "wire/hresult.h"

/* What we write is what the schema says of it. */
static void conforms(const struct json *doc, const char *type) {
        struct error e = {0};
        struct hcs_checker c = {.dialect = &hcs_dialect_hcs, .path = hcs_path_root(), .error = &e};
        int r = hcs_check_type(&c, hcs_schema_find(&hcs_schema_hcs, type), doc);
        ck_assert_msg(r == 0, "%s: %s", type, e.text);
}

static void prints(const struct json *doc, const char *expected) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        assert_ok(json_format(doc, &text, &n));
        for (char *s = text; *s; s++)
                if (*s == '"')
                        *s = '\'';
        ck_assert_str_eq(text, expected);
}

static const struct hcs_properties properties = {
        .id = "vm1",
        .owner = "me",
        .runtime_id = GUID_MAKE(0x00000001, 0x0002, 0x0003, 0x0004, 0x100000000005),
        .state = "Running",
        .terminate_on_last_handle_closed = true,
        .memory_assigned = 8192,
        .uptime_100ns = 7,
        .processor_100ns = 3,
        .memory_resident = 4096,
        .guest_connected = true,
        .guest_protocol = 4,
};
#define BASIC                                                                                      \
        "'Id':'vm1','SystemType':'VirtualMachine','RuntimeOsType':'Linux','Name':'vm1',"           \
        "'Owner':'me','RuntimeId':'00000001-0002-0003-0004-100000000005','State':'Running'"

START_TEST(basic_properties_are_always_there) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *doc = NULL, *empty = json_of("{}"), *again = NULL;
        assert_ok(hcs_properties_encode(&properties, NULL, &e, &doc));
        prints(doc, "{" BASIC "}");
        conforms(doc, "Properties");
        assert_ok(hcs_properties_encode(&properties, empty, &e, &again));
        prints(again, "{" BASIC "}");
}
END_TEST

START_TEST(legacy_queries_add_members) {
        struct error e = {0};
        _cleanup_(json_unrefp) struct json
                *doc = NULL,
                *query = json_of("{'PropertyTypes':['Basic','Memory','Statistics',"
                                 "'TerminateOnLastHandleClosed','GuestConnection']}");
        assert_ok(hcs_properties_encode(&properties, query, &e, &doc));
        conforms(doc, "Properties");
        ck_assert_uint_eq(json_get_u64(json_get(json_get(doc, "Memory"), "VirtualMachineMemory"),
                                  "AssignedMemory", 0),
                2);
        ck_assert_uint_eq(json_get_u64(json_get(doc, "Statistics"), "Uptime100ns", 0), 7);
        ck_assert(json_get_bool(doc, "TerminateOnLastHandleClosed", false));
        ck_assert_uint_eq(
                json_get_u64(json_get(doc, "GuestConnectionInfo"), "ProtocolVersion", 0), 4);
}
END_TEST

START_TEST(what_we_do_not_have_fails_the_legacy_query_and_one_answer_of_the_newer) {
        struct error e = {0};
        struct json *sentinel = json_new_null(), *doc = sentinel;
        _cleanup_(json_unrefp) struct json
                *legacy = json_of("{'PropertyTypes':['CpuGroup']}"),
                *newer = json_of("{'Queries':{'Basic':{},'Memory':{},'CpuGroup':{}}}");
        assert_error(hcs_properties_encode(&properties, legacy, &e, &doc), -EOPNOTSUPP);
        ck_assert_ptr_eq(doc, sentinel);
        ck_assert_uint_eq(e.hresult, HR_NOT_SUPPORTED);
        struct error f = {0};
        assert_ok(hcs_properties_encode(&properties, newer, &f, &doc));
        conforms(doc, "Properties");
        const struct json *responses = json_get(doc, "PropertyResponses");
        ck_assert_uint_eq(json_length(responses), 3);
        ck_assert(json_has(json_get(json_get(responses, "Basic"), "Response"), "Id"));
        ck_assert(json_has(json_get(json_get(responses, "Memory"), "Response"), "VirtualNodes"));
        ck_assert_int_eq(
                json_get_i64(json_get(json_get(responses, "CpuGroup"), "Error"), "Error", 0),
                (int32_t)HR_NOT_SUPPORTED);
        json_unref(doc);
}
END_TEST

START_TEST(stopped_systems_say_how_they_ended) {
        struct hcs_properties p = properties;
        struct error e = {0};
        _cleanup_(json_unrefp) struct json *doc = NULL;
        p.state = "Stopped";
        p.stopped = true;
        p.exit_type = "ForcedExit";
        assert_ok(hcs_properties_encode(&p, NULL, &e, &doc));
        conforms(doc, "Properties");
        ck_assert(json_get_bool(doc, "Stopped", false));
        ck_assert_str_eq(json_get_string(doc, "ExitType", ""), "ForcedExit");
}
END_TEST

static bool matches(const char *query) {
        _cleanup_(json_unrefp) struct json *doc = query ? json_of(query) : NULL;
        return hcs_query_matches(doc, "vm1", "me");
}

START_TEST(queries_select_systems) {
        ck_assert(matches(NULL) && matches("{}"));
        ck_assert(matches("{'Ids':['x','VM1']}") && !matches("{'Ids':['x']}"));
        ck_assert(matches("{'Owners':['me']}") && !matches("{'Owners':['Me']}"));
        ck_assert(matches("{'Types':['VirtualMachine']}") && !matches("{'Types':['Container']}"));
        ck_assert(!matches("{'Ids':['vm1'],'Owners':['x']}") && !matches("{'Ids':[]}"));
}
END_TEST

START_TEST(errors_become_result_errors) {
        struct error e = {.hresult = HCS_E_INVALID_JSON, .text = "$: no"};
        _cleanup_(json_unrefp) struct json *doc = NULL;
        assert_ok(hcs_error_encode(&e, &doc));
        conforms(doc, "ResultError");
        prints(doc,
                "{'Error':-2143878899,'ErrorMessage':'$: no','ErrorEvents':[{'Message':'$: no'}],"
                "'Attribution':[]}");
}
END_TEST

START_TEST(exits_name_their_causes) {
        struct hcs_exit x = {.status = HCS_E_UNEXPECTED_EXIT,
                .type = "UnexpectedExit",
                .worker_type = "UnexpectedStop",
                .worker_detail = "TripleFault",
                .initiator = "GuestOS",
                .crashed = true,
                .crash = {1, 2, 3, 4, UINT64_MAX}};
        _cleanup_(json_unrefp) struct json *doc = NULL, *quiet = NULL;
        assert_ok(hcs_exit_encode(&x, &doc));
        conforms(doc, "SystemExitStatus");
        prints(doc, "{'Status':-2143878906,'ExitType':'UnexpectedExit','Attribution':["
                    "{'WorkerExit':{'ExitCode':0,'Type':'UnexpectedStop','Detail':'TripleFault',"
                    "'Initiator':'GuestOS'}},{'GuestCrash':{'CrashParameters':"
                    "[1,2,3,4,18446744073709551615]}}]}");
        x = (struct hcs_exit){
                .type = "ForcedExit", .system_detail = "Terminate", .initiator = "Client"};
        assert_ok(hcs_exit_encode(&x, &quiet));
        conforms(quiet, "SystemExitStatus");
        prints(quiet, "{'Status':0,'ExitType':'ForcedExit','Attribution':[{'SystemExit':"
                      "{'Detail':'Terminate','Initiator':'Client'}}]}");
}
END_TEST

START_TEST(exit_codes_count_when_exited) {
        _cleanup_(json_unrefp) struct json *doc = NULL, *running = NULL;
        assert_ok(hcs_process_status_encode(5, true, -1, &doc));
        conforms(doc, "ProcessStatus");
        prints(doc, "{'ProcessId':5,'Exited':true,'ExitCode':4294967295,'LastWaitResult':0}");
        assert_ok(hcs_process_status_encode(5, false, -1, &running));
        prints(running, "{'ProcessId':5,'Exited':false,'ExitCode':0,'LastWaitResult':0}");
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        _cleanup_(json_unrefp) struct json *query =
                json_of("{'PropertyTypes':['Memory','Statistics','GuestConnection'],"
                        "'Queries':{'Memory':{},'Nope':{}}}");
        const struct hcs_exit x = {.type = "ForcedExit",
                .worker_type = "Stopped",
                .worker_detail = "PowerOff",
                .system_detail = "Terminate",
                .initiator = "Client",
                .crashed = true};
        for (unsigned n = 1;; n++) {
                struct error e = {0};
                struct json *a = NULL, *b = NULL, *c = NULL;
                fault_arm(FAULT_ALLOC, n);
                int r = hcs_properties_encode(&properties, query, &e, &a);
                if (r == 0)
                        r = hcs_exit_encode(&x, &b);
                if (r == 0)
                        r = hcs_process_status_encode(1, true, 0, &c);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                json_unref(a);
                json_unref(b);
                json_unref(c);
                if (!fired)
                        break;
                assert_error(r, -ENOMEM);
        }
}
END_TEST

TEST_MAIN("hcs-answer", basic_properties_are_always_there, legacy_queries_add_members,
        what_we_do_not_have_fails_the_legacy_query_and_one_answer_of_the_newer,
        stopped_systems_say_how_they_ended, queries_select_systems, errors_become_result_errors,
        exits_name_their_causes, exit_codes_count_when_exited,
        sweep_frees_everything_when_memory_is_short)
