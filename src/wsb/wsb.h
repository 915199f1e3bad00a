// SPDX-License-Identifier: MIT
/* Windows Sandbox configuration files: text to settings, settings to an HCS document.
 *
 * wsb_parse() judges the text alone and never looks at the host; wsb_check_host() does that. A
 * refusal fills a struct wsb_error; what is accepted but worth saying is a note. Nothing here is
 * shared between threads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "json/json.h"

/* Limits of the format; one more is refused. */
enum {
        WSB_FILE_MAX = 1 << 20,    /* bytes */
        WSB_DEPTH_MAX = 16,        /* elements within elements */
        WSB_ELEMENTS_MAX = 4096,   /* in a file */
        WSB_TEXT_MAX = 32 << 10,   /* bytes of text in one element */
        WSB_FOLDERS_MAX = 64,      /* MappedFolder */
        WSB_COMMAND_MAX = 8191,    /* UTF-16 units of a Command */
        WSB_MEMORY_DIGITS_MAX = 7, /* of MemoryInMB */
        WSB_MEMORY_MIN = 2048,     /* MiB; less is raised to this */
};

/* ── What can be said about a file ─────────────────────────────────────────────────────────── */

enum wsb_error_class {
        WSB_CLASS_XML,       /* not well-formed, or XML that is forbidden here */
        WSB_CLASS_STRUCTURE, /* elements where they do not belong */
        WSB_CLASS_VALUE,     /* the text of an element */
        WSB_CLASS_RESOURCE,  /* something outside of the file */
};
const char *wsb_class_name(enum wsb_error_class c); /* "xml" … */

struct wsb_error {
        uint32_t hresult; /* 0: nothing was set */
        uint32_t xmllite; /* the nearest code of the classic app's XML reader, or 0 */
        enum wsb_error_class class;
        unsigned line, column; /* from 1, columns in code points; 0: the file as a whole */
        char path[512];        /* "/Configuration/MappedFolders/MappedFolder[2]/ReadOnly" */
        char message[512];     /* what is wrong */
        char accepted[256];    /* what would have been accepted; may be empty */
};
/* Puts all of it into one line: "FILE:3:5: /Configuration/Networking: …; accepted: …". */
void wsb_error_explain(const struct wsb_error *we, const char *file, struct error *e);

struct wsb_note {
        uint32_t hresult;      /* what a refusal would carry; 0 for mere remarks */
        unsigned line, column; /* 0: no place in the file */
        char *path;            /* NULL: no place in the file */
        char *text;
};
struct wsb_notes {
        struct wsb_note *items;
        size_t n;
};
_warn_unused_ int wsb_notes_add(struct wsb_notes *notes, const struct wsb_note *where,
        const char *fmt, ...) _printf_(3, 4); /* where: may be NULL; its text is not used */
void wsb_notes_done(struct wsb_notes *notes);

/* ── Settings ──────────────────────────────────────────────────────────────────────────────── */

enum wsb_switch { WSB_DEFAULT, WSB_ENABLE, WSB_DISABLE };
const char *wsb_switch_name(enum wsb_switch v);

enum wsb_setting {
        WSB_VGPU,
        WSB_NETWORKING,
        WSB_AUDIO_INPUT,
        WSB_VIDEO_INPUT,
        WSB_PROTECTED_CLIENT,
        WSB_PRINTER_REDIRECTION,
        WSB_CLIPBOARD_REDIRECTION,
        WSB_SWITCHES_,
        /* Those that are no switches. */
        WSB_MEMORY = WSB_SWITCHES_,
        WSB_MAPPED_FOLDERS,
        WSB_LOGON_COMMAND,
        WSB_SETTINGS_,
};
const char *wsb_setting_name(enum wsb_setting s); /* the element, as documented: "vGPU" … */

struct wsb_place {
        unsigned line, column; /* 0: the file does not say */
};

struct wsb_folder {
        char *host_folder;    /* as written: variables not expanded */
        char *sandbox_folder; /* absolute and normal; made up from host_folder when not given */
        bool read_only;
        struct wsb_place place; /* of HostFolder */
};

struct wsb_settings {
        enum wsb_switch switches[WSB_SWITCHES_];
        uint32_t memory_mib; /* 0: default */
        struct wsb_folder *folders;
        size_t n_folders;
        char *logon_command;                    /* NULL: none */
        struct wsb_place places[WSB_SETTINGS_]; /* where the file says so */
};
struct wsb_settings *wsb_settings_new(void); /* all defaults; NULL: no memory */
struct wsb_settings *wsb_settings_free(struct wsb_settings *settings);
DEFINE_CLEANUP(struct wsb_settings, wsb_settings_free)

/* Whether a switch is on, with what Default means today (Windows Sandbox, 2024). */
bool wsb_is_enabled(const struct wsb_settings *settings, enum wsb_setting s);
/* {"vGPU":"Default",…,"MemoryInMB":null,"MappedFolders":[…],"LogonCommand":null} */
_warn_unused_ int wsb_settings_to_json(const struct wsb_settings *settings, struct json **ret);

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

struct wsb_options {
        bool compat;         /* unknown elements are noted, not refused, as the Store app does */
        bool allow_relative; /* HostFolder may be relative to the file */
};

/* -EINVAL with *we filled, or -ENOMEM (*we filled as well). options NULL: strict. Notes are added
 * to *notes also when the file is refused in the end. */
_warn_unused_ int wsb_parse(const void *data, size_t n, const struct wsb_options *options,
        struct wsb_error *we, struct wsb_notes *notes, struct wsb_settings **ret);

/* ── The host ──────────────────────────────────────────────────────────────────────────────── */

struct wsb_host {
        const char *directory; /* of the .wsb file, for relative HostFolders */
        uint64_t memory_mib;   /* of the host; 0: not known */
        const char *(*variable)(void *userdata, const char *name); /* NULL: not set */
        void *userdata;
};

/* The path that a HostFolder means here: %VARIABLES% expanded, made absolute, "." and ".." kept.
 * -ENOENT with *ret_variable for one that is not set; -EINVAL when still not absolute. */
_warn_unused_ int wsb_expand(
        const char *host_folder, const struct wsb_host *host, char **ret, char **ret_variable);
/* Adds a note for each thing that this host lacks: a folder, a variable, memory. Returns how many,
 * or -ENOMEM. Looks with the caller's rights. */
_warn_unused_ int wsb_check_host(
        const struct wsb_settings *settings, const struct wsb_host *host, struct wsb_notes *notes);

/* ── Policy ────────────────────────────────────────────────────────────────────────────────── */

enum wsb_policy { /* the names of the Windows policies; a set bit forces the setting off */
        WSB_FORBID_VGPU = 1 << 0,
        WSB_FORBID_NETWORKING = 1 << 1,
        WSB_FORBID_AUDIO_INPUT = 1 << 2,
        WSB_FORBID_VIDEO_INPUT = 1 << 3,
        WSB_FORBID_PRINTER_REDIRECTION = 1 << 4,
        WSB_FORBID_CLIPBOARD_REDIRECTION = 1 << 5,
        WSB_FORBID_MAPPED_FOLDERS = 1 << 6,
        WSB_FORBID_WRITE_TO_MAPPED_FOLDERS = 1 << 7,
};
/* Returns the bits that changed something. */
unsigned wsb_apply_policy(struct wsb_settings *settings, unsigned forbidden);

/* ── This version ──────────────────────────────────────────────────────────────────────────── */

/* Notes what the settings ask for and this version cannot give: each that the file names, and in
 * one more note those that are on by default. */
_warn_unused_ int wsb_note_unavailable(
        const struct wsb_settings *settings, struct wsb_notes *notes);

/* ── The HCS document ──────────────────────────────────────────────────────────────────────── */

struct wsb_machine {
        const char *kernel;  /* absolute path */
        const char *initrd;  /* absolute path, or NULL */
        const char *cmdline; /* or NULL */
        unsigned vps;
        uint32_t memory_mib; /* when the file says nothing */
        const char *owner;   /* NULL: "sandboxctl" */
};

/* The create document of a machine with these settings (schema 2.1), with the notes of
 * wsb_note_unavailable(). The logon command is not in it: it is run as a
 * process once the machine is up. -ENOMEM. */
_warn_unused_ int wsb_to_hcs(const struct wsb_settings *settings, const struct wsb_machine *machine,
        struct wsb_notes *notes, struct json **ret);
