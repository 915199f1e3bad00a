// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "jail/parts.h"

/* struct landlock_ruleset_attr as ABI 6 has it (Linux 6.12); older kernels take a shorter one. */
struct ruleset_attr {
        uint64_t handled_access_fs;
        uint64_t handled_access_net; /* ABI 4 */
        uint64_t scoped;             /* ABI 6 */
};

enum { CREATE_RULESET_VERSION = 1 };

/* Handling a right and granting it nowhere is what forbids it. The number of file system rights
 * grew with the ABI: refer in 2, truncate in 3, ioctl on devices in 5. */
static unsigned fs_rights(long abi) {
        return abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
}

int jail_landlock(void) {
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
        if (abi < 0)
                return -errno;
        struct ruleset_attr attr = {
                .handled_access_fs = (UINT64_C(1) << fs_rights(abi)) - 1,
                .handled_access_net = 3, /* bind and connect TCP */
                .scoped = 3,             /* abstract Unix sockets, signals */
        };
        size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
        _cleanup_close_ int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
        if (fd < 0)
                return -errno;
        return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}
