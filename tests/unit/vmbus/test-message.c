// SPDX-License-Identifier: MIT
#include "echo.h"

/* What facts 3.3 say of each type that a guest may send: the table of message.c told again. */
struct rule {
        uint32_t type, min, max, since;
        bool apart; /* also without a connection */
};
static const struct rule rules[] = {
        {VMBUS_MSG_REQUEST_OFFERS, 8, 8, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_OPEN, 148, 148, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_CLOSE, 12, 12, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_GPADL_HEADER, 16, 240, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_GPADL_BODY, 16, 240, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_GPADL_TEARDOWN, 16, 16, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_RELID_RELEASED, 12, 12, VMBUS_VERSION_2_4, false},
        {VMBUS_MSG_INITIATE_CONTACT, 40, 240, 0, true},
        {VMBUS_MSG_UNLOAD, 8, 8, 0, true},
        {VMBUS_MSG_TL_CONNECT, 40, 56, VMBUS_VERSION_4_0, false},
        {VMBUS_MSG_MODIFY_CHANNEL, 16, 16, VMBUS_VERSION_4_1, false},
};

static const struct rule *rule_of(uint32_t type) {
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (rules[i].type == type)
                        return &rules[i];
        return NULL;
}

/* A message of this type that its handler takes without a word about its content: relids and
 * handles are those of a channel that is there. */
static void fill(union vmbus_message *m, uint32_t type) {
        memset(m, 0, sizeof *m);
        m->header.type = le32_make(type);
        m->relid.relid = le32_make(1);
        if (type == VMBUS_MSG_INITIATE_CONTACT) {
                m->initiate_contact.version = le32_make(VMBUS_VERSION_5_3);
                m->initiate_contact.target_vp = le32_make(0);
                m->initiate_contact.sint = VMBUS_SINT;
        }
        if (type == VMBUS_MSG_GPADL_BODY)
                m->gpadl_body.gpadl = le32_make(88);
}

/* The state in which nothing of the right form is ignored: channel 1 open, GPADL 88 half done. */
static struct fake_guest *ready(struct echo *e, uint32_t version, struct fake_channel **ch) {
        struct fake_guest *g = echo_setup(e, version);
        *ch = fake_open(g, &g->offers[1], 2, 2);
        struct vmbus_msg_gpadl_header m;
        uint64_t pfns[200];
        fake_pages(g, pfns, 200);
        fake_tell(g, &m, fake_gpadl_header(&m, 1, 88, pfns, 200));
        return g;
}

static bool ignored(uint32_t version, uint32_t type, uint32_t size, bool apart) {
        struct echo e;
        struct fake_channel *ch;
        union vmbus_message m;
        struct fake_guest *g = ready(&e, version, &ch);
        if (apart)
                fake_unload(g);
        if (type == VMBUS_MSG_RELID_RELEASED && !apart)
                fake_tell_relid(g, VMBUS_MSG_CLOSE, 1);
        fill(&m, type);
        uint64_t before = vmbus_ignored(g->vmbus);
        fake_tell(g, &m, size);
        bool was = vmbus_ignored(g->vmbus) != before;
        /* A message that is passed over has no effect and gets no answer. */
        if (was)
                fake_expect_silence(g);
        fake_forget(ch);
        fake_guest_free(g);
        return was;
}

START_TEST(takes_each_type_at_its_sizes_only) {
        for (uint32_t type = 0; type < VMBUS_MSG_TYPES_ + 6; type++) {
                const struct rule *rule = rule_of(type);
                const uint32_t around[] = {0, 1, 7, 8, 9, 11, 12, 13, 15, 16, 17, 27, 28, 39, 40,
                        41, 44, 55, 56, 57, 147, 148, 149, 239, 240};
                for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
                        uint32_t n = around[i];
                        bool good = rule && n >= rule->min && n <= rule->max;
                        ck_assert_msg(ignored(VMBUS_VERSION_5_3, type, n, false) == !good,
                                "type %u, %u bytes", type, n);
                }
        }
}
END_TEST

START_TEST(takes_each_type_since_its_version_only) {
        const uint32_t versions[] = {VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
                VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_3};
        for (size_t v = 0; v < ARRAY_SIZE(versions); v++)
                for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                        ck_assert_int_eq(ignored(versions[v], rules[i].type, rules[i].min, false),
                                versions[v] < rules[i].since);
}
END_TEST

START_TEST(takes_only_contact_and_unload_without_a_connection) {
        for (uint32_t type = 0; type < VMBUS_MSG_TYPES_; type++) {
                const struct rule *rule = rule_of(type);
                ck_assert_int_eq(ignored(VMBUS_VERSION_5_3, type, rule ? rule->min : 8, true),
                        !rule || !rule->apart);
        }
}
END_TEST

START_TEST(takes_no_type_that_is_not_for_the_guest_to_send) {
        const uint32_t types[] = {
                VMBUS_MSG_TYPES_, 29, 30, 255, 256, 0x10000, 0x80000005, UINT32_MAX, 0};
        struct echo e;
        struct fake_channel *ch;
        struct fake_guest *g = ready(&e, VMBUS_VERSION_5_3, &ch);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                union vmbus_message m;
                fill(&m, types[i]);
                fake_tell(g, &m, sizeof m);
                ck_assert_uint_eq(vmbus_ignored(g->vmbus), i + 1);
                fake_expect_silence(g);
        }
        ck_assert(vmbus_channel_is_open(e.channel));
        fake_forget(ch);
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("message", takes_each_type_at_its_sizes_only, takes_each_type_since_its_version_only,
        takes_only_contact_and_unload_without_a_connection,
        takes_no_type_that_is_not_for_the_guest_to_send)
