// SPDX-License-Identifier: MIT
/* The GCS bridge as it stands on the stream between the host and cexecsvc: a header, then a JSON
 * body without NUL. Source: microsoft/hcsshim internal/gcs/prot and internal/guest/prot, protocol
 * version 4 (docs/protocols/gcs.md). */
#pragma once
#include "wire/le.h"

/* vsock ports of the host that the guest dials. */
#define GCS_BRIDGE_PORT  0x40000000u
#define GCS_STDIO_PORT_0 0x40000001u /* and up, one for each standard stream */

enum { GCS_PROTOCOL_VERSION = 4 };

struct gcs_header {
        le32 type; /* kind | call */
        le32 size; /* of the whole message, this header included */
        le64 id;   /* chosen by who asks, repeated by who answers; 0 in notifications */
};
static_assert(sizeof(struct gcs_header) == 16, "no padding");

/* Limits of a whole message. The guest's is hcsshim's; the host's holds what ipc.h lets a command
 * have, escaped twice. */
enum {
        GCS_HEADER_SIZE = 16,
        GCS_FROM_GUEST_MAX = 64 * 1024,
        GCS_FROM_HOST_MAX = 1024 * 1024,
};

/* The kind: bits 28 to 31 of the type. */
#define GCS_KIND_MASK    0xf0000000u
#define GCS_REQUEST      0x10000000u
#define GCS_RESPONSE     0x20000000u
#define GCS_NOTIFICATION 0x30000000u

/* The call: category (8 bits), number (12 bits), version (8 bits). */
#define GCS_CREATE            0x00100101u
#define GCS_START             0x00100201u
#define GCS_SHUTDOWN_GRACEFUL 0x00100301u
#define GCS_SHUTDOWN_FORCED   0x00100401u
#define GCS_EXECUTE_PROCESS   0x00100501u
#define GCS_WAIT_FOR_PROCESS  0x00100601u
#define GCS_SIGNAL_PROCESS    0x00100701u
#define GCS_RESIZE_CONSOLE    0x00100801u
#define GCS_GET_PROPERTIES    0x00100901u
#define GCS_MODIFY_SETTINGS   0x00100a01u
#define GCS_NEGOTIATE         0x00100b01u

/* With GCS_NOTIFICATION: a container ended. */
#define GCS_CONTAINER_EVENT 0x00100101u

/* ContainerId of the machine itself; also the ActivityId of who traces nothing. */
#define GCS_NULL_ID "00000000-0000-0000-0000-000000000000"

/* TimeoutInMs that never ends. */
#define GCS_INFINITE 0xffffffffu
