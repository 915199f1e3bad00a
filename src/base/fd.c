// SPDX-License-Identifier: MIT
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/fault.h"

int fd_close(int fd) {
        if (fd >= 0)
                close(fd);
        return -1;
}

ssize_t fd_read_full(int fd, void *buf, size_t n) {
        size_t done = 0;
        while (done < n) {
                if (fault_hit(FAULT_IO))
                        return -EIO;
                ssize_t r = read(fd, (char *)buf + done, n - done);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                if (r == 0)
                        break;
                done += (size_t)r;
        }
        return (ssize_t)done;
}

ssize_t fd_pread_full(int fd, void *buf, size_t n, uint64_t offset) {
        size_t done = 0;
        while (done < n) {
                if (fault_hit(FAULT_IO))
                        return -EIO;
                ssize_t r = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                if (r == 0)
                        break;
                done += (size_t)r;
        }
        return (ssize_t)done;
}

int fd_write_full(int fd, const void *buf, size_t n) {
        size_t done = 0;
        while (done < n) {
                if (fault_hit(FAULT_IO))
                        return -EIO;
                ssize_t r = write(fd, (const char *)buf + done, n - done);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                done += (size_t)r;
        }
        return 0;
}

int fd_set_nonblock(int fd, bool on) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;
        flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_socketpair(int type, int ret[2]) {
        int pair[2];
        if (fault_hit(FAULT_FD))
                return -EMFILE;
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        ret[0] = pair[0];
        ret[1] = pair[1];
        return 0;
}

int fd_memfd(const char *name, uint64_t size, int *ret) {
        if (fault_hit(FAULT_FD))
                return -EMFILE;
        _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t)size) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int fd_raise_limit(void) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int fd_read_file(int fd, size_t max, char **ret, size_t *ret_size) {
        size_t size = 0, capacity = 4096 < max ? 4096 : max;
        _cleanup_free_ char *data = malloc(capacity + 1);
        if (!data)
                return -ENOMEM;
        for (;;) {
                ssize_t n = fd_read_full(fd, data + size, capacity - size);
                if (n < 0)
                        return (int)n;
                size += (size_t)n;
                if (size < capacity)
                        break;
                if (capacity == max) {
                        char extra;
                        n = fd_read_full(fd, &extra, 1);
                        if (n < 0)
                                return (int)n;
                        if (n > 0)
                                return -EFBIG;
                        break;
                }
                capacity = capacity > max / 2 ? max : capacity * 2;
                char *bigger = fault_hit(FAULT_ALLOC) ? NULL : realloc(data, capacity + 1);
                if (!bigger)
                        return -ENOMEM;
                data = bigger;
        }
        data[size] = 0;
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}
