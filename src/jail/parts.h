// SPDX-License-Identifier: MIT
/* The walls of the jail, one file each; jail.c puts them up in order. */
#pragma once
#include "base/cleanup.h"

/* Own user, network, IPC, UTS and mount namespaces and an empty root. Negative errno when the host
 * refuses; what was entered until then stays. */
_warn_unused_ int jail_namespaces(void);
/* Gives up every capability, and the bounding set with it as far as the process may. */
_warn_unused_ int jail_drop_capabilities(void);
/* A Landlock domain without a single right. -ENOSYS or -EOPNOTSUPP when the kernel has none. */
_warn_unused_ int jail_landlock(void);
/* The allowlist. Sets nothing else; no_new_privs has to be set. */
_warn_unused_ int jail_seccomp(void);
