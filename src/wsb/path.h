// SPDX-License-Identifier: MIT
/* The two kinds of paths in a .wsb file: Windows ("C:\x", either slash) and POSIX ("/x"). Pure. */
#pragma once
#include <stdbool.h>
#include "base/cleanup.h"

bool wsb_path_is_windows(const char *path);  /* has a drive and a root */
bool wsb_path_is_share(const char *path);    /* \\server\share, also \\?\ and \\.\ */
bool wsb_path_is_absolute(const char *path); /* of either kind, no share */
/* Without ".", "..", doubled and trailing separators. -EINVAL: not absolute, or ".." leaves the
 * root, or nothing but the root is left; -ENOMEM. */
_warn_unused_ int wsb_path_normalise(const char *path, char **ret);
/* Where a host folder appears when the file does not say: by its last component, on the desktop as
 * in Windows, or in /mnt. -EINVAL: it has no last component; -ENOMEM. */
_warn_unused_ int wsb_path_default_target(const char *host_folder, char **ret);
/* Whether two normal paths name one folder: Windows paths do not heed ASCII case. */
bool wsb_path_same(const char *a, const char *b);
