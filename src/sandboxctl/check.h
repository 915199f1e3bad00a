// SPDX-License-Identifier: MIT
/* `sandboxctl check FILE [--host] [--json]`: judges a .wsb file offline. */
#pragma once

/* argv[0] is "check". Returns the exit status: 0 good (with warnings, maybe), 1 a bad file, or with
 * --host one that asks for what this host lacks, 2 an unreadable file or bad usage. */
int sandboxctl_check(int argc, char **argv);
