// SPDX-License-Identifier: MIT
/* Integration components: shutdown, heartbeat, time synchronisation. A packet is a pipe header, an
 * IC header and a body. Source: Linux include/linux/hyperv.h, drivers/hv/hv_util.c. Meaning and
 * deviations: docs/protocols/ic.md. */
#pragma once
#include <stddef.h>
#include "wire/le.h"
#include "wire/pipe.h"

enum {
        IC_TYPE_NEGOTIATE = 0,
        IC_TYPE_HEARTBEAT = 1,
        IC_TYPE_SHUTDOWN = 3,
        IC_TYPE_TIMESYNC = 4,
};

enum {
        IC_FLAG_TRANSACTION = 1,
        IC_FLAG_REQUEST = 2,
        IC_FLAG_RESPONSE = 4,
};

struct ic_version {
        le16 major;
        le16 minor;
};
static_assert(sizeof(struct ic_version) == 4, "IC version");

struct ic_header {
        struct ic_version framework;
        le16 type;
        struct ic_version message;
        le16 size; /* of the body */
        le32 status;
        uint8_t transaction;
        uint8_t flags;
        uint8_t zero[2];
};
static_assert(sizeof(struct ic_header) == 20, "IC header");
static_assert(offsetof(struct ic_header, status) == 12, "IC header status");
static_assert(offsetof(struct ic_header, transaction) == 16, "IC header transaction");

/* Followed by the framework versions, then the message versions. The guest keeps one of each. */
struct ic_negotiate {
        le16 framework_count;
        le16 message_count;
        le32 zero;
};
static_assert(sizeof(struct ic_negotiate) == 8, "IC negotiate");

enum {
        IC_SHUTDOWN_FORCE = 1,
        IC_SHUTDOWN_REBOOT = 2,
};
#define IC_SHUTDOWN_REASON_PLANNED 0x80000000u

/* Always sent whole: Linux answers in the same buffer. */
struct ic_shutdown_body {
        le32 reason;
        le32 timeout_s;
        le32 flags;
        uint8_t text[2048];
};
static_assert(sizeof(struct ic_shutdown_body) == 2060, "IC shutdown");

/* The guest adds one to the sequence. */
struct ic_heartbeat_body {
        le64 sequence;
        le32 application_state; /* Windows guests */
        uint8_t zero[28];
};
static_assert(sizeof(struct ic_heartbeat_body) == 40, "IC heartbeat");

enum {
        IC_TIMESYNC_SYNC = 1,   /* set the clock now */
        IC_TIMESYNC_SAMPLE = 2, /* for a filter */
};

/* Message version 4. Times in 100 ns, the host's since 1601. */
struct ic_timesync_body {
        le64 host_time;
        le64 reference_time; /* the guest's TIME_REF_COUNT at the moment of host_time */
        uint8_t flags;
        uint8_t leap;
        uint8_t stratum;
        uint8_t zero[5];
};
static_assert(sizeof(struct ic_timesync_body) == 24, "IC timesync 4.0");

/* Message versions 1 and 3. */
struct ic_timesync_body_v3 {
        le64 host_time;
        le64 guest_time; /* zero from us */
        le64 round_trip; /* zero from us */
        uint8_t flags;
};
static_assert(sizeof(struct ic_timesync_body_v3) == 25, "IC timesync 3.0");
