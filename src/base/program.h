// SPDX-License-Identifier: MIT
/* Where the programs that belong together are. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"

/* The path of `name` beside the running program, else in libexecdir; free() it. -ENOENT. */
_warn_unused_ int program_find(const char *name, struct error *e, char **ret);
