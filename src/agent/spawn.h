// SPDX-License-Identifier: MIT
/* Starting one process: fork, the child's set-up, exec. The caller does not wait for exec: what it
 * runs may lie on a share that the agent itself carries. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/error.h"

enum { AGENT_GROUPS_MAX = 64 };

/* Who the process is. */
struct agent_user {
        uid_t uid;
        gid_t gid, groups[AGENT_GROUPS_MAX];
        size_t n_groups;
        char name[64], home[256];
};

/* "" and "root" need no /etc/passwd; otherwise a name or a number that stands there. -ENOENT with
 * HR_NO_SUCH_LOGON_SESSION. */
_warn_unused_ int agent_user_find(const char *user, struct agent_user *ret, struct error *e);

struct agent_spawn {
        const char *const *argv; /* argv[0] without a slash is looked up in PATH of env */
        const char *const *env;  /* complete: nothing is inherited */
        const char *cwd;         /* "": the user's home, or / if there is none */
        const struct agent_user *user;
        int stdio[3]; /* above 2, or -1 for /dev/null; borrowed */
        int tty;      /* -1, or the pty that replaces stdio and becomes the controlling terminal */
};

/* The child leads a session and process group of its own. ret_exec_fd reads nothing until exec,
 * then the end; or what agent_spawn_result() understands, then the end. */
_warn_unused_ int agent_spawn(const struct agent_spawn *spawn, pid_t *ret_pid, int *ret_exec_fd);
/* Once ret_exec_fd is readable: 0 when the program runs; or the failure, as negative errno, with a
 * text that names the program or the directory. */
_warn_unused_ int agent_spawn_result(
        int exec_fd, const char *program, const char *cwd, struct error *e);

/* The environment of a process: `env` (NULL for none), and PATH, HOME and USER where it has none.
 * One block; free() it. The strings of env are borrowed. */
_warn_unused_ int agent_environment(
        const char *const *env, const struct agent_user *user, const char ***ret);

/* A new pty of this size (0: the kernel's default); both ends are CLOEXEC, the master does not
 * block. */
_warn_unused_ int agent_pty_new(uint16_t rows, uint16_t columns, int *ret_master, int *ret_slave);
_warn_unused_ int agent_pty_resize(int master, uint16_t rows, uint16_t columns);
