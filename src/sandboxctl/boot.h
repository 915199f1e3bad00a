// SPDX-License-Identifier: MIT
/* What a sandbox boots from: the kernel, and an initramfs with busybox, the agent and the modules
 * that reach the host. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

struct boot_files {
        char *kernel;  /* absolute path */
        char *version; /* whose modules go in */
        char *initrd;  /* absolute path in the cache */
};

/* kernel: the user's choice, or NULL for the newest in /boot. */
_warn_unused_ int boot_files_find(const char *kernel, struct error *e, struct boot_files *ret);
void boot_files_done(struct boot_files *files);
/* ${XDG_CACHE_HOME:-$HOME/.cache}/sandbar */
_warn_unused_ int boot_cache_dir(struct error *e, char **ret);
