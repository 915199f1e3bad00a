// SPDX-License-Identifier: MIT
#include "wsb-test.h"

START_TEST(default_means_what_it_does_in_windows) {
        static const bool on[WSB_SWITCHES_] = {[WSB_VGPU] = true,
                [WSB_NETWORKING] = true,
                [WSB_AUDIO_INPUT] = true,
                [WSB_CLIPBOARD_REDIRECTION] = true};
        _cleanup_(wsb_settings_freep) struct wsb_settings *s = wsb_settings_new();
        for (enum wsb_setting i = 0; i < WSB_SWITCHES_; i++) {
                ck_assert_int_eq(wsb_is_enabled(s, i), on[i]);
                s->switches[i] = WSB_DISABLE;
                ck_assert(!wsb_is_enabled(s, i));
                s->switches[i] = WSB_ENABLE;
                ck_assert(wsb_is_enabled(s, i));
        }
        ck_assert_ptr_null(wsb_settings_free(NULL));
}
END_TEST

START_TEST(policy_turns_off_and_names_what_it_changed) {
        struct parsed p = accept(CONFIG(
                "<vGPU>Disable</vGPU><VideoInput>Enable</VideoInput><MappedFolders><MappedFolder>"
                "<HostFolder>/a</HostFolder></MappedFolder></MappedFolders>"));
        unsigned changed = wsb_apply_policy(p.settings, WSB_FORBID_VGPU | WSB_FORBID_VIDEO_INPUT |
                                                                WSB_FORBID_PRINTER_REDIRECTION |
                                                                WSB_FORBID_WRITE_TO_MAPPED_FOLDERS);
        ck_assert_uint_eq(changed, WSB_FORBID_VIDEO_INPUT | WSB_FORBID_WRITE_TO_MAPPED_FOLDERS);
        ck_assert(!wsb_is_enabled(p.settings, WSB_VIDEO_INPUT));
        ck_assert(p.settings->folders[0].read_only);
        changed = wsb_apply_policy(p.settings, WSB_FORBID_MAPPED_FOLDERS | WSB_FORBID_NETWORKING);
        ck_assert_uint_eq(changed, WSB_FORBID_MAPPED_FOLDERS | WSB_FORBID_NETWORKING);
        ck_assert_uint_eq(p.settings->n_folders, 0);
        ck_assert_int_eq(p.settings->switches[WSB_NETWORKING], WSB_DISABLE);
        ck_assert_uint_eq(wsb_apply_policy(p.settings, ~0u),
                WSB_FORBID_AUDIO_INPUT | WSB_FORBID_CLIPBOARD_REDIRECTION);
        parsed_done(&p);
}
END_TEST

START_TEST(prints_settings_with_the_names_of_the_format) {
        struct parsed p = accept(COMMAND("echo \"hi\""));
        _cleanup_(json_unrefp) struct json *o = NULL;
        assert_ok(wsb_settings_to_json(p.settings, &o));
        ck_assert_str_eq(json_get_string(o, "LogonCommand", ""), "echo \"hi\"");
        ck_assert_uint_eq(json_length(o), WSB_SETTINGS_);
        for (enum wsb_setting s = 0; s < WSB_SETTINGS_; s++)
                ck_assert(json_has(o, wsb_setting_name(s)));
        parsed_done(&p);
}
END_TEST

START_TEST(notes_keep_their_place) {
        struct wsb_notes notes = {0};
        char path[] = "/Configuration";
        struct wsb_note where = {.hresult = 5, .line = 3, .column = 4, .path = path};
        assert_ok(wsb_notes_add(&notes, &where, "a %d\n", 1));
        assert_ok(wsb_notes_add(&notes, NULL, "b"));
        ck_assert_str_eq(notes.items[0].text, "a 1?");
        ck_assert_str_eq(notes.items[0].path, "/Configuration");
        ck_assert_uint_eq(notes.items[0].line, 3);
        ck_assert_ptr_null(notes.items[1].path);
        wsb_notes_done(&notes);
        ck_assert_uint_eq(notes.n, 0);
}
END_TEST

START_TEST(errors_without_a_place_read_well) {
        struct wsb_error we = {.hresult = 0x80070057, .message = "too large"};
        struct error e = {0};
        wsb_error_explain(&we, "f.wsb", &e);
        ck_assert_str_eq(e.text, "f.wsb: too large");
}
END_TEST

TEST_MAIN("wsb-settings", default_means_what_it_does_in_windows,
        policy_turns_off_and_names_what_it_changed, prints_settings_with_the_names_of_the_format,
        notes_keep_their_place, errors_without_a_place_read_well)
