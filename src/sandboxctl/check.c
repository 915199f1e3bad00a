// SPDX-License-Identifier: MIT
#include "sandboxctl/check.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "wsb/wsb.h"

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_CANNOT = 2 };

struct check {
        const char *file;
        bool host, json; /* the options */
        struct wsb_error error;
        struct wsb_notes notes;
        size_t host_from, host_to; /* the notes about the host */
        struct wsb_settings *settings;
};

static void usage(FILE *out) {
        fprintf(out, "usage: sandboxctl check FILE [--host] [--json]\n"
                     "  --host  what this host lacks makes the file bad\n"
                     "  --json  print the settings with their warnings, or the error, as JSON\n");
}

/* ── JSON ──────────────────────────────────────────────────────────────────────────────────── */

static int set_hresult(struct json *o, const char *name, uint32_t code) {
        char text[16];
        snprintf(text, sizeof text, "0x%08X", code);
        return code ? json_set_string(o, name, text) : json_set(o, name, json_new_null());
}

static int set_place(struct json *o, unsigned line, unsigned column, const char *path) {
        int r = json_set(o, "Line", line ? json_new_u64(line) : json_new_null());
        if (r == 0)
                r = json_set(o, "Column", column ? json_new_u64(column) : json_new_null());
        if (r == 0)
                r = json_set(o, "Element", path ? json_new_string(path) : json_new_null());
        return r;
}

static struct json *error_to_json(const struct wsb_error *we) {
        struct json *o = json_new_object();
        if (set_hresult(o, "HRESULT", we->hresult) < 0 ||
                json_set_string(o, "Class", wsb_class_name(we->class)) < 0 ||
                set_hresult(o, "XmlLite", we->xmllite) < 0 ||
                set_place(o, we->line, we->column, we->path) < 0 ||
                json_set_string(o, "Message", we->message) < 0 ||
                json_set_string(o, "Accepted", we->accepted) < 0)
                return json_unref(o);
        return o;
}

static struct json *note_to_json(const struct wsb_note *note) {
        struct json *o = json_new_object();
        if (set_hresult(o, "HRESULT", note->hresult) < 0 ||
                set_place(o, note->line, note->column, note->path) < 0 ||
                json_set_string(o, "Message", note->text) < 0)
                return json_unref(o);
        return o;
}

static struct json *to_json(const struct check *c) {
        struct json *o = json_new_object(), *warnings = json_new_array(), *settings = NULL;
        int failed = c->error.hresult && json_set(o, "Error", error_to_json(&c->error)) < 0;
        if (c->settings)
                failed |= wsb_settings_to_json(c->settings, &settings) < 0 ||
                          json_set(o, "Settings", settings) < 0;
        for (size_t i = 0; i < c->notes.n; i++)
                failed |= json_add(warnings, note_to_json(&c->notes.items[i])) < 0;
        failed |= json_set(o, "Warnings", warnings) < 0;
        return failed ? json_unref(o) : o;
}

static int print_json(const struct check *c) {
        _cleanup_(json_unrefp) struct json *o = to_json(c);
        _cleanup_free_ char *text = NULL;
        if (!o || json_format_pretty(o, &text) < 0)
                return -ENOMEM;
        puts(text);
        return 0;
}

/* ── Text ──────────────────────────────────────────────────────────────────────────────────── */

static void print_text(const struct check *c) {
        for (size_t i = 0; i < c->notes.n; i++) {
                const struct wsb_note *note = &c->notes.items[i];
                bool is_host = c->host && i >= c->host_from && i < c->host_to;
                printf("%s", c->file);
                if (note->line)
                        printf(":%u:%u", note->line, note->column);
                printf(": %s: %s%s%s\n", is_host ? "error" : "warning", note->path ?: "",
                        note->path ? ": " : "", note->text);
        }
        if (!c->error.hresult) {
                printf("%s: good\n", c->file);
        } else if (!c->settings) {
                struct error e = {0};
                wsb_error_explain(&c->error, c->file, &e);
                fprintf(stderr, "%s (0x%08X)\n", e.text, e.hresult);
        }
}

/* ── Judging ───────────────────────────────────────────────────────────────────────────────── */

static const char *variable(void *userdata, const char *name) {
        (void)userdata;
        return getenv(name);
}

static uint64_t host_memory_mib(void) {
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size >> 20 : 0;
}

static int check_host(struct check *c) {
        char path[4096];
        snprintf(path, sizeof path, "%s", c->file);
        struct wsb_host host = {
                .directory = dirname(path), .memory_mib = host_memory_mib(), .variable = variable};
        c->host_from = c->notes.n;
        int n = wsb_check_host(c->settings, &host, &c->notes);
        if (n < 0)
                return n;
        c->host_to = c->notes.n;
        if (n == 0 || !c->host)
                return 0;
        /* The first thing that is missing is the error. */
        const struct wsb_note *first = &c->notes.items[c->host_from];
        c->error = (struct wsb_error){.hresult = first->hresult,
                .class = WSB_CLASS_RESOURCE,
                .line = first->line,
                .column = first->column};
        snprintf(c->error.path, sizeof c->error.path, "%s", first->path ?: "");
        snprintf(c->error.message, sizeof c->error.message, "%s", first->text);
        return 0;
}

/* -EINVAL: a bad file. */
static int judge(struct check *c) {
        _cleanup_close_ int fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_free_ char *data = NULL;
        size_t n = 0;
        int r = fd < 0 ? -errno : fd_read_file(fd, WSB_FILE_MAX, &data, &n);
        if (r == -EFBIG) {
                c->error = (struct wsb_error){.hresult = error_hresult(-EINVAL),
                        .class = WSB_CLASS_XML,
                        .path = "/",
                        .message = "the file is too large",
                        .accepted = "at most 1 MiB"};
                return -EINVAL;
        }
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", c->file, strerror(-r));
                return -EIO;
        }
        r = wsb_parse(data, n, NULL, &c->error, &c->notes, &c->settings);
        if (r == 0)
                r = wsb_note_unavailable(c->settings, &c->notes);
        if (r == 0)
                r = check_host(c);
        return r == 0 && c->error.hresult ? -EINVAL : r;
}

static int run(struct check *c) {
        int r = judge(c);
        if (r < 0 && r != -EINVAL) {
                if (r == -ENOMEM)
                        fprintf(stderr, "sandboxctl: out of memory\n");
                return EXIT_CANNOT;
        }
        if (!c->json)
                print_text(c);
        else if (print_json(c) < 0)
                return EXIT_CANNOT;
        return r < 0 ? EXIT_BAD : EXIT_GOOD;
}

int sandboxctl_check(int argc, char **argv) {
        static const struct option options[] = {{"host", no_argument, NULL, 'H'},
                {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
        struct check c = {0};
        optind = 0; /* main() has used getopt already */
        for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
                if (o == 'h') {
                        usage(stdout);
                        return EXIT_GOOD;
                }
                if (o == '?') {
                        usage(stderr);
                        return EXIT_CANNOT;
                }
                c.host |= o == 'H';
                c.json |= o == 'j';
        }
        if (argc - optind != 1) {
                usage(stderr);
                return EXIT_CANNOT;
        }
        c.file = argv[optind];
        int status = run(&c);
        wsb_notes_done(&c.notes);
        wsb_settings_free(c.settings);
        return status;
}
