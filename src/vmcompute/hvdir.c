// SPDX-License-Identifier: MIT
#include "vmcompute/hvdir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/hresult.h"
#include "wire/hvsocket.h"

enum {
        NAME_SIZE = HVDIR_NAME_MAX + 1,
        ATTEMPTS = 4, /* against other daemons that make or remove the root at the same time */
};

struct hvdir {
        int base_fd; /* borrowed */
        int root_fd, fd, listen_fd;
        struct jail_identity owner;
        char name[NAME_SIZE];
};

/* Services */

static const struct guid template = HVSOCKET_SERVICE_TEMPLATE;

static bool port_of_service(const struct guid *service, uint32_t *ret_port) {
        struct guid of_port = template;
        guid_set_data1(&of_port, guid_data1(service));
        *ret_port = guid_data1(service);
        return guid_equal(service, &of_port);
}

bool hvdir_parse_service(const char *text, struct guid *ret) {
        if (guid_parse(text, ret) == 0)
                return true;
        size_t n = strlen(text);
        if (n == 0 || n > 10 || strspn(text, "0123456789") != n)
                return false;
        unsigned long long port = strtoull(text, NULL, 10);
        if (port > HVSOCKET_LISTEN_PORT_MAX)
                return false;
        *ret = template;
        guid_set_data1(ret, (uint32_t)port);
        return true;
}

/* The service's socket, whatever it is; a link is not followed. */
static int open_service(int dir_fd, const struct guid *service) {
        char name[GUID_TEXT_SIZE];
        uint32_t port;
        guid_format(service, name);
        int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && port_of_service(service, &port)) {
                snprintf(name, sizeof name, "%u", port);
                fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

bool hvdir_serves(int dir_fd, const struct guid *service) {
        int fd = open_service(dir_fd, service);
        fd_close(fd);
        return fd >= 0;
}

static struct sockaddr_un address_of(int fd, const char *beneath) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d%s", fd, beneath);
        return sa;
}

int hvdir_connect(int dir_fd, const struct guid *service, bool wait) {
        int target = open_service(dir_fd, service);
        if (target < 0)
                return target;
        _cleanup_close_ int path = target;
        struct stat st;
        if (fstat(path, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode))
                return -ENOTSOCK;
        _cleanup_close_ int fd =
                fault_hit(FAULT_FD)
                        ? (errno = EMFILE, -1)
                        : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK),
                                  0);
        const struct timeval limit = {.tv_sec = HVDIR_CONNECT_MS / 1000};
        if (fd < 0 || (wait && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0))
                return -errno;
        const struct sockaddr_un sa = address_of(path, "");
        if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0)
                return -errno;
        int r = fd_set_nonblock(fd, true);
        return r < 0 ? r : TAKE_FD(fd);
}

/* Removing */

struct removal {
        uid_t owner;
        unsigned left; /* entries that may still be removed */
};

/* A directory of this file system, and one that the owner could have emptied himself. */
static int open_removable(int dir_fd, const char *name, uid_t owner) {
        const struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
        };
        _cleanup_close_ int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return st.st_uid == owner ? TAKE_FD(fd) : -EPERM;
}

static void remove_entries(struct removal *removal, int dir_fd, unsigned depth);

static void remove_entry(struct removal *removal, int dir_fd, const char *name, unsigned depth) {
        if (unlinkat(dir_fd, name, 0) == 0 || errno != EISDIR || depth == 0)
                return;
        int fd = open_removable(dir_fd, name, removal->owner);
        if (fd >= 0)
                remove_entries(removal, fd, depth - 1);
        fd_close(fd);
        (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* What could not be removed shows when the directory itself cannot be. */
static void remove_entries(struct removal *removal, int dir_fd, unsigned depth) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        if (!dir) {
                fd_close(fd);
                return;
        }
        for (struct dirent *d; removal->left > 0 && (d = readdir(dir));) {
                if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
                        continue;
                removal->left--;
                remove_entry(removal, dir_fd, d->d_name, depth);
        }
        closedir(dir);
}

static void remove_dir(int root_fd, const char *name, int fd, uid_t owner) {
        struct removal removal = {.owner = owner, .left = HVDIR_ENTRIES_MAX};
        /* From here on the owner makes no new name in it. */
        if (owner != geteuid())
                (void)!fchown(fd, geteuid(), (gid_t)-1);
        remove_entries(&removal, fd, HVDIR_DEPTH_MAX);
        if (unlinkat(root_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                log_warning("the hvsocket directory \"%s\" could not be removed: %m", name);
}

/* The root */

/* Ours and nobody else's to write: names in it can be relied on. */
static int open_root(int base_fd) {
        _cleanup_close_ int fd =
                openat(base_fd, HVDIR_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return st.st_uid == geteuid() && (st.st_mode & 022) == 0 ? TAKE_FD(fd) : -EPERM;
}

static int make_root(int base_fd) {
        if (fault_hit(FAULT_FD))
                return -EMFILE;
        if (mkdirat(base_fd, HVDIR_ROOT, 0700) < 0 && errno != EEXIST)
                return -errno;
        int fd = open_root(base_fd);
        /* Other users reach what is theirs, and see no names. */
        if (fd >= 0)
                (void)!fchmod(fd, 0711);
        return fd;
}

void hvdir_sweep(int base_fd) {
        int root = open_root(base_fd);
        DIR *dir = root >= 0 ? fdopendir(root) : NULL;
        if (!dir) {
                fd_close(root);
                return;
        }
        for (struct dirent *d; (d = readdir(dir));) {
                _cleanup_close_ int fd = -1;
                struct stat st;
                if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
                        continue;
                fd = openat(root, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0)
                        remove_dir(root, d->d_name, fd, st.st_uid);
        }
        closedir(dir);
        (void)unlinkat(base_fd, HVDIR_ROOT, AT_REMOVEDIR);
}

/* Making */

static bool is_plain_name(const char *id) {
        size_t n = strlen(id);
        return n > 0 && n <= HVDIR_NAME_MAX && id[0] != '.' &&
               strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int make_listener(int dir_fd, const struct jail_identity *owner, int *ret) {
        _cleanup_close_ int fd =
                fault_hit(FAULT_FD)
                        ? (errno = EMFILE, -1)
                        : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        const struct sockaddr_un sa = address_of(dir_fd, "/" HVDIR_CONNECT);
        mode_t mask = umask(0177);
        int r = bind(fd, (const struct sockaddr *)&sa, sizeof sa) < 0 ? -errno : 0;
        umask(mask);
        if (r == 0 &&
                (fchownat(dir_fd, HVDIR_CONNECT, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
                        listen(fd, HVDIR_BACKLOG) < 0))
                r = -errno;
        if (r == 0)
                *ret = TAKE_FD(fd);
        return r;
}

/* Everything while the directory is still ours, then it is the owner's. */
static int fill(struct hvdir *d) {
        d->fd = fault_hit(FAULT_FD) ? (errno = EMFILE, -1)
                                    : openat(d->root_fd, d->name,
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (d->fd < 0 || flock(d->fd, LOCK_EX | LOCK_NB) < 0 || fchmod(d->fd, 0700) < 0)
                return -errno;
        int r = make_listener(d->fd, &d->owner, &d->listen_fd);
        if (r == 0 && fchown(d->fd, d->owner.uid, d->owner.gid) < 0)
                r = -errno;
        return r;
}

/* Made under a name of its own, so that one with its final name is whole and locked. */
static int make(struct hvdir *d, const char *id, const struct guid *runtime_id) {
        char guid[GUID_TEXT_SIZE];
        guid_format(runtime_id, guid);
        snprintf(d->name, sizeof d->name, ".%s", guid);
        d->root_fd = make_root(d->base_fd);
        if (d->root_fd < 0)
                return d->root_fd;
        if (mkdirat(d->root_fd, d->name, 0700) < 0)
                return -errno;
        int r = fill(d);
        const char *name = is_plain_name(id) ? id : guid;
        if (r == 0 && renameat2(d->root_fd, d->name, d->root_fd, name, RENAME_NOREPLACE) < 0)
                r = -errno;
        if (r == -EEXIST && name == id) {
                name = guid;
                r = renameat2(d->root_fd, d->name, d->root_fd, name, RENAME_NOREPLACE) < 0 ? -errno
                                                                                           : 0;
        }
        if (r == 0)
                snprintf(d->name, sizeof d->name, "%s", name);
        return r;
}

static void unmake(struct hvdir *d) {
        d->listen_fd = fd_close(d->listen_fd);
        if (d->fd >= 0)
                remove_dir(d->root_fd, d->name, d->fd, d->owner.uid);
        else if (d->root_fd >= 0)
                (void)unlinkat(d->root_fd, d->name, AT_REMOVEDIR);
        d->fd = fd_close(d->fd);
        if (d->root_fd >= 0)
                (void)unlinkat(d->base_fd, HVDIR_ROOT, AT_REMOVEDIR); /* when it was the last */
        d->root_fd = fd_close(d->root_fd);
}

int hvdir_new(int base_fd, const char *id, const struct guid *runtime_id,
        const struct jail_identity *owner, struct error *e, struct hvdir **ret) {
        struct hvdir *d = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *d);
        if (!d)
                return error_set(e, -ENOMEM, 0, "no memory for an hvsocket directory");
        d->base_fd = base_fd;
        d->root_fd = d->fd = d->listen_fd = -1;
        d->owner = *owner;
        int r = -ENOENT;
        for (int i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
                r = make(d, id, runtime_id);
                if (r < 0)
                        unmake(d);
        }
        if (r < 0) {
                free(d);
                return error_set(e, r, 0,
                        "the directory \"" HVDIR_ROOT "\" beside vmcomputed's socket cannot take "
                        "the hvsockets of \"%s\": %s; vmcomputed needs a socket in a directory "
                        "that only it can write to",
                        id, strerror(-r));
        }
        *ret = d;
        return 0;
}

struct hvdir *hvdir_free(struct hvdir *d) {
        if (!d)
                return NULL;
        unmake(d);
        free(d);
        return NULL;
}

int hvdir_fd(const struct hvdir *d) {
        return d->fd;
}

int hvdir_listen_fd(const struct hvdir *d) {
        return d->listen_fd;
}

const char *hvdir_name(const struct hvdir *d) {
        return d->name;
}
