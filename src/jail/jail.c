// SPDX-License-Identifier: MIT
#include "jail/jail.h"
#include <errno.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "jail/parts.h"

static int compare_fds(const void *a, const void *b) {
        return *(const int *)a - *(const int *)b;
}

static int close_others(const struct jail_profile *profile) {
        int keep[JAIL_FDS_MAX];
        if (profile->n_fds > JAIL_FDS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < profile->n_fds; i++)
                keep[i] = profile->fds[i];
        qsort(keep, profile->n_fds, sizeof *keep, compare_fds);
        unsigned next = STDERR_FILENO + 1;
        for (size_t i = 0; i < profile->n_fds; i++) {
                if (keep[i] < (int)next)
                        continue;
                unsigned fd = (unsigned)keep[i];
                if (fd > next && close_range(next, fd - 1, 0) < 0)
                        return -errno;
                next = fd + 1;
        }
        return close_range(next, ~0u, 0) < 0 ? -errno : 0;
}

/* Without /proc nothing is known, and nothing is lost: the namespaces would be refused. */
static bool has_threads(void) {
        struct stat st;
        return stat("/proc/self/task", &st) == 0 && st.st_nlink > 3;
}

static void add_missing(char *text, const char *what, int r) {
        size_t n = strlen(text);
        snprintf(text + n, JAIL_TEXT_MAX - n, "%s%s (%s)", n ? ", " : "", what, strerror(-r));
}

int jail_enter(
        const struct jail_profile *profile, char ret_missing[JAIL_TEXT_MAX], struct error *e) {
        char missing[JAIL_TEXT_MAX] = "";
        if (has_threads())
                return error_set(e, -EBUSY, 0, "the jail has to be entered before threads start");
        int r = close_others(profile);
        if (r < 0)
                return error_set(e, r, 0, "cannot close descriptors: %s", strerror(-r));
        struct rlimit none = {0, 0};
        if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
                return error_set(e, -errno, 0, "cannot forbid core files: %m");
        r = jail_namespaces();
        if (r < 0)
                add_missing(missing, "namespaces", r);
        r = jail_drop_capabilities();
        if (r < 0)
                return error_set(e, r, 0, "cannot drop capabilities: %s", strerror(-r));
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(e, -errno, 0, "cannot set no_new_privs: %m");
        r = jail_landlock();
        if (r < 0)
                add_missing(missing, "Landlock", r);
        r = jail_seccomp();
        if (r < 0)
                return error_set(e, r, 0,
                        "cannot install the seccomp filter: %s; the kernel needs "
                        "CONFIG_SECCOMP_FILTER",
                        strerror(-r));
        memcpy(ret_missing, missing, sizeof missing);
        return 0;
}
