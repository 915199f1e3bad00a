// SPDX-License-Identifier: MIT
/* What the files of this folder share. dev.c runs the channel of any of the three devices: open,
 * negotiation, one packet in flight, failure. What a device says and hears is in its own file, as a
 * struct ic_service. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/guid.h"
#include "ic/ic.h"
#include "ic/proto.h"
#include "vmbus/channel.h"

struct ic_dev;

struct ic_service {
        const char *name;
        struct guid type, instance;
        uint16_t message_type;
        struct ic_revision versions[IC_VERSIONS_MAX]; /* best first */
        size_t n_versions;
        /* The guest agreed on versions. */
        void (*ready)(struct ic_dev *dev);
        /* Nothing is in flight: ic_dev_send() what is due, if anything. */
        void (*idle)(struct ic_dev *dev);
        /* The answer to what idle() sent; negative: rubbish. */
        int (*answered)(struct ic_dev *dev, const struct ic_message *message);
        /* The device was closed or failed (negative errno). */
        void (*ended)(struct ic_dev *dev, int r);
};

enum ic_state {
        IC_CLOSED,
        IC_OPEN,        /* the negotiation is to be sent */
        IC_NEGOTIATING, /* it is in flight */
        IC_READY,
        IC_FAILED, /* until the guest closes the channel */
        IC_STATES_,
};

struct ic_dev {
        struct ic *ic;
        const struct ic_service *service;
        struct vmbus_channel *channel; /* NULL once released */
        struct io_timer *start;
        enum ic_state state;
        struct ic_revision framework, message; /* agreed */
        bool in_flight;
        uint8_t transaction; /* of the last packet sent */
};

enum { IC_DEV_SHUTDOWN, IC_DEV_HEARTBEAT, IC_DEV_TIMESYNC, IC_DEVS_ };

struct ic_shutdown {
        struct io_timer *timer;
        ic_done_fn done; /* NULL: none is under way */
        void *ctx;
        uint32_t flags;
        bool sent;
};

struct ic_heartbeats {
        struct io_timer *timer;
        bool due;
        uint64_t sequence; /* of the last answer */
        uint64_t answers;
        uint64_t answered_ns;
};

struct ic_timesync {
        struct io_timer *timer;
        bool sync_due, sample_due;
};

struct ic {
        struct vmbus *vmbus;
        struct io_loop *loop;
        const struct ic_ops *ops;
        void *ctx;
        struct ic_dev devs[IC_DEVS_];
        struct ic_shutdown shutdown;
        struct ic_heartbeats heartbeat;
        struct ic_timesync timesync;
};

extern const struct ic_service ic_service_shutdown, ic_service_heartbeat, ic_service_timesync;

_warn_unused_ int ic_shutdown_init(struct ic *ic);
void ic_shutdown_done(struct ic *ic);
_warn_unused_ int ic_heartbeat_init(struct ic *ic);
void ic_heartbeat_done(struct ic *ic);
_warn_unused_ int ic_timesync_init(struct ic *ic);
void ic_timesync_done(struct ic *ic);

/* Something may be to do: sends the negotiation, or lets the service send. */
void ic_dev_poke(struct ic_dev *dev);
/* From idle(): true when the packet is in flight; else idle() comes again when there is room. */
_warn_unused_ bool ic_dev_send(struct ic_dev *dev, const struct wr *body);
