// SPDX-License-Identifier: MIT
#include "agent/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "base/fault.h"
#include "base/fd.h"
#include "wire/hresult.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Users. The files are read directly: name services would load libraries into a static program. */

static void find_groups(struct agent_user *user) {
        FILE *f = fopen("/etc/group", "re");
        if (!f)
                return;
        const struct group *g;
        while ((g = fgetgrent(f)))
                for (size_t i = 0; g->gr_mem[i]; i++)
                        if (user->n_groups < AGENT_GROUPS_MAX &&
                                strcmp(g->gr_mem[i], user->name) == 0)
                                user->groups[user->n_groups++] = g->gr_gid;
        fclose(f);
}

int agent_user_find(const char *user, struct agent_user *ret, struct error *e) {
        struct agent_user u = {.name = "root", .home = "/root"};
        if (!*user || strcmp(user, "root") == 0) {
                *ret = u;
                return 0;
        }
        bool found = false;
        FILE *f = fopen("/etc/passwd", "re");
        const struct passwd *p;
        while (f && !found && (p = fgetpwent(f))) {
                char number[16];
                snprintf(number, sizeof number, "%u", p->pw_uid);
                if (strcmp(user, p->pw_name) != 0 && strcmp(user, number) != 0)
                        continue;
                found = true;
                u.uid = p->pw_uid;
                u.gid = p->pw_gid;
                snprintf(u.name, sizeof u.name, "%s", p->pw_name);
                snprintf(u.home, sizeof u.home, "%s", p->pw_dir);
        }
        if (f)
                fclose(f);
        if (!found)
                return error_set(e, -ENOENT, HR_NO_SUCH_LOGON_SESSION,
                        "the guest's /etc/passwd has no user \"%s\"", user);
        find_groups(&u);
        *ret = u;
        return 0;
}

/* The environment */

static bool has_name(const char *const *env, const char *assignment) {
        size_t n = (size_t)(strchr(assignment, '=') - assignment) + 1;
        for (size_t i = 0; env && env[i]; i++)
                if (strncmp(env[i], assignment, n) == 0)
                        return true;
        return false;
}

int agent_environment(const char *const *env, const struct agent_user *user, const char ***ret) {
        static const char path[] = "PATH=" DEFAULT_PATH;
        struct {
                char home[sizeof "HOME=" + sizeof user->home];
                char name[sizeof "USER=" + sizeof user->name];
        } * text;
        size_t n = 0;
        while (env && env[n])
                n++;
        const char **list =
                fault_hit(FAULT_ALLOC) ? NULL : malloc((n + 4) * sizeof *list + sizeof *text);
        if (!list)
                return -ENOMEM;
        text = (void *)(list + n + 4);
        snprintf(text->home, sizeof text->home, "HOME=%s", user->home);
        snprintf(text->name, sizeof text->name, "USER=%s", user->name);
        const char *defaults[] = {path, text->home, text->name};
        for (size_t i = 0; i < n; i++)
                list[i] = env[i];
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
                if (!has_name(env, defaults[i]))
                        list[n++] = defaults[i];
        list[n] = NULL;
        *ret = list;
        return 0;
}

/* Terminals */

int agent_pty_resize(int master, uint16_t rows, uint16_t columns) {
        struct winsize size = {.ws_row = rows, .ws_col = columns};
        return ioctl(master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int agent_pty_new(uint16_t rows, uint16_t columns, int *ret_master, int *ret_slave) {
        if (fault_hit(FAULT_FD))
                return -EMFILE;
        _cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (master < 0)
                return -errno;
        int unlock = 0;
        if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return -errno;
        /* TIOCGPTPEER needs no /dev/pts path, which another mount could hide. */
        _cleanup_close_ int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return -errno;
        if (rows && columns) {
                int r = agent_pty_resize(master, rows, columns);
                if (r < 0)
                        return r;
        }
        *ret_master = TAKE_FD(master);
        *ret_slave = TAKE_FD(slave);
        return 0;
}

/* The child. What fails here travels through the pipe. */

enum stage { STAGE_SETUP, STAGE_USER, STAGE_CWD, STAGE_EXEC };

struct failure {
        int32_t stage, error;
};

static _Noreturn void fail_child(int pipe, enum stage stage) {
        struct failure f = {.stage = (int32_t)stage, .error = errno};
        ssize_t n = write(pipe, &f, sizeof f);
        _exit(n < 0 ? 126 : 127);
}

static void reset_signals(void) {
        sigset_t none;
        sigemptyset(&none);
        struct sigaction action = {.sa_handler = SIG_DFL};
        for (int i = 1; i < NSIG; i++)
                (void)sigaction(i, &action, NULL); /* KILL, STOP and libc's own refuse */
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_stdio(const struct agent_spawn *spawn) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
                return -1;
        for (int i = 0; i < 3; i++) {
                int fd = spawn->tty >= 0 ? spawn->tty : spawn->stdio[i];
                if (dup2(fd >= 0 ? fd : null, i) < 0)
                        return -1;
        }
        return spawn->tty >= 0 ? ioctl(0, TIOCSCTTY, 0) : 0;
}

/* A child without the right to change groups is what it was: that is an agent that is not root. */
static int set_user(const struct agent_user *user) {
        if (geteuid() != 0)
                return user->uid == 0 || user->uid == geteuid() ? 0 : (errno = EPERM, -1);
        if (setgroups(user->n_groups, user->groups) < 0 || setgid(user->gid) < 0)
                return -1;
        return setuid(user->uid);
}

static int set_cwd(const struct agent_spawn *spawn) {
        if (*spawn->cwd)
                return chdir(spawn->cwd);
        return chdir(spawn->user->home) == 0 ? 0 : chdir("/");
}

static _Noreturn void run_child(const struct agent_spawn *spawn, int pipe) {
        setsid();
        reset_signals();
        /* Ours are CLOEXEC from birth; what we inherited need not be. */
        (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        umask(022);
        if (set_stdio(spawn) < 0)
                fail_child(pipe, STAGE_SETUP);
        if (set_user(spawn->user) < 0)
                fail_child(pipe, STAGE_USER);
        if (set_cwd(spawn) < 0)
                fail_child(pipe, STAGE_CWD);
        /* execvp() searches the caller's PATH, which is to be the program's. exec*() do not write
         * to what their char *const * point to. */
        environ = (char **)(uintptr_t)spawn->env;
        execvp(spawn->argv[0], (char *const *)(uintptr_t)spawn->argv);
        fail_child(pipe, STAGE_EXEC);
}

/* The parent */

int agent_spawn(const struct agent_spawn *spawn, pid_t *ret_pid, int *ret_exec_fd) {
        int pipe[2];
        if (fault_hit(FAULT_FD))
                return -EMFILE;
        if (pipe2(pipe, O_CLOEXEC) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0)
                run_child(spawn, pipe[1]);
        int r = pid < 0 ? -errno : 0;
        fd_close(pipe[1]);
        if (r < 0) {
                fd_close(pipe[0]);
                return r;
        }
        *ret_pid = pid;
        *ret_exec_fd = pipe[0];
        return 0;
}

int agent_spawn_result(int exec_fd, const char *program, const char *cwd, struct error *e) {
        struct failure f;
        ssize_t n = fd_read_full(exec_fd, &f, sizeof f);
        if (n != (ssize_t)sizeof f)
                return n < 0 ? (int)n : 0;
        int r = -f.error;
        bool missing = r == -ENOENT;
        switch ((enum stage)f.stage) {
        case STAGE_CWD:
                return error_set(e, r, missing ? HR_PATH_NOT_FOUND : 0,
                        "cannot change to the working directory \"%s\": %s", cwd, strerror(-r));
        case STAGE_USER:
                return error_set(e, r, 0, "cannot become the user: %s", strerror(-r));
        case STAGE_EXEC:
                return error_set(e, r, 0, "cannot run \"%s\": %s%s", program, strerror(-r),
                        missing ? ", neither the program in its PATH nor, for a script, its "
                                  "interpreter"
                                : "");
        case STAGE_SETUP:
                break;
        }
        return error_set(e, r, 0, "cannot set up the streams of \"%s\": %s", program, strerror(-r));
}
