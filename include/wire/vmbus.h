// SPDX-License-Identifier: MIT
/* VMBus channel messages and ring packets as they stand in hypercall input, SynIC slots and rings.
 * Source: Linux include/linux/hyperv.h, drivers/hv; versions 2.4 to 5.3. Meaning and deviations:
 * docs/protocols/vmbus.md. */
#pragma once
#include <stddef.h>
#include "wire/guid.h"
#include "wire/le.h"

enum {
        VMBUS_MESSAGE_SIZE_MAX = 240, /* payload of one SynIC message */
        VMBUS_MESSAGE_TYPE = 1,       /* SynIC message type of all VMBus messages */
        VMBUS_SINT = 2,
        VMBUS_CONNECTION_MESSAGE = 1, /* before 5.0 */
        VMBUS_CONNECTION_EVENT = 2,
        VMBUS_CONNECTION_MESSAGE_50 = 4, /* INITIATE_CONTACT since 5.0 */
        VMBUS_RELID_MAX = 2047,          /* bit 0 of the event flags is not a channel */
        VMBUS_USER_DATA_SIZE = 120,      /* of an offer and of an open */
};

/* major << 16 | minor */
enum {
        VMBUS_VERSION_2_4 = 0x00020004,
        VMBUS_VERSION_3_0 = 0x00030000,
        VMBUS_VERSION_4_0 = 0x00040000,
        VMBUS_VERSION_4_1 = 0x00040001,
        VMBUS_VERSION_5_0 = 0x00050000,
        VMBUS_VERSION_5_1 = 0x00050001,
        VMBUS_VERSION_5_2 = 0x00050002,
        VMBUS_VERSION_5_3 = 0x00050003,
};

enum {
        VMBUS_MSG_OFFER = 1,              /* host → guest */
        VMBUS_MSG_RESCIND = 2,            /* host → guest */
        VMBUS_MSG_REQUEST_OFFERS = 3,     /* guest → host */
        VMBUS_MSG_OFFERS_DELIVERED = 4,   /* host → guest */
        VMBUS_MSG_OPEN = 5,               /* guest → host */
        VMBUS_MSG_OPEN_RESULT = 6,        /* host → guest */
        VMBUS_MSG_CLOSE = 7,              /* guest → host */
        VMBUS_MSG_GPADL_HEADER = 8,       /* guest → host */
        VMBUS_MSG_GPADL_BODY = 9,         /* guest → host */
        VMBUS_MSG_GPADL_CREATED = 10,     /* host → guest */
        VMBUS_MSG_GPADL_TEARDOWN = 11,    /* guest → host */
        VMBUS_MSG_GPADL_TORNDOWN = 12,    /* host → guest */
        VMBUS_MSG_RELID_RELEASED = 13,    /* guest → host */
        VMBUS_MSG_INITIATE_CONTACT = 14,  /* guest → host */
        VMBUS_MSG_VERSION_RESPONSE = 15,  /* host → guest */
        VMBUS_MSG_UNLOAD = 16,            /* guest → host */
        VMBUS_MSG_UNLOAD_RESPONSE = 17,   /* host → guest */
        VMBUS_MSG_OPEN_RESERVED = 18,     /* guest → host, firmware only: not served */
        VMBUS_MSG_CLOSE_RESERVED = 19,    /* guest → host, firmware only: not served */
        VMBUS_MSG_RESERVED_RESPONSE = 20, /* host → guest */
        VMBUS_MSG_TL_CONNECT = 21,        /* guest → host, since 4.0 */
        VMBUS_MSG_MODIFY_CHANNEL = 22,    /* guest → host, since 4.1 */
        VMBUS_MSG_TL_RESULT = 23,         /* host → guest, since 4.1 */
        VMBUS_MSG_MODIFY_RESPONSE = 24,   /* host → guest, since 5.3 */
        VMBUS_MSG_TYPES_,
};

/* NTSTATUS values that we answer with. */
#define VMBUS_STATUS_SUCCESS                0u
#define VMBUS_STATUS_UNSUCCESSFUL           0xC0000001u
#define VMBUS_STATUS_INVALID_PARAMETER      0xC000000Du
#define VMBUS_STATUS_INSUFFICIENT_RESOURCES 0xC000009Au
#define VMBUS_STATUS_CONNECTION_REFUSED     0xC0000236u

/* The start of every message. */
struct vmbus_msg_header {
        le32 type;
        le32 zero;
};
static_assert(sizeof(struct vmbus_msg_header) == 8, "header");

/* Flags of an offer. */
enum {
        VMBUS_OFFER_ENUMERATE = 0x1,
        VMBUS_OFFER_NAMED_PIPE = 0x10,
        VMBUS_OFFER_TLNPI = 0x2000, /* an hvsocket connection */
};

struct vmbus_msg_offer {
        struct vmbus_msg_header header;
        struct guid type;
        struct guid instance;
        uint8_t zero[16];
        le16 flags;
        le16 mmio_megabytes;
        uint8_t user_defined[VMBUS_USER_DATA_SIZE];
        le16 sub_channel_index;
        le16 mmio_megabytes_optional;
        le32 relid;
        uint8_t monitor_id;
        uint8_t monitor_allocated; /* bit 0 */
        le16 dedicated_interrupt;  /* bit 0 */
        le32 connection_id;
};
static_assert(sizeof(struct vmbus_msg_offer) == 196, "OFFERCHANNEL");
static_assert(offsetof(struct vmbus_msg_offer, user_defined) == 60, "OFFERCHANNEL user_defined");
static_assert(offsetof(struct vmbus_msg_offer, relid) == 184, "OFFERCHANNEL relid");

/* RESCIND, CLOSECHANNEL, RELID_RELEASED. */
struct vmbus_msg_relid {
        struct vmbus_msg_header header;
        le32 relid;
};
static_assert(sizeof(struct vmbus_msg_relid) == 12, "a message that names a relid");

struct vmbus_msg_open {
        struct vmbus_msg_header header;
        le32 relid;
        le32 open_id;
        le32 ring_gpadl;
        le32 target_vp;
        le32 downstream_page; /* first page of the host → guest ring */
        uint8_t user_data[VMBUS_USER_DATA_SIZE];
};
static_assert(sizeof(struct vmbus_msg_open) == 148, "OPENCHANNEL");

struct vmbus_msg_open_result {
        struct vmbus_msg_header header;
        le32 relid;
        le32 open_id;
        le32 status;
};
static_assert(sizeof(struct vmbus_msg_open_result) == 20, "OPEN_RESULT");

enum {
        VMBUS_GPADL_HEADER_PFNS_MAX = 26,
        VMBUS_GPADL_BODY_PFNS_MAX = 28,
};

struct vmbus_msg_gpadl_header {
        struct vmbus_msg_header header;
        le32 relid;
        le32 gpadl;
        le16 range_buffer_size; /* bytes of all ranges, PFNs in the bodies included */
        le16 range_count;
        /* The first range; PFNs follow. */
        le32 byte_count;
        le32 byte_offset;
        le64 pfns[VMBUS_GPADL_HEADER_PFNS_MAX]; /* as many as the message holds */
};
static_assert(offsetof(struct vmbus_msg_gpadl_header, byte_count) == 20, "GPADL_HEADER range");
static_assert(offsetof(struct vmbus_msg_gpadl_header, pfns) == 28, "GPADL_HEADER pfns");

struct vmbus_msg_gpadl_body {
        struct vmbus_msg_header header;
        le32 number; /* Linux leaves it 0 */
        le32 gpadl;
        le64 pfns[VMBUS_GPADL_BODY_PFNS_MAX];
};
static_assert(sizeof(struct vmbus_msg_gpadl_body) == 240, "GPADL_BODY");

struct vmbus_msg_gpadl_created {
        struct vmbus_msg_header header;
        le32 relid;
        le32 gpadl;
        le32 status;
};
static_assert(sizeof(struct vmbus_msg_gpadl_created) == 20, "GPADL_CREATED");

struct vmbus_msg_gpadl_teardown {
        struct vmbus_msg_header header;
        le32 relid;
        le32 gpadl;
};
static_assert(sizeof(struct vmbus_msg_gpadl_teardown) == 16, "GPADL_TEARDOWN");

struct vmbus_msg_gpadl_torndown {
        struct vmbus_msg_header header;
        le32 gpadl;
};
static_assert(sizeof(struct vmbus_msg_gpadl_torndown) == 12, "GPADL_TORNDOWN");

struct vmbus_msg_initiate_contact {
        struct vmbus_msg_header header;
        le32 version;
        le32 target_vp;
        /* Since 5.0; before, these 8 bytes are the address of the interrupt page. */
        uint8_t sint;
        uint8_t vtl;
        uint8_t zero[2];
        le32 feature_flags; /* since 6.0 */
        le64 monitor_page_1;
        le64 monitor_page_2;
};
static_assert(sizeof(struct vmbus_msg_initiate_contact) == 40, "INITIATE_CONTACT");

struct vmbus_msg_version_response {
        struct vmbus_msg_header header;
        uint8_t supported;
        uint8_t state; /* 0 ok, 1 low resources, 2 failure */
        le16 zero;
        le32 version_or_connection; /* the version before 5.0, then the id to post to */
};
static_assert(sizeof(struct vmbus_msg_version_response) == 16, "VERSION_RESPONSE");

struct vmbus_msg_tl_connect {
        struct vmbus_msg_header header;
        struct guid endpoint; /* of the guest */
        struct guid service;  /* of the host */
        struct guid silo;     /* Windows since 5.2; may be missing */
};
static_assert(sizeof(struct vmbus_msg_tl_connect) == 56, "TL_CONNECT_REQUEST");

struct vmbus_msg_tl_result {
        struct vmbus_msg_header header;
        struct guid endpoint;
        struct guid service;
        le32 status;
};
static_assert(sizeof(struct vmbus_msg_tl_result) == 44, "TL_CONNECT_RESULT");

#define VMBUS_VP_NO_INTERRUPT 0xFFFFFFFFu

struct vmbus_msg_modify_channel {
        struct vmbus_msg_header header;
        le32 relid;
        le32 target_vp;
};
static_assert(sizeof(struct vmbus_msg_modify_channel) == 16, "MODIFYCHANNEL");

struct vmbus_msg_modify_response {
        struct vmbus_msg_header header;
        le32 relid;
        le32 status;
};
static_assert(sizeof(struct vmbus_msg_modify_response) == 16, "MODIFYCHANNEL_RESPONSE");

/* Our copy of a message from the guest. Members are bytes, so any view of it is aligned. */
union vmbus_message {
        uint8_t bytes[VMBUS_MESSAGE_SIZE_MAX];
        struct vmbus_msg_header header;
        struct vmbus_msg_relid relid;
        struct vmbus_msg_open open;
        struct vmbus_msg_gpadl_header gpadl_header;
        struct vmbus_msg_gpadl_body gpadl_body;
        struct vmbus_msg_gpadl_teardown gpadl_teardown;
        struct vmbus_msg_initiate_contact initiate_contact;
        struct vmbus_msg_tl_connect tl_connect;
        struct vmbus_msg_modify_channel modify_channel;
};
static_assert(sizeof(union vmbus_message) == VMBUS_MESSAGE_SIZE_MAX, "one SynIC payload");

/* The first page of a ring; data pages follow. Indices are byte offsets in the data. */
enum {
        VMBUS_RING_WRITE_INDEX = 0,
        VMBUS_RING_READ_INDEX = 4,
        VMBUS_RING_INTERRUPT_MASK = 8,
        VMBUS_RING_PENDING_SEND_SIZE = 12,
        VMBUS_RING_FEATURE_BITS = 64,
        VMBUS_RING_CONTROL_SIZE = 4096,
};
enum { VMBUS_RING_FEATURE_PENDING_SEND = 1 };

enum {
        VMBUS_PACKET_INBAND = 6,
        VMBUS_PACKET_XFER_PAGES = 7,
        VMBUS_PACKET_GPA_DIRECT = 9,
        VMBUS_PACKET_COMPLETION = 11,

        VMBUS_PACKET_FLAG_COMPLETE = 1, /* completion requested */
};

/* A packet: this, the extra header of its type, the payload padded to 8, and the trailer. */
struct vmbus_packet_descriptor {
        le16 type;
        le16 offset8; /* of the payload, in 8 bytes */
        le16 length8; /* without the trailer, in 8 bytes */
        le16 flags;
        le64 transaction;
};
static_assert(sizeof(struct vmbus_packet_descriptor) == 16, "packet descriptor");

struct vmbus_packet_trailer {
        le32 zero;
        le32 write_index; /* where the packet starts */
};
static_assert(sizeof(struct vmbus_packet_trailer) == 8, "packet trailer");

/* Extra header of VMBUS_PACKET_XFER_PAGES, `range_count` ranges behind it. */
struct vmbus_xfer_pages_header {
        le16 pageset;
        uint8_t sender_owns;
        uint8_t zero;
        le32 range_count;
};
static_assert(sizeof(struct vmbus_xfer_pages_header) == 8, "transfer pages");
struct vmbus_xfer_range {
        le32 byte_count;
        le32 byte_offset;
};
static_assert(sizeof(struct vmbus_xfer_range) == 8, "transfer range");

/* Extra header of VMBUS_PACKET_GPA_DIRECT, `range_count` ranges behind it. */
struct vmbus_gpa_direct_header {
        le32 zero;
        le32 range_count;
};
static_assert(sizeof(struct vmbus_gpa_direct_header) == 8, "GPA direct");
/* One range; ceil((offset + count) / 4096) PFNs of 8 bytes follow. */
struct vmbus_gpa_range {
        le32 byte_count;
        le32 byte_offset;
};
static_assert(sizeof(struct vmbus_gpa_range) == 8, "GPA range");
