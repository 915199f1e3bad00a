// SPDX-License-Identifier: MIT
/* `sandboxctl run FILE`: parses with the caller's rights, builds the document, runs the session. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "base/fd.h"
#include "sandboxctl/boot.h"
#include "sandboxctl/command.h"
#include "sandboxctl/session.h"
#include "sandboxctl/terminal.h"
#include "wire/hresult.h"
#include "wsb/wsb.h"

enum { RUN_CPUS_DEFAULT = 2, RUN_CPUS_MAX = 64, RUN_MEMORY_DEFAULT = 2048, RUN_MEMORY_MIN = 128 };

/* panic=-1: a crashed guest does not linger. */
static const char run_cmdline[] = "console=ttyS0 quiet panic=-1 rdinit=/init";

struct run_options {
        const char *file, *kernel, *socket;
        unsigned cpus;
        uint32_t memory_mib; /* 0: what the file says */
        char **argv;         /* behind "--", or NULL */
};

static int parse_number(
        const char *text, unsigned long min, unsigned long max, unsigned long *ret) {
        char *end;
        errno = 0;
        unsigned long v = strtoul(text, &end, 10);
        if (errno || end == text || *end || text[0] == '-' || v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

/* 0, or the exit status. */
static int parse_options(int argc, char **argv, struct run_options *ret) {
        *ret = (struct run_options){.cpus = RUN_CPUS_DEFAULT};
        for (int i = 1; i < argc; i++) {
                const char *arg = argv[i];
                unsigned long n;
                if (strcmp(arg, "--") == 0) {
                        ret->argv = argv + i + 1;
                        if (!*ret->argv)
                                return command_usage("run", EXIT_SANDBAR, "no command after --");
                        break;
                }
                bool known = strcmp(arg, "--kernel") == 0 || strcmp(arg, "--cpus") == 0 ||
                             strcmp(arg, "--memory") == 0 || strcmp(arg, "--socket") == 0;
                if (!known && arg[0] == '-')
                        return command_usage("run", EXIT_SANDBAR, "there is no option %s", arg);
                if (!known && ret->file)
                        return command_usage("run", EXIT_SANDBAR,
                                "one file only; a command goes behind --, as in: %s -- %s",
                                ret->file, arg);
                if (!known) {
                        ret->file = arg;
                        continue;
                }
                const char *value = argv[++i];
                if (i >= argc)
                        return command_usage("run", EXIT_SANDBAR, "%s needs a value", arg);
                if (strcmp(arg, "--kernel") == 0) {
                        ret->kernel = value;
                } else if (strcmp(arg, "--socket") == 0) {
                        ret->socket = value;
                } else if (strcmp(arg, "--cpus") == 0) {
                        if (parse_number(value, 1, RUN_CPUS_MAX, &n) < 0)
                                return command_usage("run", EXIT_SANDBAR,
                                        "--cpus %s: a number from 1 to %d is needed", value,
                                        RUN_CPUS_MAX);
                        ret->cpus = (unsigned)n;
                } else {
                        if (parse_number(value, RUN_MEMORY_MIN, 1 << 20, &n) < 0 || n % 2)
                                return command_usage("run", EXIT_SANDBAR,
                                        "--memory %s: an even number of MiB from %d is needed",
                                        value, RUN_MEMORY_MIN);
                        ret->memory_mib = (uint32_t)n;
                }
        }
        if (!ret->file)
                return command_usage("run", EXIT_SANDBAR, "which file?");
        return 0;
}

static void print_notes(const char *file, const struct wsb_notes *notes) {
        for (size_t i = 0; i < notes->n; i++) {
                const struct wsb_note *note = &notes->items[i];
                if (note->line)
                        fprintf(stderr, "sandboxctl: %s:%u:%u: %s\n", file, note->line,
                                note->column, note->text);
                else
                        fprintf(stderr, "sandboxctl: %s: %s\n", file, note->text);
        }
}

static int read_settings(const struct run_options *options, struct wsb_notes *notes,
        struct error *e, struct wsb_settings **ret) {
        _cleanup_close_ int fd = open(options->file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(e, -errno, 0, "%s: %s", options->file, strerror(errno));
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = fd_read_file(fd, WSB_FILE_MAX, &text, &size);
        if (r == -EFBIG)
                return error_set(e, r, E_INVALIDARG,
                        "%s: larger than the %d bytes that a .wsb file may have", options->file,
                        WSB_FILE_MAX);
        if (r < 0)
                return error_set(e, r, 0, "%s: %s", options->file, strerrordesc_np(-r));
        struct wsb_error we = {0};
        r = wsb_parse(text, size, NULL, &we, notes, ret);
        if (r < 0)
                wsb_error_explain(&we, options->file, e);
        return r;
}

static const char *run_variable(void *userdata _unused_, const char *name) {
        return getenv(name);
}

/* What the file asks of this host must be there: nothing is started by halves. */
static int check_host(
        const struct run_options *options, const struct wsb_settings *settings, struct error *e) {
        _cleanup_(wsb_notes_done) struct wsb_notes problems = {0};
        _cleanup_free_ char *path = strdup(options->file);
        struct sysinfo info;
        if (!path || sysinfo(&info) < 0)
                return error_set(e, -ENOMEM, 0, "not enough memory");
        struct wsb_host host = {
                .directory = dirname(path),
                .memory_mib = (uint64_t)info.totalram * info.mem_unit >> 20,
                .variable = run_variable,
        };
        int r = wsb_check_host(settings, &host, &problems);
        if (r < 0)
                return error_set(e, r, 0, "not enough memory");
        if (r == 0)
                return 0;
        const struct wsb_note *first = &problems.items[0];
        return error_set(e, -ENOENT, first->hresult, "%s:%u:%u: %s", options->file, first->line,
                first->column, first->text);
}

/* The guest's memory: the option, the file, the default, in this order. */
static int make_document(const struct run_options *options, const struct wsb_settings *settings,
        const struct boot_files *files, struct wsb_notes *notes, struct error *e,
        struct json **ret) {
        struct wsb_machine machine = {
                .kernel = files->kernel,
                .initrd = files->initrd,
                .cmdline = run_cmdline,
                .vps = options->cpus,
                .memory_mib = RUN_MEMORY_DEFAULT,
        };
        int r = wsb_to_hcs(settings, &machine, notes, ret);
        return r < 0 ? error_set(e, r, 0, "not enough memory for the document") : 0;
}

static int run(const struct run_options *options, struct error *e) {
        _cleanup_(wsb_notes_done) struct wsb_notes notes = {0};
        _cleanup_(wsb_settings_freep) struct wsb_settings *settings = NULL;
        _cleanup_(boot_files_done) struct boot_files files = {0};
        _cleanup_(json_unrefp) struct json *document = NULL;
        int r = read_settings(options, &notes, e, &settings);
        if (r < 0) {
                print_notes(options->file, &notes);
                return r;
        }
        if (options->memory_mib)
                settings->memory_mib = options->memory_mib;
        static const char *const shell[] = {"/bin/sh", "-l", NULL};
        struct session_options session = {
                .socket = options->socket,
                .console = terminal_present(),
        };
        if (options->argv)
                session.argv = (const char *const *)options->argv;
        else if (settings->logon_command)
                session.command_line = settings->logon_command;
        else if (session.console)
                session.argv = shell;
        else
                return error_set(e, -EINVAL, E_INVALIDARG,
                        "%s has no LogonCommand, and there is no terminal for a shell; give a "
                        "command "
                        "behind --",
                        options->file);
        r = check_host(options, settings, e);
        if (r == 0)
                r = boot_files_find(options->kernel, e, &files);
        if (r == 0)
                r = make_document(options, settings, &files, &notes, e, &document);
        print_notes(options->file, &notes);
        if (r < 0)
                return r;
        session.document = document;
        return session_run(&session, e);
}

int command_run(int argc, char **argv) {
        struct run_options options;
        struct error e = {0};
        int status = parse_options(argc, argv, &options);
        if (status)
                return status;
        int r = run(&options, &e);
        return r >= 0 ? r : command_failed(&e);
}
