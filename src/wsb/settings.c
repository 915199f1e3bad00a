// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/fault.h"
#include "wire/hresult.h"
#include "wsb/error.h"
#include "wsb/wsb.h"

/* ── Errors and notes ──────────────────────────────────────────────────────────────────────── */

const char *wsb_class_name(enum wsb_error_class c) {
        static const char *const names[] = {"xml", "structure", "value", "resource"};
        return names[c];
}

/* Texts quote the file; nothing in them may end a line or steer a terminal. */
static void tame(char *text) {
        for (uint8_t *s = (uint8_t *)text; *s; s++)
                if (*s < 0x20 || *s == 0x7f)
                        *s = '?';
                else if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
                        s[0] = s[1] = '?';
}

int wsb_refuse(struct wsb_error *we, struct wsb_refusal refusal, const char *fmt, ...) {
        if (we->hresult)
                return -EINVAL;
        we->hresult = refusal.hresult ? refusal.hresult : E_INVALIDARG;
        we->xmllite = refusal.xmllite;
        we->class = refusal.class;
        if (!we->path[0])
                snprintf(we->path, sizeof we->path, "/");
        if (refusal.accepted)
                snprintf(we->accepted, sizeof we->accepted, "%s", refusal.accepted);
        va_list args;
        va_start(args, fmt);
        vsnprintf(we->message, sizeof we->message, fmt, args);
        va_end(args);
        tame(we->message);
        return -EINVAL;
}

int wsb_out_of_memory(struct wsb_error *we) {
        *we = (struct wsb_error){.hresult = HR_OUTOFMEMORY, .class = WSB_CLASS_RESOURCE};
        snprintf(we->message, sizeof we->message, "out of memory");
        return -ENOMEM;
}

void wsb_error_explain(const struct wsb_error *we, const char *file, struct error *e) {
        char place[32] = "";
        if (we->line)
                snprintf(place, sizeof place, ":%u:%u", we->line, we->column);
        error_set(e, -EINVAL, we->hresult, "%s%s: %s%s%s%s%s", file, place, we->path,
                we->path[0] ? ": " : "", we->message, we->accepted[0] ? "; accepted: " : "",
                we->accepted);
}

int wsb_notes_add(struct wsb_notes *notes, const struct wsb_note *where, const char *fmt, ...) {
        struct wsb_note note = where ? *where : (struct wsb_note){0};
        struct wsb_note *items = fault_hit(FAULT_ALLOC) ? NULL
                                                        : reallocarray(notes->items, notes->n + 1,
                                                                  sizeof *notes->items);
        if (!items)
                return -ENOMEM;
        notes->items = items;
        va_list args;
        va_start(args, fmt);
        int r = vasprintf(&note.text, fmt, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        tame(note.text);
        note.path = where && where->path ? strdup(where->path) : NULL;
        if (where && where->path && !note.path) {
                free(note.text);
                return -ENOMEM;
        }
        notes->items[notes->n++] = note;
        return 0;
}

void wsb_notes_done(struct wsb_notes *notes) {
        for (size_t i = 0; i < notes->n; i++) {
                free(notes->items[i].path);
                free(notes->items[i].text);
        }
        free(notes->items);
        *notes = (struct wsb_notes){0};
}

/* ── Settings ──────────────────────────────────────────────────────────────────────────────── */

const char *wsb_switch_name(enum wsb_switch v) {
        static const char *const names[] = {"Default", "Enable", "Disable"};
        return names[v];
}

const char *wsb_setting_name(enum wsb_setting s) {
        static const char *const names[WSB_SETTINGS_] = {
                [WSB_VGPU] = "vGPU",
                [WSB_NETWORKING] = "Networking",
                [WSB_AUDIO_INPUT] = "AudioInput",
                [WSB_VIDEO_INPUT] = "VideoInput",
                [WSB_PROTECTED_CLIENT] = "ProtectedClient",
                [WSB_PRINTER_REDIRECTION] = "PrinterRedirection",
                [WSB_CLIPBOARD_REDIRECTION] = "ClipboardRedirection",
                [WSB_MEMORY] = "MemoryInMB",
                [WSB_MAPPED_FOLDERS] = "MappedFolders",
                [WSB_LOGON_COMMAND] = "LogonCommand",
        };
        return names[s];
}

struct wsb_settings *wsb_settings_new(void) {
        return fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof(struct wsb_settings));
}

static void free_folders(struct wsb_settings *settings) {
        for (size_t i = 0; i < settings->n_folders; i++) {
                free(settings->folders[i].host_folder);
                free(settings->folders[i].sandbox_folder);
        }
        free(settings->folders);
        settings->folders = NULL;
        settings->n_folders = 0;
}

struct wsb_settings *wsb_settings_free(struct wsb_settings *settings) {
        if (!settings)
                return NULL;
        free_folders(settings);
        free(settings->logon_command);
        free(settings);
        return NULL;
}

bool wsb_is_enabled(const struct wsb_settings *settings, enum wsb_setting s) {
        static const bool by_default[WSB_SWITCHES_] = {
                [WSB_VGPU] = true,
                [WSB_NETWORKING] = true,
                [WSB_AUDIO_INPUT] = true,
                [WSB_CLIPBOARD_REDIRECTION] = true,
        };
        enum wsb_switch v = settings->switches[s];
        return v == WSB_ENABLE || (v == WSB_DEFAULT && by_default[s]);
}

static struct json *folders_to_json(const struct wsb_settings *settings) {
        struct json *array = json_new_array();
        for (size_t i = 0; i < settings->n_folders; i++) {
                const struct wsb_folder *f = &settings->folders[i];
                struct json *o = json_new_object();
                if (json_set_string(o, "HostFolder", f->host_folder) < 0 ||
                        json_set_string(o, "SandboxFolder", f->sandbox_folder) < 0 ||
                        json_set_bool(o, "ReadOnly", f->read_only) < 0)
                        o = json_unref(o);
                if (json_add(array, o) < 0)
                        return json_unref(array);
        }
        return array;
}

int wsb_settings_to_json(const struct wsb_settings *settings, struct json **ret) {
        _cleanup_(json_unrefp) struct json *o = json_new_object();
        for (enum wsb_setting s = 0; s < WSB_SWITCHES_; s++)
                if (json_set_string(
                            o, wsb_setting_name(s), wsb_switch_name(settings->switches[s])) < 0)
                        return -ENOMEM;
        if (json_set(o, wsb_setting_name(WSB_MEMORY),
                    settings->memory_mib ? json_new_u64(settings->memory_mib) : json_new_null()) <
                        0 ||
                json_set(o, wsb_setting_name(WSB_MAPPED_FOLDERS), folders_to_json(settings)) < 0 ||
                json_set(o, wsb_setting_name(WSB_LOGON_COMMAND),
                        settings->logon_command ? json_new_string(settings->logon_command)
                                                : json_new_null()) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* ── Policy ────────────────────────────────────────────────────────────────────────────────── */

unsigned wsb_apply_policy(struct wsb_settings *settings, unsigned forbidden) {
        static const struct {
                enum wsb_policy policy;
                enum wsb_setting setting;
        } switches[] = {
                {WSB_FORBID_VGPU, WSB_VGPU},
                {WSB_FORBID_NETWORKING, WSB_NETWORKING},
                {WSB_FORBID_AUDIO_INPUT, WSB_AUDIO_INPUT},
                {WSB_FORBID_VIDEO_INPUT, WSB_VIDEO_INPUT},
                {WSB_FORBID_PRINTER_REDIRECTION, WSB_PRINTER_REDIRECTION},
                {WSB_FORBID_CLIPBOARD_REDIRECTION, WSB_CLIPBOARD_REDIRECTION},
        };
        unsigned changed = 0;
        for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
                if (!(forbidden & switches[i].policy))
                        continue;
                if (wsb_is_enabled(settings, switches[i].setting))
                        changed |= switches[i].policy;
                settings->switches[switches[i].setting] = WSB_DISABLE;
        }
        if (forbidden & WSB_FORBID_MAPPED_FOLDERS && settings->n_folders > 0) {
                free_folders(settings);
                changed |= WSB_FORBID_MAPPED_FOLDERS;
        }
        for (size_t i = 0; i < settings->n_folders; i++)
                if (forbidden & WSB_FORBID_WRITE_TO_MAPPED_FOLDERS &&
                        !settings->folders[i].read_only) {
                        settings->folders[i].read_only = true;
                        changed |= WSB_FORBID_WRITE_TO_MAPPED_FOLDERS;
                }
        return changed;
}
