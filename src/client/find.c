// SPDX-License-Identifier: MIT
#include "client/find.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/fault.h"
#include "wire/hresult.h"

int client_user_socket(const struct client_options *options, uid_t uid, char ret[CLIENT_PATH_MAX]) {
        int n;
        if (options->runtime_dir)
                n = snprintf(
                        ret, CLIENT_PATH_MAX, "%s/sandbar/vmcompute.sock", options->runtime_dir);
        else if (uid == 0)
                n = snprintf(ret, CLIENT_PATH_MAX, "%s", CLIENT_SYSTEM_SOCKET);
        else
                n = snprintf(ret, CLIENT_PATH_MAX, "%s/sandbar-%u/vmcompute.sock", options->tmp_dir,
                        uid);
        return n < 0 || n >= CLIENT_PATH_MAX ? -ENAMETOOLONG : 0;
}

static void parent(const char *path, char ret[CLIENT_PATH_MAX]) {
        snprintf(ret, CLIENT_PATH_MAX, "%s", path);
        char *slash = strrchr(ret, '/');
        if (slash && slash != ret)
                *slash = 0;
}

int client_verify_dir(const char *path, uid_t uid, struct error *e) {
        char dir[CLIENT_PATH_MAX];
        struct stat st;
        parent(path, dir);
        if (lstat(dir, &st) < 0)
                return error_set(e, -errno, 0, "\"%s\": %m", dir);
        if (!S_ISDIR(st.st_mode) || st.st_uid != uid || (st.st_mode & 022))
                return error_set(e, -EPERM, 0,
                        "\"%s\" has to be a directory that belongs to user %u and that nobody else "
                        "can write; remove it or use --socket",
                        dir, uid);
        return 0;
}

int client_make_dir(const char *path, uid_t uid, struct error *e) {
        char dir[CLIENT_PATH_MAX];
        parent(path, dir);
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return error_set(e, -errno, 0, "cannot make \"%s\": %m", dir);
        return client_verify_dir(path, uid, e);
}

int client_connect_path(const char *path, uid_t uid, struct error *e, int *ret) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof sa.sun_path)
                return error_set(e, -ENAMETOOLONG, HR_BAD_PATHNAME,
                        "the socket's path \"%s\" has more than %zu bytes", path,
                        sizeof sa.sun_path - 1);
        memcpy(sa.sun_path, path, strlen(path));
        _cleanup_close_ int fd = fault_hit(FAULT_FD)
                                         ? (errno = EMFILE, -1)
                                         : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_set(e, -errno, 0, "cannot make a socket: %m");
        if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
                return error_set(e, -errno, HCS_E_SERVICE_NOT_AVAILABLE,
                        "cannot reach vmcomputed at \"%s\": %m", path);
        struct ucred cred;
        socklen_t size = sizeof cred;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return error_set(e, -errno, 0, "who serves \"%s\": %m", path);
        if (cred.uid != uid && cred.uid != 0)
                return error_set(e, -EPERM, 0,
                        "\"%s\" is served by user %u; only this user's daemon or root's is trusted",
                        path, cred.uid);
        *ret = TAKE_FD(fd);
        return 0;
}
