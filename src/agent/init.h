// SPDX-License-Identifier: MIT
/* What a PID 1 does once before it serves: kernel file systems, modules, loopback, host name. What
 * fails is logged on the console and left out, as an agent that answers can tell more than one that
 * gave up. */
#pragma once
#include <stdbool.h>
#include "base/cleanup.h"

/* The modules to load, in this order: a path and the module's parameters on each line; '#' begins
 * a comment line. Written by who made the initramfs. */
#define INIT_MODULE_LIST "/etc/sandbar/modules"

void init_run(void);

/* Descriptors 0 to 2 on /dev/console, or /dev/null, where they are closed. */
void init_console(void);

/* Cuts the next entry off *cursor, in place. False at the end. */
bool init_next_module(char **cursor, const char **ret_path, const char **ret_parameters);
