// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "jail/parts.h"

/* An empty tmpfs becomes the root. It is mounted over /dev, which exists on every host that has
 * /dev/kvm. A root that cannot be pivoted away (an initramfs) is covered and left by chroot. */
static int empty_root(void) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
        if (mount("none", "/dev", "tmpfs", flags, "size=4096,nr_inodes=1,mode=555") < 0)
                return -errno;
        if (chdir("/dev") < 0)
                return -errno;
        if (syscall(SYS_pivot_root, ".", ".") == 0) {
                if (umount2(".", MNT_DETACH) < 0)
                        return -errno;
        } else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
                return -errno;
        }
        return chdir("/") < 0 ? -errno : 0;
}

int jail_namespaces(void) {
        int flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS;
        /* Root may do without a user namespace where those are switched off. */
        if (unshare(CLONE_NEWUSER | flags) < 0 && unshare(flags) < 0)
                return -errno;
        return empty_root();
}

int jail_drop_capabilities(void) {
        for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
                (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[2] = {0};
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}
