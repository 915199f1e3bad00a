// SPDX-License-Identifier: MIT
/* The service table: which services guest and host may use. A rule decides for its service, the
 * defaults for all others. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "hvsocket/hvsocket.h"

struct hvsocket_table {
        struct hvsocket_rule *rules;
        size_t n;
        bool default_bind, default_connect;
};

/* Replaces the table, or leaves it as it was: -E2BIG past HVSOCKET_SERVICES_MAX, -EEXIST for two
 * rules of one service, -ENOMEM. */
_warn_unused_ int hvsocket_table_set(struct hvsocket_table *table,
        const struct hvsocket_rule *rules, size_t n, bool default_bind, bool default_connect);
void hvsocket_table_done(struct hvsocket_table *table);
bool hvsocket_table_may_bind(const struct hvsocket_table *table, const struct guid *service);
bool hvsocket_table_may_connect(const struct hvsocket_table *table, const struct guid *service);
