// SPDX-License-Identifier: MIT
/* The user's terminal: raw while a pty of the guest is shown on it, and its size. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"

/* Both standard input and output are terminals. */
bool terminal_present(void);
/* Raw mode until terminal_restore(), which is also safe without it. */
_warn_unused_ int terminal_raw(void);
void terminal_restore(void);
/* 0 when it cannot be told. */
void terminal_size(uint16_t *ret_rows, uint16_t *ret_columns);
