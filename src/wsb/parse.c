// SPDX-License-Identifier: MIT
/* The tree of elements to settings: which elements may stand where, and what their texts may be. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/fault.h"
#include "wire/hresult.h"
#include "wsb/error.h"
#include "wsb/path.h"
#include "wsb/xml.h"

struct reader {
        const struct wsb_options *options;
        struct wsb_error *error;
        struct wsb_notes *notes;
        struct wsb_settings *settings;
};

/* A child that an element may have. Each may occur once, unless `many`. */
struct member {
        const char *name;
        int (*read)(struct reader *r, const struct wsb_element *e, unsigned index, void *target);
        bool many;
};

static const char space[] = " \t\r\n";

/* ── Saying ────────────────────────────────────────────────────────────────────────────────── */

/* The error to fill, with its place set. */
static struct wsb_error *at(struct reader *r, const struct wsb_element *e) {
        r->error->line = e->line;
        r->error->column = e->column;
        wsb_xml_path(e, r->error->path, sizeof r->error->path);
        return r->error;
}

static int note(struct reader *r, const struct wsb_element *e, const char *text, const char *name,
        const char *rest) {
        char path[sizeof r->error->path];
        wsb_xml_path(e, path, sizeof path);
        struct wsb_note where = {.line = e->line, .column = e->column, .path = path};
        int x = wsb_notes_add(r->notes, &where, "%s%s%s", text, name, rest);
        return x < 0 ? wsb_out_of_memory(r->error) : 0;
}

static int note_read_as(struct reader *r, const struct wsb_element *e, const char *what,
        const char *given, const char *meant) {
        char text[160];
        snprintf(text, sizeof text, "%s %.64s read as ", what, given);
        return note(r, e, text, meant, "");
}

/* ── Elements in elements ──────────────────────────────────────────────────────────────────── */

static int check_element(struct reader *r, const struct wsb_element *e) {
        if (e->foreign)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                .accepted = "elements without namespace or prefix"},
                        "the element %.64s is in a namespace", e->name);
        if (e->attribute)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                .accepted = "no attributes but xmlns and xml:*"},
                        "the attribute %.64s is not known", e->attribute);
        return 0;
}

static int refuse_unknown(
        struct reader *r, const struct wsb_element *e, const struct member *members, size_t n) {
        char accepted[256] = "";
        size_t used = 0;
        for (size_t i = 0; i < n && used < sizeof accepted; i++) {
                int x = snprintf(accepted + used, sizeof accepted - used, "%s%s", i ? ", " : "",
                        members[i].name);
                used += x > 0 ? (size_t)x : 0;
        }
        return wsb_refuse(at(r, e),
                (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE, .accepted = accepted},
                "the element %.64s is not known in %s", e->name, e->parent->name);
}

/* Finds the member that e is; *ret == n: none, and that has been noted. */
static int match(struct reader *r, const struct wsb_element *e, const struct member *members,
        size_t n, size_t *ret) {
        for (*ret = 0; *ret < n; ++*ret) {
                const char *name = members[*ret].name;
                if (strcmp(e->name, name) == 0)
                        return 0;
                if (strcasecmp(e->name, name) == 0)
                        return note_read_as(r, e, "element", e->name, name);
        }
        if (e->foreign || !r->options->compat)
                return check_element(r, e) < 0 ? -EINVAL : refuse_unknown(r, e, members, n);
        return note(r, e, "element ", e->name, " is not known and is ignored");
}

static int refuse_text(struct reader *r, const struct wsb_element *e) {
        return wsb_refuse(at(r, e),
                (struct wsb_refusal){
                        .class = WSB_CLASS_STRUCTURE, .accepted = "elements and white space"},
                "%s holds text", e->name);
}

static int read_members(struct reader *r, const struct wsb_element *container,
        const struct member *members, size_t n, void *target) {
        if (container->text && container->text[strspn(container->text, space)])
                return refuse_text(r, container);
        unsigned seen = 0;
        for (const struct wsb_element *e = container->children; e; e = e->next) {
                size_t i;
                int x = match(r, e, members, n, &i);
                if (x < 0)
                        return x;
                if (i == n)
                        continue;
                x = check_element(r, e);
                if (x < 0)
                        return x;
                if (seen & 1u << i && !members[i].many)
                        return wsb_refuse(at(r, e),
                                (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                        .accepted = "each element once"},
                                "%s is given twice", members[i].name);
                seen |= 1u << i;
                x = members[i].read(r, e, (unsigned)i, target);
                if (x < 0)
                        return x;
        }
        return 0;
}

/* ── Texts ─────────────────────────────────────────────────────────────────────────────────── */

/* The text of e without white space around it; *ret points into e. */
static int read_text(
        struct reader *r, const struct wsb_element *e, const char **ret, size_t *ret_n) {
        if (e->children)
                return wsb_refuse(at(r, e->children),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE, .accepted = "text"},
                        "an element inside of %s", e->name);
        const char *text = e->text ? e->text + strspn(e->text, space) : "";
        size_t n = strlen(text);
        while (n > 0 && strchr(space, text[n - 1]))
                n--;
        *ret = text;
        *ret_n = n;
        return 0;
}

static int copy_text(struct reader *r, const struct wsb_element *e, char **ret) {
        const char *text;
        size_t n;
        int x = read_text(r, e, &text, &n);
        if (x < 0)
                return x;
        *ret = fault_hit(FAULT_ALLOC) ? NULL : strndup(text, n);
        return *ret ? 0 : wsb_out_of_memory(r->error);
}

/* The index of the word that the text is, case not heeded, or -1. */
static int find_word(const char *text, size_t n, const char *const *words, size_t n_words) {
        for (size_t i = 0; i < n_words; i++)
                if (strlen(words[i]) == n && strncasecmp(text, words[i], n) == 0)
                        return (int)i;
        return -1;
}

static const char *meant_switch(const char *text, size_t n) {
        static const char *const wrong[] = {
                "Disabled", "false", "off", "no", "0", "Enabled", "true", "on", "yes", "1"};
        int i = find_word(text, n, wrong, ARRAY_SIZE(wrong));
        return i < 0 ? "" : i < 5 ? " (for this one: Disable)" : " (for this one: Enable)";
}

static int read_switch(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        static const char *const words[] = {"Default", "Enable", "Disable"}; /* as the enum */
        struct wsb_settings *settings = target;
        const char *text;
        size_t n;
        int x = read_text(r, e, &text, &n);
        if (x < 0)
                return x;
        int i = find_word(text, n, words, ARRAY_SIZE(words));
        if (i < 0) {
                char accepted[64];
                snprintf(accepted, sizeof accepted, "Enable, Disable, Default%s",
                        meant_switch(text, n));
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_VALUE, .accepted = accepted},
                        n ? "'%.*s' is no value for a switch" : "%.*sthe switch has no value",
                        (int)(n < 64 ? n : 64), text);
        }
        if (strncmp(text, words[i], n) != 0) {
                char given[16];
                snprintf(given, sizeof given, "%.*s", (int)n, text);
                x = note_read_as(r, e, "value", given, words[i]);
                if (x < 0)
                        return x;
        }
        settings->switches[index] = (enum wsb_switch)i;
        settings->places[index] = (struct wsb_place){e->line, e->column};
        return 0;
}

static int read_memory(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        struct wsb_settings *settings = target;
        const char *text;
        size_t n;
        int x = read_text(r, e, &text, &n);
        if (x < 0)
                return x;
        settings->places[index] = (struct wsb_place){e->line, e->column};
        if (n == 0)
                return note(r, e, e->name, " is empty", "");
        uint32_t mib = 0;
        bool digits = n <= WSB_MEMORY_DIGITS_MAX;
        for (size_t i = 0; i < n && digits; i++) {
                digits = text[i] >= '0' && text[i] <= '9';
                mib = mib * 10 + (uint32_t)(text[i] - '0');
        }
        if (!digits || mib == 0)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                .accepted = "a decimal number of MiB from 1 to 9999999"},
                        "'%.*s' is no amount of memory", (int)(n < 64 ? n : 64), text);
        settings->memory_mib = mib < WSB_MEMORY_MIN ? WSB_MEMORY_MIN : mib;
        if (mib >= WSB_MEMORY_MIN)
                return 0;
        char given[64];
        snprintf(given, sizeof given, "MemoryInMB %u is raised to ", mib);
        return note(r, e, given, "2048", "");
}

/* ── Mapped folders ────────────────────────────────────────────────────────────────────────── */

struct folder_reader {
        struct wsb_folder folder;
        const struct wsb_element *host, *sandbox;
};

static int read_host_folder(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        struct folder_reader *f = target;
        (void)index;
        int x = copy_text(r, e, &f->folder.host_folder);
        if (x < 0)
                return x;
        const char *path = f->folder.host_folder;
        f->host = e;
        f->folder.place = (struct wsb_place){e->line, e->column};
        if (wsb_path_is_share(path))
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_RESOURCE,
                                .hresult = HR_LOGON_FAILURE,
                                .accepted = "a folder on this host"},
                        "'%.128s' is on a network share or a device", path);
        bool starts_with_variable = path[0] == '%' && strchr(path + 1, '%');
        bool relative_is_fine = path[0] && r->options->allow_relative;
        if (wsb_path_is_absolute(path) || starts_with_variable || relative_is_fine)
                return 0;
        return wsb_refuse(at(r, e),
                (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                        .accepted = "an absolute path, or one that starts with a %VARIABLE%"},
                path[0] ? "'%.128s' is a relative path" : "%.1sHostFolder is empty", path);
}

static int read_sandbox_folder(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        struct folder_reader *f = target;
        (void)index;
        _cleanup_free_ char *path = NULL;
        int x = copy_text(r, e, &path);
        if (x < 0)
                return x;
        f->sandbox = e;
        x = wsb_path_normalise(path, &f->folder.sandbox_folder);
        if (x == -ENOMEM)
                return wsb_out_of_memory(r->error);
        if (x < 0)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                .accepted = "an absolute path below the root, as C:\\x or /x"},
                        wsb_path_is_absolute(path)
                                ? "'%.128s' is the root of the sandbox or leaves it"
                                : "'%.128s' is not an absolute path",
                        path);
        return 0;
}

static int read_read_only(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        static const char *const words[] = {"false", "true", "0", "1"};
        struct folder_reader *f = target;
        (void)index;
        const char *text;
        size_t n;
        int x = read_text(r, e, &text, &n);
        if (x < 0)
                return x;
        int i = find_word(text, n, words, ARRAY_SIZE(words));
        if (i < 0)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_VALUE, .accepted = "true, false"},
                        n ? "'%.*s' is neither true nor false" : "%.*sReadOnly is empty",
                        (int)(n < 64 ? n : 64), text);
        f->folder.read_only = i % 2;
        return i < 2 ? 0 : note_read_as(r, e, "value", words[i], words[i - 2]);
}

static int complete_folder(struct reader *r, const struct wsb_element *e, struct folder_reader *f) {
        if (!f->host)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                .accepted = "a MappedFolder with a HostFolder"},
                        "the HostFolder is missing");
        if (!f->sandbox) {
                int x = wsb_path_default_target(f->folder.host_folder, &f->folder.sandbox_folder);
                if (x == -ENOMEM)
                        return wsb_out_of_memory(r->error);
                if (x < 0)
                        return wsb_refuse(at(r, f->host),
                                (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                        .accepted = "a SandboxFolder beside it"},
                                "'%.128s' has no name to appear under", f->folder.host_folder);
        }
        for (size_t i = 0; i < r->settings->n_folders; i++)
                if (wsb_path_same(r->settings->folders[i].sandbox_folder, f->folder.sandbox_folder))
                        return wsb_refuse(at(r, f->sandbox ? f->sandbox : e),
                                (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                        .accepted = "another SandboxFolder for each"},
                                "two folders are mapped to '%.128s'", f->folder.sandbox_folder);
        return 0;
}

static int read_folder(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        static const struct member members[] = {
                {"HostFolder", read_host_folder, false},
                {"SandboxFolder", read_sandbox_folder, false},
                {"ReadOnly", read_read_only, false},
        };
        struct wsb_settings *settings = target;
        (void)index;
        if (settings->n_folders == WSB_FOLDERS_MAX)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                .accepted = "at most 64 mapped folders"},
                        "too many mapped folders");
        struct folder_reader f = {0};
        int x = read_members(r, e, members, ARRAY_SIZE(members), &f);
        if (x == 0)
                x = complete_folder(r, e, &f);
        struct wsb_folder *grown = NULL;
        if (x == 0) {
                if (!fault_hit(FAULT_ALLOC))
                        grown = reallocarray(settings->folders, settings->n_folders + 1,
                                sizeof *settings->folders);
                if (!grown)
                        x = wsb_out_of_memory(r->error);
        }
        if (x < 0) {
                free(f.folder.host_folder);
                free(f.folder.sandbox_folder);
                return x;
        }
        settings->folders = grown;
        settings->folders[settings->n_folders++] = f.folder;
        return 0;
}

static int read_folders(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        static const struct member members[] = {{"MappedFolder", read_folder, true}};
        r->settings->places[index] = (struct wsb_place){e->line, e->column};
        return read_members(r, e, members, ARRAY_SIZE(members), target);
}

/* ── Logon command ─────────────────────────────────────────────────────────────────────────── */

static size_t utf16_units(const char *utf8) {
        size_t n = 0;
        for (const char *s = utf8; *s; s++)
                n += ((uint8_t)*s & 0xc0) != 0x80 ? (uint8_t)*s >= 0xf0 ? 2 : 1 : 0;
        return n;
}

static int read_command(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        struct wsb_settings *settings = target;
        (void)index;
        _cleanup_free_ char *command = NULL;
        int x = copy_text(r, e, &command);
        if (x < 0)
                return x;
        if (utf16_units(command) > WSB_COMMAND_MAX)
                return wsb_refuse(at(r, e),
                        (struct wsb_refusal){.class = WSB_CLASS_VALUE,
                                .accepted = "at most 8191 characters; a script in a mapped folder "
                                            "takes more"},
                        "the command has %zu characters", utf16_units(command));
        if (!command[0])
                return note(r, e, e->name, " is empty", "");
        settings->logon_command = TAKE_PTR(command);
        return 0;
}

static int read_logon_command(
        struct reader *r, const struct wsb_element *e, unsigned index, void *target) {
        static const struct member members[] = {{"Command", read_command, false}};
        r->settings->places[index] = (struct wsb_place){e->line, e->column};
        if (!e->children && !(e->text && e->text[strspn(e->text, space)]))
                return note(r, e, e->name, " has no Command", "");
        return read_members(r, e, members, ARRAY_SIZE(members), target);
}

/* ── The file ──────────────────────────────────────────────────────────────────────────────── */

static int read_root(struct reader *r, const struct wsb_element *root) {
        static const char name[] = "Configuration";
        static const struct member members[WSB_SETTINGS_] = {
                [WSB_VGPU] = {"vGPU", read_switch, false},
                [WSB_NETWORKING] = {"Networking", read_switch, false},
                [WSB_AUDIO_INPUT] = {"AudioInput", read_switch, false},
                [WSB_VIDEO_INPUT] = {"VideoInput", read_switch, false},
                [WSB_PROTECTED_CLIENT] = {"ProtectedClient", read_switch, false},
                [WSB_PRINTER_REDIRECTION] = {"PrinterRedirection", read_switch, false},
                [WSB_CLIPBOARD_REDIRECTION] = {"ClipboardRedirection", read_switch, false},
                [WSB_MEMORY] = {"MemoryInMB", read_memory, false},
                [WSB_MAPPED_FOLDERS] = {"MappedFolders", read_folders, false},
                [WSB_LOGON_COMMAND] = {"LogonCommand", read_logon_command, false},
        };
        int x = check_element(r, root);
        if (x < 0)
                return x;
        if (strcasecmp(root->name, name) != 0)
                return wsb_refuse(at(r, root),
                        (struct wsb_refusal){.class = WSB_CLASS_STRUCTURE,
                                .accepted = "<Configuration> as the root element"},
                        "the root element is %.64s", root->name);
        if (strcmp(root->name, name) != 0)
                x = note_read_as(r, root, "element", root->name, name);
        return x < 0 ? x : read_members(r, root, members, ARRAY_SIZE(members), r->settings);
}

int wsb_parse(const void *data, size_t n, const struct wsb_options *options, struct wsb_error *we,
        struct wsb_notes *notes, struct wsb_settings **ret) {
        static const struct wsb_options strict;
        struct wsb_text text;
        int r = wsb_decode(data, n, we, &text);
        if (r < 0)
                return r;
        _cleanup_(wsb_xml_freep) struct wsb_element *root = NULL;
        r = wsb_xml_parse(&text, we, &root);
        free(text.utf8);
        if (r < 0)
                return r;
        _cleanup_(wsb_settings_freep) struct wsb_settings *settings = wsb_settings_new();
        if (!settings)
                return wsb_out_of_memory(we);
        struct reader reader = {.options = options ? options : &strict,
                .error = we,
                .notes = notes,
                .settings = settings};
        r = read_root(&reader, root);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(settings);
        return 0;
}
