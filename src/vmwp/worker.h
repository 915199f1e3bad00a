// SPDX-License-Identifier: MIT
/* The worker: one machine, steered by vmcomputed over the channel that it was started with
 * (ipc/ipc.h). Jails itself between the configuration and the first guest instruction. */
#pragma once
#include "base/cleanup.h"

/* Serves the channel until the machine ended or the daemon is gone; the exit status of the
 * process. Takes the channel over. */
int worker_run(int channel_fd_consume);
