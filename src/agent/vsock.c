// SPDX-License-Identifier: MIT
#include "agent/vsock.h"
#include <errno.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h> /* needs struct sockaddr */
#include "base/fd.h"
#include "wire/gcs.h"

/* Seconds that the host may take to accept a stream; the kernel's own 2 are few on a loaded host.
 * The bridge keeps those: a host that refuses is silent to Linux, and is asked again. */
enum { STREAM_TIMEOUT_S = 20 };

/* Each ring of a connection has what the kernel makes of this: twice as many bytes. Its own choice
 * of 24 KiB makes a bulk stream wait for the host at every turn. */
enum { BUFFER_SIZE = 32 * 1024 };

static int dial(_unused_ void *ctx, uint32_t port) {
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
        union {
                struct sockaddr_vm *vm;
                struct sockaddr *any;
        } to = {.vm = &address};
        _cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        const struct timeval timeout = {.tv_sec = STREAM_TIMEOUT_S};
        if (port != GCS_BRIDGE_PORT)
                (void)setsockopt(
                        fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout);
        if (connect(fd, to.any, sizeof address) < 0 && errno != EINPROGRESS)
                return -errno;
        /* connect() chose the transport, which set its own sizes; the rings are made when the host
         * answers. A host that was faster leaves smaller rings, and nothing else. */
        int size = BUFFER_SIZE;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        return TAKE_FD(fd);
}

const struct agent_transport agent_vsock = {.dial = dial};
