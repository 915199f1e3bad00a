// SPDX-License-Identifier: MIT
#include "wsb-test.h"
#include "base/fault.h"
#include "hcs-json/hcs.h"

static const struct wsb_machine machine = {.kernel = "/boot/vmlinuz",
        .initrd = "/tmp/initrd",
        .cmdline = "quiet",
        .vps = 2,
        .memory_mib = 2048};

static struct json *document(const char *text, struct wsb_notes *notes) {
        struct parsed p = accept(text);
        struct json *doc = NULL;
        assert_ok(wsb_to_hcs(p.settings, &machine, notes, &doc));
        parsed_done(&p);
        return doc;
}

START_TEST(makes_the_document_of_a_small_machine) {
        struct wsb_notes notes = {0};
        _cleanup_(json_unrefp) struct json *doc =
                document(CONFIG("<MemoryInMB>4097</MemoryInMB>"), &notes);
        _cleanup_free_ char *text = NULL;
        size_t n;
        assert_ok(json_format(doc, &text, &n));
        ck_assert_str_eq(text,
                "{\"Owner\":\"sandboxctl\",\"SchemaVersion\":{\"Major\":2,\"Minor\":1},"
                "\"ShouldTerminateOnLastHandleClosed\":true,\"VirtualMachine\":{"
                "\"StopOnReset\":false,\"Chipset\":{\"LinuxKernelDirect\":{"
                "\"KernelFilePath\":\"/boot/vmlinuz\",\"InitRdPath\":\"/tmp/initrd\","
                "\"KernelCmdLine\":\"quiet\"}},\"ComputeTopology\":{\"Memory\":{\"SizeInMB\":4096},"
                "\"Processor\":{\"Count\":2}},\"Devices\":{\"HvSocket\":{\"HvSocketConfig\":{"
                "\"ServiceTable\":{}}}},\"GuestConnection\":{}}}");
        wsb_notes_done(&notes);
}
END_TEST

START_TEST(the_document_acts_whole) {
        struct wsb_notes notes = {0};
        _cleanup_(json_unrefp) struct json *doc = document(CONFIG(""), &notes), *warnings = NULL;
        _cleanup_(hcs_system_freep) struct hcs_system *system = NULL;
        struct error e = {0};
        ck_assert_msg(hcs_document_check(HCS_DOC_CREATE, doc, 0, &e) == 0, "%s", e.text);
        ck_assert_msg(hcs_system_decode(doc, &e, &system, &warnings) == 0, "%s", e.text);
        ck_assert_uint_eq(json_length(warnings), 0);
        ck_assert_uint_eq(system->memory_mib, 2048);
        ck_assert(system->guest_connection && !system->stop_on_reset);
        wsb_notes_done(&notes);
}
END_TEST

START_TEST(what_cannot_act_is_noted_by_name) {
        struct wsb_notes notes = {0};
        struct json *doc = document(
                CONFIG("<Networking>Enable</Networking>\n<vGPU>Default</vGPU><AudioInput>Disable"
                       "</AudioInput><VideoInput>Default</VideoInput><MappedFolders><MappedFolder>"
                       "<HostFolder>/usr</HostFolder></MappedFolder></MappedFolders>"),
                &notes);
        json_unref(doc);
        ck_assert_uint_eq(notes.n, 4);
        ck_assert_str_eq(notes.items[0].text, "vGPU is not available in this version");
        ck_assert_uint_eq(notes.items[0].line, 2);
        ck_assert_str_eq(notes.items[0].path, "/Configuration/vGPU");
        ck_assert_str_eq(notes.items[1].text, "Networking is not available in this version");
        ck_assert_str_eq(notes.items[2].text, "MappedFolders is not available in this version");
        ck_assert_str_eq(notes.items[3].text,
                "on by default, not available in this version: ClipboardRedirection");
        wsb_notes_done(&notes);
}
END_TEST

START_TEST(a_file_that_turns_all_off_has_no_note) {
        struct wsb_notes notes = {0};
        struct json *doc = document(
                CONFIG("<vGPU>Disable</vGPU><Networking>Disable</Networking><AudioInput>Disable"
                       "</AudioInput><ClipboardRedirection>Disable</ClipboardRedirection>"),
                &notes);
        ck_assert_ptr_null(
                json_get(json_get(json_get(doc, "VirtualMachine"), "Devices"), "NetworkAdapters"));
        json_unref(doc);
        ck_assert_uint_eq(notes.n, 0);
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        struct parsed p = accept(CONFIG("<vGPU>Enable</vGPU>"));
        unsigned n = 1;
        for (;; n++) {
                struct wsb_notes notes = {0};
                struct json *doc = NULL;
                fault_arm(FAULT_ALLOC, n);
                int r = wsb_to_hcs(p.settings, &machine, &notes, &doc);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                wsb_notes_done(&notes);
                json_unref(doc);
                if (!fired)
                        break;
                assert_error(r, -ENOMEM);
        }
        ck_assert_uint_gt(n, 30);
        parsed_done(&p);
}
END_TEST

TEST_MAIN("wsb-hcs", makes_the_document_of_a_small_machine, the_document_acts_whole,
        what_cannot_act_is_noted_by_name, a_file_that_turns_all_off_has_no_note,
        sweep_frees_everything_when_memory_is_short)
