// SPDX-License-Identifier: MIT
#include "vmbus.h"
#include "wire/hv.h"

enum {
        SLOT_SIZE = 256,
        SLOT_PAYLOAD = 16,
        RELIDS = VMBUS_RELID_MAX + 1,
        FIRST_GPADL = 0xe1e10, /* Linux's */
        DESCRIPTOR_SIZE = sizeof(struct vmbus_packet_descriptor),
        TRAILER_SIZE = 8,
};

static uint8_t hypercalls[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t input[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t slots[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t flags[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t rings[GUEST_CHANNELS_MAX][2 * GUEST_RING_PAGES][GUEST_PAGE_SIZE] GUEST_PAGE;
static struct guest_channel channels[GUEST_CHANNELS_MAX];
static uint32_t connection, next_gpadl = FIRST_GPADL;

/* Written by the interrupt handler: messages number messages_first to messages_seen - 1. */
static struct message {
        uint32_t size; /* 0: taken */
        uint8_t bytes[VMBUS_MESSAGE_SIZE_MAX];
} messages[GUEST_BUS_MESSAGES];
static volatile uint32_t messages_seen, rung[RELIDS];
static uint32_t messages_first;

/* Interrupts: messages, then event flags. */

/* Linux's way: the message, then the slot, then EOM if something waits. */
static void take_slot(void) {
        uint8_t *slot = slots + VMBUS_SINT * SLOT_SIZE;
        uint32_t *type = (uint32_t *)(void *)slot;
        while (__atomic_load_n(type, __ATOMIC_ACQUIRE) != 0) {
                guest_check(*type == VMBUS_MESSAGE_TYPE &&
                            messages_seen - messages_first < GUEST_BUS_MESSAGES);
                struct message *m = &messages[messages_seen % GUEST_BUS_MESSAGES];
                m->size = slot[4];
                memcpy(m->bytes, slot + SLOT_PAYLOAD, slot[4]);
                messages_seen++;
                __atomic_exchange_n(type, 0, __ATOMIC_SEQ_CST);
                if (slot[5] & HV_MESSAGE_FLAG_PENDING)
                        guest_check(guest_wrmsr(HV_MSR_EOM, 0) == 0);
        }
}

static void take_flags(void) {
        uint32_t *words = (uint32_t *)(void *)(flags + VMBUS_SINT * HV_EVENT_FLAGS / 8);
        for (uint32_t i = 0; i < RELIDS / 32; i++) {
                if (words[i] == 0)
                        continue;
                uint32_t w = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
                for (; w != 0; w &= w - 1)
                        rung[i * 32 + (uint32_t)__builtin_ctz(w)]++;
        }
}

static void on_sint(struct guest_trap *trap) {
        (void)trap;
        take_slot();
        take_flags();
}

/* Messages */

static uint64_t call(uint64_t control, uint64_t in) {
        uint64_t rax = ~0ull;
        guest_check(guest_hypercall(hypercalls, control, in, 0, &rax) == 0);
        return rax & 0xffff;
}

void guest_bus_post(const void *message, size_t size) {
        const uint32_t header[] = {connection, 0, VMBUS_MESSAGE_TYPE, (uint32_t)size};
        uint64_t status;
        memcpy(input, header, sizeof header);
        memcpy(input + sizeof header, message, size);
        while ((status = call(HV_CALL_POST_MESSAGE, (uintptr_t)input)) ==
                HV_STATUS_INSUFFICIENT_BUFFERS)
                __asm__ volatile("pause");
        guest_check(status == HV_STATUS_SUCCESS);
}

void guest_bus_post_relid(uint32_t type, uint32_t relid) {
        const struct vmbus_msg_relid m = {{le32_make(type), {{0}}}, le32_make(relid)};
        guest_bus_post(&m, sizeof m);
}

bool guest_bus_take(uint32_t type, void *ret, size_t size) {
        bool found = false;
        guest_interrupts_off();
        for (uint32_t i = messages_first; i != messages_seen && !found; i++) {
                struct message *m = &messages[i % GUEST_BUS_MESSAGES];
                struct vmbus_msg_header header;
                memcpy(&header, m->bytes, sizeof header);
                if (m->size == 0 || le32_get(header.type) != type)
                        continue;
                found = true;
                guest_check(m->size == size);
                memcpy(ret, m->bytes, size);
                m->size = 0;
        }
        while (messages_first != messages_seen &&
                messages[messages_first % GUEST_BUS_MESSAGES].size == 0)
                messages_first++;
        guest_interrupts_on();
        return found;
}

void guest_bus_expect(uint32_t type, void *ret, size_t size) {
        for (uint32_t seen = messages_seen; !guest_bus_take(type, ret, size); seen = messages_seen)
                guest_wait_change(&messages_seen, seen);
}

void guest_bus_connect(uint32_t version) {
        guest_set_handler(GUEST_BUS_VECTOR, on_sint);
        guest_check(guest_wrmsr(HV_MSR_GUEST_OS_ID, 0x8100ull << 48) == 0);
        guest_check(guest_wrmsr(HV_MSR_HYPERCALL, (uintptr_t)hypercalls | HV_PAGE_ENABLE) == 0);
        guest_check(guest_wrmsr(HV_MSR_SIMP, (uintptr_t)slots | HV_PAGE_ENABLE) == 0);
        guest_check(guest_wrmsr(HV_MSR_SIEFP, (uintptr_t)flags | HV_PAGE_ENABLE) == 0);
        guest_check(guest_wrmsr(HV_MSR_SINT0 + VMBUS_SINT, GUEST_BUS_VECTOR) == 0);
        guest_check(guest_wrmsr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE) == 0);
        const struct vmbus_msg_initiate_contact m = {
                .header.type = le32_make(VMBUS_MSG_INITIATE_CONTACT),
                .version = le32_make(version),
                .sint = VMBUS_SINT,
        };
        struct vmbus_msg_version_response answer;
        connection = version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION_MESSAGE_50
                                                  : VMBUS_CONNECTION_MESSAGE;
        guest_bus_post(&m, sizeof m);
        guest_bus_expect(VMBUS_MSG_VERSION_RESPONSE, &answer, sizeof answer);
        guest_check(answer.supported == 1);
        if (version >= VMBUS_VERSION_5_0)
                connection = le32_get(answer.version_or_connection);
}

void guest_bus_request_offers(void) {
        const struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        struct vmbus_msg_header answer;
        guest_bus_post(&m, sizeof m);
        guest_bus_expect(VMBUS_MSG_OFFERS_DELIVERED, &answer, sizeof answer);
}

void guest_bus_forget(void) {
        memset(channels, 0, sizeof channels);
        guest_interrupts_off();
        messages_first = messages_seen;
        guest_interrupts_on();
}

/* Channels */

static void make_gpadl(struct guest_channel *channel, const void *memory, uint32_t pages) {
        struct vmbus_msg_gpadl_header m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_HEADER),
                .relid = le32_make(channel->relid),
                .gpadl = le32_make(channel->gpadl),
                .range_buffer_size = le16_make((uint16_t)(8 + 8 * pages)),
                .range_count = le16_make(1),
                .byte_count = le32_make(pages * GUEST_PAGE_SIZE),
        };
        struct vmbus_msg_gpadl_created answer;
        guest_check(pages <= VMBUS_GPADL_HEADER_PFNS_MAX);
        for (uint32_t i = 0; i < pages; i++)
                m.pfns[i] = le64_make((uintptr_t)memory / GUEST_PAGE_SIZE + i);
        guest_bus_post(&m, offsetof(struct vmbus_msg_gpadl_header, pfns) + 8 * pages);
        guest_bus_expect(VMBUS_MSG_GPADL_CREATED, &answer, sizeof answer);
        guest_check(le32_get(answer.gpadl) == channel->gpadl && le32_get(answer.status) == 0);
}

static volatile uint32_t *field(uint8_t *ring, uint32_t offset) {
        return (volatile uint32_t *)(void *)(ring + offset);
}

void guest_channel_open_in(struct guest_channel *channel, const struct vmbus_msg_offer *offer,
        uint8_t *memory, uint32_t ring_pages) {
        *channel = (struct guest_channel){
                .offer = *offer,
                .relid = le32_get(offer->relid),
                .gpadl = next_gpadl++,
                .up = memory,
                .down = memory + ring_pages * GUEST_PAGE_SIZE,
                .data_size = (ring_pages - 1) * GUEST_PAGE_SIZE,
        };
        memset(memory, 0xcc, 2ul * ring_pages * GUEST_PAGE_SIZE);
        make_gpadl(channel, memory, 2 * ring_pages);
        /* Linux zeroes the rings between the two. */
        memset(channel->up, 0, GUEST_PAGE_SIZE);
        memset(channel->down, 0, GUEST_PAGE_SIZE);
        *field(channel->up, VMBUS_RING_FEATURE_BITS) = VMBUS_RING_FEATURE_PENDING_SEND;
        *field(channel->down, VMBUS_RING_FEATURE_BITS) = VMBUS_RING_FEATURE_PENDING_SEND;
        const struct vmbus_msg_open m = {
                .header.type = le32_make(VMBUS_MSG_OPEN),
                .relid = offer->relid,
                .open_id = offer->relid,
                .ring_gpadl = le32_make(channel->gpadl),
                .downstream_page = le32_make(ring_pages),
        };
        struct vmbus_msg_open_result answer;
        guest_bus_post(&m, sizeof m);
        guest_bus_expect(VMBUS_MSG_OPEN_RESULT, &answer, sizeof answer);
        guest_check(le32_get(answer.relid) == channel->relid && le32_get(answer.status) == 0);
}

struct guest_channel *guest_channel_open(const struct vmbus_msg_offer *offer) {
        unsigned slot = 0;
        while (slot < GUEST_CHANNELS_MAX && channels[slot].relid != 0)
                slot++;
        guest_check(slot < GUEST_CHANNELS_MAX);
        guest_channel_open_in(&channels[slot], offer, rings[slot][0], GUEST_RING_PAGES);
        return &channels[slot];
}

void guest_channel_close(struct guest_channel *channel) {
        const struct vmbus_msg_gpadl_teardown m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TEARDOWN),
                .relid = le32_make(channel->relid),
                .gpadl = le32_make(channel->gpadl),
        };
        struct vmbus_msg_gpadl_torndown answer;
        guest_bus_post_relid(VMBUS_MSG_CLOSE, channel->relid);
        guest_bus_post(&m, sizeof m);
        guest_bus_expect(VMBUS_MSG_GPADL_TORNDOWN, &answer, sizeof answer);
        guest_check(le32_get(answer.gpadl) == channel->gpadl);
        channel->relid = 0;
}

void guest_channel_end(struct guest_channel *channel) {
        struct vmbus_msg_relid m;
        guest_bus_expect(VMBUS_MSG_RESCIND, &m, sizeof m);
        guest_check(le32_get(m.relid) == channel->relid);
        guest_bus_post_relid(VMBUS_MSG_CLOSE, channel->relid);
        guest_bus_post_relid(VMBUS_MSG_RELID_RELEASED, channel->relid);
        channel->relid = 0;
}

/* Rings */

/* The data of a ring lies in one piece, but it wraps. Returns the index behind. */
static uint32_t copy_in(
        const struct guest_channel *channel, uint32_t at, const void *from, uint32_t n) {
        uint32_t left = channel->data_size - at, first = n < left ? n : left;
        memcpy(channel->up + GUEST_PAGE_SIZE + at, from, first);
        memcpy(channel->up + GUEST_PAGE_SIZE, (const uint8_t *)from + first, n - first);
        return (at + n) % channel->data_size;
}

static uint32_t copy_out(const struct guest_channel *channel, uint32_t at, void *to, uint32_t n) {
        uint32_t left = channel->data_size - at, first = n < left ? n : left;
        memcpy(to, channel->down + GUEST_PAGE_SIZE + at, first);
        memcpy((uint8_t *)to + first, channel->down + GUEST_PAGE_SIZE, n - first);
        return (at + n) % channel->data_size;
}

static uint32_t room(const struct guest_channel *channel, uint32_t read, uint32_t write) {
        return read > write ? read - write : channel->data_size - write + read;
}

bool guest_channel_signal(const struct guest_channel *channel) {
        return call(HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST, le32_get(channel->offer.connection_id)) ==
               HV_STATUS_SUCCESS;
}

/* The host may have rescinded the channel since: what it found in the ring was enough for it. A
 * doorbell that is lost otherwise shows, as nothing goes on. */
static void ring_host(const struct guest_channel *channel) {
        (void)guest_channel_signal(channel);
}

bool guest_channel_send(struct guest_channel *channel, const void *payload, uint32_t size) {
        volatile uint32_t *read = field(channel->up, VMBUS_RING_READ_INDEX);
        volatile uint32_t *write = field(channel->up, VMBUS_RING_WRITE_INDEX);
        uint32_t start = *write, length = (DESCRIPTOR_SIZE + size + 7) / 8 * 8;
        if (room(channel, *read, start) <= length + TRAILER_SIZE)
                return false;
        const struct vmbus_packet_descriptor d = {
                .type = le16_make(VMBUS_PACKET_INBAND),
                .offset8 = le16_make(DESCRIPTOR_SIZE / 8),
                .length8 = le16_make((uint16_t)(length / 8)),
        };
        const le64 zero = le64_make(0), trailer = le64_make((uint64_t)start << 32);
        uint32_t at = copy_in(channel, start, &d, sizeof d);
        at = copy_in(channel, at, payload, size);
        at = copy_in(channel, at, &zero, length - DESCRIPTOR_SIZE - size);
        at = copy_in(channel, at, &trailer, sizeof trailer);
        __atomic_store_n(write, at, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (*field(channel->up, VMBUS_RING_INTERRUPT_MASK) == 0 && *read == start)
                ring_host(channel);
        return true;
}

int guest_channel_receive(struct guest_channel *channel, void *ret, uint32_t max) {
        volatile uint32_t *read = field(channel->down, VMBUS_RING_READ_INDEX);
        volatile uint32_t *write = field(channel->down, VMBUS_RING_WRITE_INDEX);
        struct vmbus_packet_descriptor d;
        uint32_t start = *read, at;
        if (__atomic_load_n(write, __ATOMIC_ACQUIRE) == start)
                return -1;
        at = copy_out(channel, start, &d, sizeof d);
        uint32_t length = le16_get(d.length8) * 8u, size = length - DESCRIPTOR_SIZE;
        guest_check(le16_get(d.type) == VMBUS_PACKET_INBAND);
        guest_check(le16_get(d.offset8) * 8u == DESCRIPTOR_SIZE && size <= max);
        at = copy_out(channel, at, ret, size);
        at = (at + TRAILER_SIZE) % channel->data_size;
        __atomic_store_n(read, at, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        uint32_t pending = *field(channel->down, VMBUS_RING_PENDING_SEND_SIZE);
        uint32_t now = room(channel, at, *write), taken = length + TRAILER_SIZE;
        if (pending != 0 && now > pending && (now < taken || now - taken <= pending))
                ring_host(channel);
        return (int)size;
}

void guest_channel_set_pending(struct guest_channel *channel, uint32_t size) {
        *field(channel->up, VMBUS_RING_PENDING_SEND_SIZE) = size;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint32_t guest_channel_rings(const struct guest_channel *channel) {
        return rung[channel->relid];
}

void guest_channel_wait(const struct guest_channel *channel, uint32_t seen) {
        guest_wait_change(&rung[channel->relid], seen);
}
