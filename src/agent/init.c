// SPDX-License-Identifier: MIT
#include "agent/init.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/log.h"

enum { MODULE_LIST_MAX = 64 * 1024, HOST_NAME_MAX_ = 64 };

static const struct mount {
        const char *type, *target, *options;
        unsigned long flags;
} mounts[] = {
        {"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
        {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
        {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
        {"devpts", "/dev/pts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC},
        {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
        {"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
        {"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV},
        {"cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

/* What devtmpfs does not make and shells use. */
static const struct link {
        const char *target, *path;
} links[] = {
        {"/proc/self/fd", "/dev/fd"},
        {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"},
        {"/proc/self/fd/2", "/dev/stderr"},
};

static void mount_all(void) {
        for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
                const struct mount *m = &mounts[i];
                (void)mkdir(m->target, 0755);
                if (mount(m->type, m->target, m->type, m->flags, m->options) < 0 && errno != EBUSY)
                        log_warning(
                                "cannot mount %s on %s: %s", m->type, m->target, strerror(errno));
        }
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
                        log_warning("cannot make %s: %s", links[i].path, strerror(errno));
}

bool init_next_module(char **cursor, const char **ret_path, const char **ret_parameters) {
        while (**cursor) {
                char *line = *cursor, *end = line + strcspn(line, "\n");
                *cursor = *end ? end + 1 : end;
                *end = 0;
                line += strspn(line, " \t\r");
                if (!*line || *line == '#')
                        continue;
                char *rest = line + strcspn(line, " \t\r");
                if (*rest)
                        *rest++ = 0;
                rest += strspn(rest, " \t\r");
                size_t n = strlen(rest);
                while (n && strchr(" \t\r", rest[n - 1]))
                        rest[--n] = 0;
                *ret_path = line;
                *ret_parameters = rest;
                return true;
        }
        return false;
}

static void load_module(const char *path, const char *parameters) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        /* EEXIST: loaded already, or part of the kernel. */
        if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST))
                log_error("cannot load the module %s: %s", path, strerror(errno));
}

static void load_modules(void) {
        _cleanup_close_ int fd = open(INIT_MODULE_LIST, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                if (errno != ENOENT) /* a kernel that has all built in needs none */
                        log_error("cannot open %s: %s", INIT_MODULE_LIST, strerror(errno));
                return;
        }
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = fd_read_file(fd, MODULE_LIST_MAX, &text, &size);
        if (r < 0) {
                log_error("cannot read %s: %s", INIT_MODULE_LIST, strerror(-r));
                return;
        }
        char *cursor = text;
        const char *path, *parameters;
        while (init_next_module(&cursor, &path, &parameters))
                load_module(path, parameters);
}

static void loopback_up(void) {
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                log_warning("cannot bring the loopback interface up: %s", strerror(errno));
}

static void set_host_name(void) {
        char name[HOST_NAME_MAX_] = "sandbar";
        _cleanup_close_ int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                char buf[HOST_NAME_MAX_] = "";
                ssize_t n = fd_read_full(fd, buf, sizeof buf - 1);
                buf[strcspn(buf, "\n")] = 0;
                if (n > 0 && *buf)
                        memcpy(name, buf, sizeof name);
        }
        if (sethostname(name, strlen(name)) < 0)
                log_warning("cannot set the host name: %s", strerror(errno));
}

void init_console(void) {
        int fd;
        do {
                fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (fd < 0)
                        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        } while (fd >= 0 && fd <= 2);
        fd_close(fd);
}

void init_run(void) {
        mount_all();
        init_console();
        load_modules();
        loopback_up();
        set_host_name();
}
