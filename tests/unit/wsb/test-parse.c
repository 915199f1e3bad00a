// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "wsb-test.h"
#include "base/fault.h"
#include "wire/hresult.h"

START_TEST(reads_all_ten_settings) {
        struct parsed p =
                accept(CONFIG("<vGPU>Enable</vGPU><Networking>Disable</Networking>"
                              "<AudioInput>Disable</AudioInput><VideoInput>Enable</VideoInput>"
                              "<ProtectedClient>Enable</ProtectedClient>"
                              "<PrinterRedirection>Enable</PrinterRedirection>"
                              "<ClipboardRedirection>Disable</ClipboardRedirection>"
                              "<MemoryInMB>4096</MemoryInMB><MappedFolders><MappedFolder>"
                              "<HostFolder>/srv/x</HostFolder><ReadOnly>TRUE</ReadOnly>"
                              "</MappedFolder></MappedFolders><LogonCommand>"
                              "<Command> a &amp;&amp; b <![CDATA[<c>]]> </Command>"
                              "</LogonCommand>"));
        static const enum wsb_switch expected[WSB_SWITCHES_] = {WSB_ENABLE, WSB_DISABLE,
                WSB_DISABLE, WSB_ENABLE, WSB_ENABLE, WSB_ENABLE, WSB_DISABLE};
        ck_assert_mem_eq(p.settings->switches, expected, sizeof expected);
        ck_assert_uint_eq(p.settings->memory_mib, 4096);
        ck_assert_uint_eq(p.settings->n_folders, 1);
        ck_assert_str_eq(p.settings->folders[0].host_folder, "/srv/x");
        ck_assert_str_eq(p.settings->folders[0].sandbox_folder, "/mnt/x");
        ck_assert(p.settings->folders[0].read_only);
        ck_assert_str_eq(p.settings->logon_command, "a && b <c>");
        ck_assert_uint_eq(p.notes.n, 0);
        for (enum wsb_setting s = 0; s < WSB_SETTINGS_; s++)
                ck_assert_uint_eq(p.settings->places[s].line, 1);
        ck_assert_uint_eq(p.settings->places[WSB_VGPU].column, 16);
        parsed_done(&p);
}
END_TEST

START_TEST(refuses_switch_values_that_are_none) {
        static const char *const bad[] = {"Disabled", "Enabled", "true", "false", "0", "1", "Off",
                "Restricted", "", "  ", "Disable Disable", "Disable\xc2\xa0"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char text[128];
                snprintf(text, sizeof text, CONFIG("<Networking>%s</Networking>"), bad[i]);
                struct wsb_error e = refuse(text, "/Configuration/Networking", "switch");
                ck_assert_uint_eq(e.hresult, E_INVALIDARG);
                ck_assert_int_eq(e.class, WSB_CLASS_VALUE);
        }
        struct wsb_error e = refuse(CONFIG("<Networking>Disabled</Networking>"),
                "/Configuration/Networking", "'Disabled'");
        ck_assert_ptr_nonnull(strstr(e.accepted, "Disable)"));
        e = refuse(CONFIG("<vGPU>on</vGPU>"), "/Configuration/vGPU", "'on'");
        ck_assert_ptr_nonnull(strstr(e.accepted, "Enable)"));
}
END_TEST

START_TEST(memory_is_a_plain_decimal_number) {
        static const char *const bad[] = {"0", "0000000", "-1", "+4096", "4096.0", "0x1000", "4k",
                "4 096", "12345678", "1e4"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char text[128];
                snprintf(text, sizeof text, CONFIG("<MemoryInMB>%s</MemoryInMB>"), bad[i]);
                refuse(text, "/Configuration/MemoryInMB", "no amount of memory");
        }
        struct parsed p = accept(CONFIG("<MemoryInMB>9999999</MemoryInMB>"));
        ck_assert_uint_eq(p.settings->memory_mib, 9999999);
        ck_assert_uint_eq(p.notes.n, 0);
        parsed_done(&p);
        p = accept(CONFIG("<MemoryInMB>2048</MemoryInMB>"));
        ck_assert_uint_eq(p.notes.n, 0);
        parsed_done(&p);
        p = accept(CONFIG("<MemoryInMB>2047</MemoryInMB>"));
        ck_assert_uint_eq(p.settings->memory_mib, 2048);
        ck_assert_uint_eq(p.notes.n, 1);
        ck_assert_str_eq(p.notes.items[0].text, "MemoryInMB 2047 is raised to 2048");
        parsed_done(&p);
}
END_TEST

START_TEST(read_only_never_falls_back_to_writable) {
        static const char *const bad[] = {"yes", "", "2", "truely", "Enable", "-1"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char text[256];
                snprintf(text, sizeof text,
                        FOLDER("<HostFolder>/a</HostFolder><ReadOnly>%s</ReadOnly>"), bad[i]);
                refuse(text, "/Configuration/MappedFolders/MappedFolder/ReadOnly", "");
        }
        struct parsed p = accept(FOLDER("<ReadOnly>1</ReadOnly><HostFolder>/a</HostFolder>"));
        ck_assert(p.settings->folders[0].read_only);
        ck_assert_uint_eq(p.notes.n, 1);
        ck_assert_str_eq(p.notes.items[0].text, "value 1 read as true");
        parsed_done(&p);
        p = accept(FOLDER("<ReadOnly>0</ReadOnly><HostFolder>/a</HostFolder>"));
        ck_assert(!p.settings->folders[0].read_only);
        ck_assert_str_eq(p.notes.items[0].text, "value 0 read as false");
        parsed_done(&p);
}
END_TEST

START_TEST(host_folders_are_absolute_or_start_with_a_variable) {
        static const char at[] = "/Configuration/MappedFolders/MappedFolder/HostFolder";
        refuse(FOLDER("<HostFolder>data</HostFolder>"), at, "relative");
        refuse(FOLDER("<HostFolder>..\\data</HostFolder>"), at, "relative");
        refuse(FOLDER("<HostFolder>C:data</HostFolder>"), at, "relative");
        refuse(FOLDER("<HostFolder>100%</HostFolder>"), at, "relative");
        refuse(FOLDER("<HostFolder/>"), at, "empty");
        refuse(FOLDER("<HostFolder>/</HostFolder>"), at, "no name");
        refuse(FOLDER("<HostFolder>C:\\</HostFolder>"), at, "no name");
        struct wsb_error e = refuse(FOLDER("<HostFolder>//srv/x</HostFolder>"), at, "share");
        ck_assert_uint_eq(e.hresult, HR_LOGON_FAILURE);
        ck_assert_int_eq(e.class, WSB_CLASS_RESOURCE);
        refuse(FOLDER("<HostFolder>\\\\?\\C:\\x</HostFolder>"), at, "device");
        struct parsed p = accept(FOLDER("<HostFolder>%USERPROFILE%\\Docs</HostFolder>"));
        ck_assert_str_eq(p.settings->folders[0].sandbox_folder,
                "C:\\Users\\WDAGUtilityAccount\\Desktop\\Docs");
        parsed_done(&p);
        static const struct wsb_options relative = {.allow_relative = true};
        static const char text[] = FOLDER("<HostFolder>data</HostFolder>");
        p = parse_n(text, sizeof text - 1, &relative);
        assert_ok(p.result);
        ck_assert_str_eq(p.settings->folders[0].host_folder, "data");
        parsed_done(&p);
}
END_TEST

START_TEST(two_folders_cannot_have_one_target) {
        refuse(CONFIG("<MappedFolders><MappedFolder><HostFolder>/a/x</HostFolder></MappedFolder>"
                      "<MappedFolder><HostFolder>/b/x</HostFolder></MappedFolder></MappedFolders>"),
                "/Configuration/MappedFolders/MappedFolder[2]", "two folders");
        refuse(CONFIG("<MappedFolders><MappedFolder><HostFolder>/a</HostFolder>"
                      "<SandboxFolder>C:\\Lab</SandboxFolder></MappedFolder><MappedFolder>"
                      "<HostFolder>/b</HostFolder><SandboxFolder>c:/x/../LAB/</SandboxFolder>"
                      "</MappedFolder></MappedFolders>"),
                "/Configuration/MappedFolders/MappedFolder[2]/SandboxFolder", "two folders");
}
END_TEST

/* n folders, each with its own target. */
static char *folders(unsigned n) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        fputs("<Configuration><MappedFolders>", f);
        for (unsigned i = 0; i < n; i++)
                fprintf(f, "<MappedFolder><HostFolder>/f%u</HostFolder></MappedFolder>", i);
        fputs("</MappedFolders></Configuration>", f);
        fclose(f);
        return text;
}

START_TEST(takes_64_folders_and_no_more) {
        _cleanup_free_ char *most = folders(WSB_FOLDERS_MAX), *more = folders(WSB_FOLDERS_MAX + 1);
        struct parsed p = accept(most);
        ck_assert_uint_eq(p.settings->n_folders, 64);
        parsed_done(&p);
        refuse(more, "/Configuration/MappedFolders/MappedFolder[65]", "too many");
}
END_TEST

START_TEST(commands_have_at_most_8191_utf16_units) {
        _cleanup_free_ char *text = calloc(1, 40000);
        static const char head[] = "<Configuration><LogonCommand><Command>",
                          tail[] = "</Command></LogonCommand></Configuration>";
        memcpy(text, head, sizeof head);
        memset(text + sizeof head - 1, 'x', WSB_COMMAND_MAX);
        memcpy(text + sizeof head - 1 + WSB_COMMAND_MAX, tail, sizeof tail);
        struct parsed p = accept(text);
        ck_assert_uint_eq(strlen(p.settings->logon_command), 8191);
        parsed_done(&p);
        /* A character beyond the basic plane counts twice: 8190 + 2. */
        memcpy(text + sizeof head - 1 + WSB_COMMAND_MAX - 1, "\xf0\x9f\x93\xa6", 4);
        memcpy(text + sizeof head - 1 + WSB_COMMAND_MAX + 3, tail, sizeof tail);
        refuse(text, "/Configuration/LogonCommand/Command", "8192 characters");
}
END_TEST

START_TEST(empty_logon_commands_are_noted) {
        static const char *const texts[][2] = {
                {CONFIG("<LogonCommand/>"), "LogonCommand has no Command"},
                {CONFIG("<LogonCommand> <!-- x --> </LogonCommand>"),
                        "LogonCommand has no Command"},
                {COMMAND(" "), "Command is empty"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct parsed p = accept(texts[i][0]);
                ck_assert_ptr_null(p.settings->logon_command);
                ck_assert_uint_eq(p.notes.n, 1);
                ck_assert_str_eq(p.notes.items[0].text, texts[i][1]);
                parsed_done(&p);
        }
}
END_TEST

START_TEST(elements_stand_only_where_they_belong) {
        refuse("<Sandbox/>", "/Sandbox", "root element is Sandbox");
        refuse(CONFIG("<Command>x</Command>"), "/Configuration/Command", "not known");
        refuse(CONFIG("<LogonCommand>x</LogonCommand>"), "/Configuration/LogonCommand", "text");
        refuse(CONFIG("<MappedFolders><HostFolder>/a</HostFolder></MappedFolders>"),
                "/Configuration/MappedFolders/HostFolder", "not known");
        refuse(CONFIG("<MappedFolders/><MappedFolders/>"), "/Configuration/MappedFolders[2]",
                "twice");
        refuse(CONFIG("<Networking>Disable</Networking><networking>Disable</networking>"),
                "/Configuration/networking", "twice");
        refuse(FOLDER("<HostFolder>/a</HostFolder><HostFolder>/a</HostFolder>"),
                "/Configuration/MappedFolders/MappedFolder/HostFolder[2]", "twice");
        refuse(CONFIG("<Networking a='1'>Disable</Networking>"), "/Configuration/Networking",
                "attribute a");
        refuse(CONFIG("<x:Networking xmlns:x='u'>Disable</x:Networking>"),
                "/Configuration/x:Networking", "namespace");
        struct parsed p =
                accept("<Configuration xmlns='' xml:lang='en' xml:space='preserve' "
                       "xmlns:x='urn:x'><Networking>Disable</Networking></Configuration>");
        parsed_done(&p);
}
END_TEST

START_TEST(names_in_another_case_are_noted) {
        struct parsed p = accept("<configuration><NETWORKING>DISABLE</NETWORKING></configuration>");
        ck_assert_int_eq(p.settings->switches[WSB_NETWORKING], WSB_DISABLE);
        ck_assert_uint_eq(p.notes.n, 3);
        ck_assert_str_eq(p.notes.items[0].text, "element configuration read as Configuration");
        ck_assert_str_eq(p.notes.items[2].text, "value DISABLE read as Disable");
        ck_assert_str_eq(p.notes.items[2].path, "/configuration/NETWORKING");
        parsed_done(&p);
}
END_TEST

START_TEST(compat_notes_unknown_elements_and_still_judges_known_ones) {
        static const struct wsb_options compat = {.compat = true};
        static const char text[] =
                CONFIG("<CPUs a='1'>4<x/></CPUs><Networking>Disable</Networking>");
        struct parsed p = parse_n(text, sizeof text - 1, &compat);
        assert_ok(p.result);
        ck_assert_int_eq(p.settings->switches[WSB_NETWORKING], WSB_DISABLE);
        ck_assert_uint_eq(p.notes.n, 1);
        ck_assert_str_eq(p.notes.items[0].text, "element CPUs is not known and is ignored");
        parsed_done(&p);
        static const char bad[] = CONFIG("<CPUs/><Networking>Off</Networking>");
        p = parse_n(bad, sizeof bad - 1, &compat);
        assert_error(p.result, -EINVAL);
        parsed_done(&p);
}
END_TEST

START_TEST(what_is_quoted_cannot_steer_a_terminal) {
        struct wsb_error e = refuse(
                CONFIG("<vGPU>a&#10;b&#x9b;31m</vGPU>"), "/Configuration/vGPU", "'a?b??31m'");
        struct error line = {0};
        wsb_error_explain(&e, "f.wsb", &line);
        ck_assert_str_eq(line.text, "f.wsb:1:16: /Configuration/vGPU: 'a?b??31m' is no value for a "
                                    "switch; accepted: Enable, Disable, Default");
        ck_assert_uint_eq(line.hresult, E_INVALIDARG);
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        static const char text[] = CONFIG(
                "<VGpu>disable</VGpu><MappedFolders><MappedFolder><HostFolder>/a</HostFolder>"
                "</MappedFolder><MappedFolder><HostFolder>C:\\b</HostFolder><SandboxFolder>"
                "/b</SandboxFolder></MappedFolder></MappedFolders><LogonCommand><Command>c"
                "</Command></LogonCommand>");
        unsigned n = 1;
        for (;; n++) {
                fault_arm(FAULT_ALLOC, n);
                struct parsed p = parse_n(text, sizeof text - 1, NULL);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                int r = p.result;
                ck_assert(r == 0 || p.error.hresult == HR_OUTOFMEMORY);
                parsed_done(&p);
                if (!fired)
                        break;
                assert_error(r, -ENOMEM);
        }
        ck_assert_uint_gt(n, 20);
}
END_TEST

TEST_MAIN("wsb-parse", reads_all_ten_settings, refuses_switch_values_that_are_none,
        memory_is_a_plain_decimal_number, read_only_never_falls_back_to_writable,
        host_folders_are_absolute_or_start_with_a_variable, two_folders_cannot_have_one_target,
        takes_64_folders_and_no_more, commands_have_at_most_8191_utf16_units,
        empty_logon_commands_are_noted, elements_stand_only_where_they_belong,
        names_in_another_case_are_noted, compat_notes_unknown_elements_and_still_judges_known_ones,
        what_is_quoted_cannot_steer_a_terminal, sweep_frees_everything_when_memory_is_short)
