// SPDX-License-Identifier: MIT
#include "vmcompute/files.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/rd.h"
#include "base/wr.h"
#include "bootimage/bootimage.h"
#include "io/chan.h"
#include "io/msg.h"
#include "wire/hresult.h"

enum {
        CHANNEL_FD = 3,     /* in the child */
        FILES_SECONDS = 60, /* for opening and unpacking; then the child ends */
};

struct files {
        struct io_chan *chan;
        pid_t child;
        files_done_fn done;
        void *ctx;
};

/* The child */

/* O_NONBLOCK, so that a FIFO does not hang here; what is not a regular file is refused. */
static int open_regular(const char *what, const char *path, struct error *e, int *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return error_set(e, -errno, 0, "cannot open the %s \"%s\": %m", what, path);
        struct stat st;
        if (fstat(fd, &st) < 0)
                return error_set(e, -errno, 0, "cannot look at the %s \"%s\": %m", what, path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, 0, "the %s \"%s\" is not a regular file", what, path);
        *ret = TAKE_FD(fd);
        return 0;
}

static int open_cache(const struct files_request *q, struct error *e, int *ret) {
        const char *home = q->home;
        if (!home) {
                struct passwd *pw = getpwuid(q->owner->uid);
                home = pw ? pw->pw_dir : NULL;
        }
        _cleanup_free_ char *path = NULL;
        int r = bootimage_cache_dir(q->xdg_cache_home, home, e, &path);
        if (r < 0)
                return r;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_set(e, -errno, 0, "cannot open the cache \"%s\": %m", path);
        *ret = fd;
        return 0;
}

static int open_kernel(const struct files_request *q, struct error *e, int *ret) {
        _cleanup_close_ int file = -1, cache = -1;
        int r = open_regular("kernel", q->kernel, e, &file);
        if (r < 0)
                return r;
        /* An ELF kernel needs no cache: its absence counts only when the kernel cannot do without.
         */
        struct error no_cache = {0};
        (void)open_cache(q, &no_cache, &cache);
        r = bootimage_open_kernel(file, cache, e, ret);
        if (r < 0 && cache < 0)
                *e = no_cache;
        return r < 0 ? error_prefix(e, r, "the kernel \"%s\"", q->kernel) : 0;
}

static int open_all(
        const struct files_request *q, pid_t daemon, struct error *e, int fds[2], size_t *n) {
        int r = jail_become(q->owner);
        if (r < 0)
                return error_set(e, r, 0, "cannot become user %u: %s", q->owner->uid, strerror(-r));
        /* After the change of uid, which would undo it. A daemon that died meanwhile is noticed. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != daemon)
                return error_set(e, -EIO, 0, "vmcomputed is gone");
        r = open_kernel(q, e, &fds[0]);
        if (r < 0)
                return r;
        *n = 1;
        if (!q->initrd)
                return 0;
        r = open_regular("initrd", q->initrd, e, &fds[1]);
        if (r == 0)
                *n = 2;
        return r;
}

/* Answer: le32 errno (0 for success), le32 hresult, text to the end. */
static _Noreturn void child(const struct files_request *q, int chan, pid_t daemon) {
        if (chan == CHANNEL_FD ? 0 : dup2(chan, CHANNEL_FD) < 0)
                _exit(1);
        if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
                _exit(1);
        alarm(FILES_SECONDS);
        int fds[2];
        size_t n = 0;
        struct error e = {0};
        int r = open_all(q, daemon, &e, fds, &n);
        uint8_t data[8 + ERROR_TEXT_MAX];
        struct wr wr = wr_make(data, sizeof data);
        wr_le32(&wr, (uint32_t)-r);
        wr_le32(&wr, e.hresult);
        if (r < 0)
                wr_bytes(&wr, e.text, strlen(e.text));
        ssize_t sent = io_msg_send(CHANNEL_FD, data, wr.size, fds, r < 0 ? 0 : n);
        _exit(sent < 0);
}

/* The daemon */

static int on_message(void *ctx, const void *data, size_t size, int *fds, size_t n_fds) {
        struct files *f = ctx;
        struct rd rd = rd_make(data, size);
        struct error e = {0};
        uint32_t error = 0, hresult = 0;
        const uint8_t *text;
        size_t n = 0;
        int r = rd_le32(&rd, &error);
        if (r == 0)
                r = rd_le32(&rd, &hresult);
        if (r == 0 && error != 0) {
                n = rd_left(&rd);
                r = rd_view(&rd, n, &text);
                if (r == 0)
                        r = error < 4096 && n < sizeof e.text ? -(int)error : -EBADMSG;
                if (r == -(int)error)
                        error_set(&e, r, hresult, "%.*s", (int)n, (const char *)text);
        }
        if (r == 0 && n_fds != 1 && n_fds != 2)
                r = -EBADMSG;
        if (r < 0) {
                io_msg_close_fds(fds, n_fds);
                error_set(&e, r, 0, "the documents' files could not be opened: %s", strerror(-r));
        }
        f->done(f->ctx, r, &e, r < 0 ? -1 : fds[0], r < 0 || n_fds < 2 ? -1 : fds[1]);
        return 0;
}

static void on_closed(void *ctx, int r) {
        struct files *f = ctx;
        struct error e = {0};
        if (r == 0)
                r = -EIO;
        error_set(&e, r, 0, "the process that opens a document's files ended early (limit %d s)",
                FILES_SECONDS);
        f->done(f->ctx, r, &e, -1, -1);
}

static const struct io_chan_ops chan_ops = {.message = on_message, .closed = on_closed};

int files_open(struct io_loop *loop, const struct files_request *request, files_done_fn done,
        void *ctx, struct error *e, struct files **ret) {
        struct files *f = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *f);
        if (!f)
                return error_set(e, -ENOMEM, 0, "no memory to open files");
        f->done = done;
        f->ctx = ctx;
        int pair[2];
        int r = fd_socketpair(SOCK_SEQPACKET, pair);
        if (r == 0) {
                pid_t daemon = getpid();
                f->child = fault_hit(FAULT_FD) ? (errno = EAGAIN, -1) : fork();
                if (f->child == 0)
                        child(request, pair[1], daemon);
                if (f->child < 0)
                        r = -errno;
                fd_close(pair[1]);
                /* Takes pair[0] over even when it fails. */
                if (r == 0)
                        r = io_chan_new(loop, pair[0], &chan_ops, f, &f->chan);
                else
                        fd_close(pair[0]);
        }
        if (r < 0) {
                files_free(f);
                return error_set(e, r, 0, "cannot start a process: %s", strerror(-r));
        }
        *ret = f;
        return 0;
}

struct files *files_free(struct files *f) {
        if (!f)
                return NULL;
        io_chan_free(f->chan);
        if (f->child > 0) {
                kill(f->child, SIGKILL);
                while (waitpid(f->child, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        free(f);
        return NULL;
}
