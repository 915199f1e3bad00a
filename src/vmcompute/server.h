// SPDX-License-Identifier: MIT
/* The daemon's inside: what connections, systems and methods share. */
#pragma once
#include "vmcompute/conn.h"
#include "vmcompute/system.h"
#include "vmcompute/vmcompute.h"

struct vmcompute {
        struct io_loop *loop;
        struct vmcompute_options options;
        uid_t uid; /* the daemon's own */
        int listen_fd;
        int dir_fd; /* the directory of the listening socket; -1: it has no path */
        struct io_source *listener;
        struct conn *conns; /* newest first */
        size_t n_conns;
        struct system *systems; /* newest first */
        struct io_timer *idle_timer;
        struct io_timer *retry_timer; /* accept() ran out of something */
        bool stopping, finished;
};

/* To be called whenever a connection or a system went away. */
void vmcompute_settle(struct vmcompute *vc);
