// SPDX-License-Identifier: MIT
/* The files that a document names, opened with the rights of the caller (architecture, "Every path
 * in a document"): a child takes on the caller's uid, gid and groups, opens them, unpacks a
 * compressed kernel into the caller's cache, and passes the descriptors back. The daemon itself
 * never resolves such a path, and never reads such a file. */
#pragma once
#include "base/cleanup.h"
#include "base/error.h"
#include "io/loop.h"
#include "jail/jail.h"

struct files;

struct files_request {
        const struct jail_identity *owner;
        const char *kernel;         /* absolute path */
        const char *initrd;         /* absolute path, or NULL */
        const char *xdg_cache_home; /* of the owner if known, else NULL: .cache in the home */
        const char *home;           /* NULL: what the user database says */
};

/* Runs once unless files_free() comes first. r = 0: the descriptors belong to the callee, initrd_fd
 * is -1 when none was asked for. r < 0: e says which file, why, and what to do. The callee frees
 * the files. */
typedef void (*files_done_fn)(
        void *ctx, int r, const struct error *e, int kernel_fd, int initrd_fd);

_warn_unused_ int files_open(struct io_loop *loop, const struct files_request *request,
        files_done_fn done, void *ctx, struct error *e, struct files **ret);
/* Kills a child that still works. */
struct files *files_free(struct files *files);
