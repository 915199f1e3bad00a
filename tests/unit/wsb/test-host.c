// SPDX-License-Identifier: MIT
#include "wsb-test.h"
#include "base/fault.h"
#include "wire/hresult.h"

static const char *variable(void *userdata, const char *name) {
        (void)userdata;
        return strcmp(name, "ROOT") == 0    ? "/usr"
               : strcmp(name, "REL") == 0   ? "usr"
               : strcmp(name, "SHARE") == 0 ? "\\\\server"
                                            : NULL;
}

static const struct wsb_host host = {
        .directory = "/usr/share", .memory_mib = 4096, .variable = variable};

static void expands(const char *path, const char *expected) {
        _cleanup_free_ char *out = NULL, *missing = NULL;
        int r = wsb_expand(path, &host, &out, &missing);
        ck_assert_msg(r == 0, "%s: %d", path, r);
        ck_assert_str_eq(out, expected);
}

START_TEST(expands_variables_and_relative_paths) {
        expands("/a", "/a");
        expands("%ROOT%/bin", "/usr/bin");
        expands("/x/%REL%/%REL%", "/x/usr/usr");
        expands("/100%", "/100%");
        expands("/%%x", "/%%x");
        expands("C:\\x", "C:\\x");
        expands("doc/x", "/usr/share/doc/x");
        expands("a/%REL%", "/usr/share/a/usr");
}
END_TEST

START_TEST(says_which_variable_is_not_set) {
        char *out = NULL;
        _cleanup_free_ char *missing = NULL;
        assert_error(wsb_expand("/a/%NONE%/%ROOT%", &host, &out, &missing), -ENOENT);
        ck_assert_str_eq(missing, "NONE");
        ck_assert_ptr_null(out);
        char *unused = NULL;
        assert_error(wsb_expand("%REL%/x", &host, &out, &unused), -EINVAL);
        assert_error(wsb_expand("%SHARE%/x", &host, &out, &unused), -EINVAL);
        struct wsb_host nowhere = host;
        nowhere.directory = NULL;
        assert_error(wsb_expand("x", &nowhere, &out, &unused), -EINVAL);
}
END_TEST

START_TEST(finds_what_the_host_lacks) {
        struct parsed p = accept(CONFIG(
                "<MemoryInMB>8192</MemoryInMB><MappedFolders>"
                "<MappedFolder><HostFolder>/usr</HostFolder></MappedFolder>\n"
                "<MappedFolder><HostFolder>/no/such</HostFolder></MappedFolder>\n"
                "<MappedFolder><HostFolder>/etc/passwd</HostFolder></MappedFolder>\n"
                "<MappedFolder><HostFolder>%NONE%/x</HostFolder></MappedFolder>\n"
                "<MappedFolder><HostFolder>%REL%/y</HostFolder></MappedFolder></MappedFolders>"));
        ck_assert_int_eq(wsb_check_host(p.settings, &host, &p.notes), 5);
        static const struct {
                const char *path, *text;
                unsigned line;
                uint32_t hresult;
        } expected[] = {
                {"/Configuration/MemoryInMB", "8192 MiB is more than the 4096 MiB of this host", 1,
                        HR_OUTOFMEMORY},
                {"/Configuration/MappedFolders/MappedFolder[2]/HostFolder",
                        "the folder /no/such: No such file or directory", 2, HR_PATH_NOT_FOUND},
                {"/Configuration/MappedFolders/MappedFolder[3]/HostFolder",
                        "/etc/passwd is not a folder", 3, HR_PATH_NOT_FOUND},
                {"/Configuration/MappedFolders/MappedFolder[4]/HostFolder",
                        "the variable NONE of %NONE%/x is not set", 4, HR_PATH_NOT_FOUND},
                {"/Configuration/MappedFolders/MappedFolder[5]/HostFolder",
                        "%REL%/y does not give an absolute path", 5, E_INVALIDARG},
        };
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                ck_assert_str_eq(p.notes.items[i].path, expected[i].path);
                ck_assert_str_eq(p.notes.items[i].text, expected[i].text);
                ck_assert_uint_eq(p.notes.items[i].line, expected[i].line);
                ck_assert_uint_eq(p.notes.items[i].hresult, expected[i].hresult);
        }
        parsed_done(&p);
}
END_TEST

START_TEST(has_nothing_to_say_of_a_file_that_fits) {
        struct parsed p = accept(CONFIG("<MemoryInMB>4096</MemoryInMB>"));
        ck_assert_int_eq(wsb_check_host(p.settings, &host, &p.notes), 0);
        p.settings->memory_mib = 99999;
        struct wsb_host unknown = host;
        unknown.memory_mib = 0;
        ck_assert_int_eq(wsb_check_host(p.settings, &unknown, &p.notes), 0);
        parsed_done(&p);
}
END_TEST

START_TEST(sweep_says_when_memory_is_short) {
        struct parsed p = accept(FOLDER("<HostFolder>%ROOT%/none</HostFolder>"));
        for (unsigned n = 1;; n++) {
                struct wsb_notes notes = {0};
                fault_arm(FAULT_ALLOC, n);
                int r = wsb_check_host(p.settings, &host, &notes);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                wsb_notes_done(&notes);
                if (!fired)
                        break;
                assert_error(r, -ENOMEM);
        }
        parsed_done(&p);
}
END_TEST

TEST_MAIN("wsb-host", expands_variables_and_relative_paths, says_which_variable_is_not_set,
        finds_what_the_host_lacks, has_nothing_to_say_of_a_file_that_fits,
        sweep_says_when_memory_is_short)
