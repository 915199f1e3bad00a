// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/program.h"
#include "vmcompute/vmcompute.h"

enum {
        DEFAULT_CONNECT_TIMEOUT_S = 120,
        TIMEOUT_S_MAX = 24 * 3600,
};

struct settings {
        const char *socket; /* or fd */
        const char *worker; /* NULL: beside this program, or in libexecdir */
        int fd;
        unsigned idle_timeout_s, connect_timeout_s;
        bool verbose;
};

struct daemon {
        struct io_loop *loop;
        struct vmcompute *vc;
        int signals;
        bool told; /* a second signal does not wait for the workers */
};

static void help(void) {
        puts("vmcomputed [OPTIONS] --socket PATH | --fd N\n"
             "Compute systems for clients that speak JSON-RPC; see vmcomputed(8).\n"
             "\n"
             "  --socket PATH          listen at PATH\n"
             "  --fd N                 serve descriptor N: a listening socket, or one connection,\n"
             "                         with which the daemon and its systems end\n"
             "  --idle-timeout S       end after S seconds without clients and systems\n"
             "  --connect-timeout S    how long a guest's agent may take (120)\n"
             "  --worker PATH          another vmwp than the one beside this program\n"
             "  --verbose              log at debug level\n"
             "  --version, --help");
}

static bool number(const char *text, unsigned max, unsigned *ret) {
        char *end;
        errno = 0;
        unsigned long v = strtoul(text, &end, 10);
        if (errno || end == text || *end || v > max || text[0] == '-') {
                fprintf(stderr, "vmcomputed: \"%s\" is not a number from 0 to %u\n", text, max);
                return false;
        }
        *ret = (unsigned)v;
        return true;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct settings *s) {
        static const struct option options[] = {
                {"socket", required_argument, NULL, 's'},
                {"fd", required_argument, NULL, 'f'},
                {"idle-timeout", required_argument, NULL, 'i'},
                {"connect-timeout", required_argument, NULL, 'c'},
                {"worker", required_argument, NULL, 'w'},
                {"verbose", no_argument, NULL, 'v'},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {0},
        };
        unsigned fd;
        int c;
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                bool ok = true;
                if (c == 's')
                        s->socket = optarg;
                else if (c == 'f' && (ok = number(optarg, 1 << 20, &fd)))
                        s->fd = (int)fd;
                else if (c == 'i')
                        ok = number(optarg, TIMEOUT_S_MAX, &s->idle_timeout_s);
                else if (c == 'c')
                        ok = number(optarg, TIMEOUT_S_MAX, &s->connect_timeout_s);
                else if (c == 'w')
                        s->worker = optarg;
                else if (c == 'v')
                        s->verbose = true;
                else if (c == 'V')
                        return puts("vmcomputed " SANDBAR_VERSION), 0;
                else if (c == 'h')
                        return help(), 0;
                else
                        return 2;
                if (!ok)
                        return 2;
        }
        if (optind < argc || !s->socket == (s->fd < 0)) {
                fputs("vmcomputed: one of --socket and --fd is needed; see --help\n", stderr);
                return 2;
        }
        return -1;
}

static void on_finished(void *ctx) {
        struct daemon *d = ctx;
        io_loop_stop(d->loop);
}

static void on_signal(void *ctx, _unused_ unsigned events) {
        struct daemon *d = ctx;
        struct signalfd_siginfo info;
        if (read(d->signals, &info, sizeof info) != sizeof info)
                return;
        if (d->told)
                io_loop_stop(d->loop);
        else
                vmcompute_stop(d->vc);
        d->told = true;
}

static bool is_listening(int fd) {
        int on = 0;
        socklen_t size = sizeof on;
        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

static int serve(
        struct daemon *d, const struct settings *s, const char *worker, int fd, struct error *e) {
        struct vmcompute_options options = {
                .worker = worker,
                .xdg_cache_home = getenv("XDG_CACHE_HOME"),
                .home = getenv("HOME"),
                .connect_timeout_ms = s->connect_timeout_s * 1000,
                .idle_timeout_ms = s->idle_timeout_s * 1000,
                .private_connection = !is_listening(fd),
                .finished = on_finished,
                .ctx = d,
        };
        int r = vmcompute_new(d->loop, &options, &d->vc);
        if (r == 0)
                r = fd_set_nonblock(fd, true);
        if (r == 0)
                r = options.private_connection ? vmcompute_serve(d->vc, fd)
                                               : vmcompute_listen(d->vc, fd);
        return r < 0 ? error_set(e, r, 0, "cannot serve: %s", strerror(-r)) : 0;
}

static int run(struct daemon *d, const struct settings *s, struct error *e) {
        _cleanup_free_ char *worker = s->worker ? strdup(s->worker) : NULL;
        int r = worker ? 0 : program_find("vmwp", e, &worker);
        if (r < 0)
                return r;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGPIPE, &ignore, NULL);
        _cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signals < 0)
                return error_set(e, -errno, 0, "signalfd: %m");
        d->signals = signals;
        r = io_loop_new(&d->loop);
        struct io_source *source = NULL;
        if (r == 0)
                r = io_source_new(d->loop, signals, IO_READ, on_signal, d, &source);
        int fd = s->fd;
        if (r == 0 && s->socket)
                r = vmcompute_bind(s->socket, e, &fd);
        bool bound = r == 0 && s->socket;
        if (r == 0)
                r = serve(d, s, worker, fd, e);
        if (r == 0)
                r = io_loop_run(d->loop);
        if (bound)
                (void)unlink(s->socket);
        vmcompute_free(d->vc);
        io_source_free(source);
        io_loop_free(d->loop);
        return r < 0 ? error_set(e, r, 0, "%s", strerror(-r)) : 0;
}

int main(int argc, char **argv) {
        struct settings s = {.fd = -1, .connect_timeout_s = DEFAULT_CONNECT_TIMEOUT_S};
        int status = parse(argc, argv, &s);
        if (status >= 0)
                return status;
        /* A private daemon shares the terminal of its client, which tells what concerns it. */
        log_setup("vmcomputed", s.verbose ? LOG_DEBUG : s.socket ? LOG_INFO : LOG_ERROR);
        (void)!fd_raise_limit();
        struct daemon d = {0};
        struct error e = {0};
        if (run(&d, &s, &e) < 0) {
                log_error("%s", e.text);
                return 1;
        }
        return 0;
}
