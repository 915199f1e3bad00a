// SPDX-License-Identifier: MIT
#include <signal.h>
#include "hcs-test.h"
#include "base/fault.h"
#include "wire/hresult.h"

START_TEST(decodes_a_process) {
        _cleanup_(json_unrefp) struct json *doc =
                json_of("{'CommandArgs':['sh','-c','x y'],'Environment':{'A':'1','EMPTY':''},"
                        "'WorkingDirectory':'/w','User':'u','CreateStdInPipe':true,"
                        "'CreateStdOutPipe':true,'CreateStdErrPipe':true,'EmulateConsole':true,"
                        "'ConsoleSize':[24,80],'UseLegacyConsole':true}");
        _cleanup_(json_unrefp) struct json *warnings = NULL;
        _cleanup_(hcs_process_freep) struct hcs_process *p = NULL;
        struct error e = {0};
        assert_ok(hcs_process_decode(doc, &e, &p, &warnings));
        ck_assert_ptr_null(p->command_line);
        ck_assert_str_eq(p->args[2], "x y");
        ck_assert_ptr_null(p->args[3]);
        ck_assert_str_eq(p->environment[0], "A=1");
        ck_assert_str_eq(p->environment[1], "EMPTY=");
        ck_assert_ptr_null(p->environment[2]);
        ck_assert_str_eq(p->working_directory, "/w");
        ck_assert_str_eq(p->user, "u");
        ck_assert(p->create_stdin && p->create_stdout && p->emulate_console);
        ck_assert_msg(!p->create_stderr, "a console has one output");
        ck_assert_uint_eq(p->rows, 24);
        ck_assert_uint_eq(p->columns, 80);
        ck_assert_uint_eq(json_length(warnings), 1);
}
END_TEST

START_TEST(a_command_line_is_left_as_it_is) {
        _cleanup_(json_unrefp) struct json *doc = json_of("{'CommandLine':' a  b '}");
        _cleanup_(json_unrefp) struct json *warnings = NULL;
        _cleanup_(hcs_process_freep) struct hcs_process *p = NULL;
        struct error e = {0};
        assert_ok(hcs_process_decode(doc, &e, &p, &warnings));
        ck_assert_str_eq(p->command_line, " a  b ");
        ck_assert_ptr_null(p->args);
        ck_assert_ptr_null(p->environment[0]);
        ck_assert_str_eq(p->working_directory, "");
        ck_assert_uint_eq(p->rows, 0);
}
END_TEST

static int signal_of(const char *text, int32_t *ret) {
        _cleanup_(json_unrefp) struct json *doc = text ? json_of(text) : NULL;
        struct error e = {0};
        return hcs_signal_decode(doc, &e, ret);
}

START_TEST(signals_have_numbers_or_windows_names) {
        int32_t s = 0;
        assert_ok(signal_of(NULL, &s));
        ck_assert_int_eq(s, SIGTERM);
        assert_ok(signal_of("{}", &s));
        ck_assert_int_eq(s, SIGTERM);
        assert_ok(signal_of("{'Signal':64}", &s));
        ck_assert_int_eq(s, 64);
        assert_ok(signal_of("{'Signal':'CtrlC'}", &s));
        ck_assert_int_eq(s, SIGINT);
        assert_ok(signal_of("{'Signal':'CtrlShutdown'}", &s));
        ck_assert_int_eq(s, SIGTERM);
        s = 77;
        assert_error(signal_of("{'Signal':0}", &s), -EINVAL);
        assert_error(signal_of("{'Signal':65}", &s), -EINVAL);
        assert_error(signal_of("{'Signal':'SIGINT'}", &s), -EINVAL);
        ck_assert_int_eq(s, 77);
}
END_TEST

static int modify_of(const char *text, struct hcs_process_modify *ret) {
        _cleanup_(json_unrefp) struct json *doc = json_of(text);
        struct error e = {0};
        return hcs_process_modify_decode(doc, &e, ret);
}

START_TEST(decodes_process_modifications) {
        struct hcs_process_modify m;
        assert_ok(modify_of(
                "{'Operation':'ConsoleSize','ConsoleSize':{'Height':25,'Width':132}}", &m));
        ck_assert_int_eq(m.operation, HCS_PROCESS_CONSOLE_SIZE);
        ck_assert_uint_eq(m.rows, 25);
        ck_assert_uint_eq(m.columns, 132);
        assert_error(
                modify_of("{'Operation':'ConsoleSize','ConsoleSize':{'Height':25}}", &m), -EINVAL);
        assert_ok(modify_of("{'Operation':'CloseHandle','CloseHandle':{'Handle':'StdIn'}}", &m));
        ck_assert(m.operation == HCS_PROCESS_CLOSE_HANDLE && m.close_stdin && !m.close_stdout);
        assert_ok(modify_of("{'Operation':'CloseHandle','CloseHandle':{'Handle':'All'}}", &m));
        ck_assert(m.close_stdin && m.close_stdout && m.close_stderr);
        assert_error(modify_of("{'Operation':'CloseHandle','CloseHandle':{}}", &m), -EINVAL);
}
END_TEST

START_TEST(decodes_shutdown_options) {
        struct hcs_shutdown s;
        struct error e = {0};
        assert_ok(hcs_shutdown_decode(NULL, &e, &s));
        ck_assert(!s.mechanism_given && !s.reboot && !s.force);
        _cleanup_(json_unrefp) struct json *doc = json_of(
                "{'Mechanism':'GuestConnection','Type':'Reboot','Force':true,'Reason':'x'}");
        assert_ok(hcs_shutdown_decode(doc, &e, &s));
        ck_assert(s.mechanism_given && s.by_guest_connection && s.reboot && s.force);
        _cleanup_(json_unrefp) struct json *hibernate = json_of("{'Type':'Hibernate'}");
        assert_error(hcs_shutdown_decode(hibernate, &e, &s), -EOPNOTSUPP);
        ck_assert_uint_eq(e.hresult, HR_NOT_SUPPORTED);
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        static const char *const texts[] = {
                "{'CommandArgs':['a','b'],'Environment':{'A':'1','B':'2'},'UseExistingLogin':true}",
                "{'CommandLine':'a'}"};
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                _cleanup_(json_unrefp) struct json *doc = json_of(texts[i]);
                for (unsigned n = 1;; n++) {
                        struct hcs_process *p = NULL;
                        struct json *warnings = NULL;
                        struct error e = {0};
                        fault_arm(FAULT_ALLOC, n);
                        int r = hcs_process_decode(doc, &e, &p, &warnings);
                        bool fired = fault_fired(FAULT_ALLOC);
                        fault_arm(FAULT_ALLOC, 0);
                        hcs_process_free(p);
                        json_unref(warnings);
                        if (!fired)
                                break;
                        assert_error(r, -ENOMEM);
                }
        }
}
END_TEST

TEST_MAIN("hcs-process", decodes_a_process, a_command_line_is_left_as_it_is,
        signals_have_numbers_or_windows_names, decodes_process_modifications,
        decodes_shutdown_options, sweep_frees_everything_when_memory_is_short)
