// SPDX-License-Identifier: MIT
#include "hvsocket/table.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "wire/hvsocket.h"

static const struct guid template = HVSOCKET_SERVICE_TEMPLATE;

struct guid hvsocket_service_of_port(uint32_t port) {
        struct guid service = template;
        guid_set_data1(&service, port);
        return service;
}

bool hvsocket_port_of_service(const struct guid *service, uint32_t *ret_port) {
        uint32_t port = guid_data1(service);
        struct guid of_port = hvsocket_service_of_port(port);
        if (!guid_equal(service, &of_port))
                return false;
        *ret_port = port;
        return true;
}

static const struct hvsocket_rule *find(
        const struct hvsocket_rule *rules, size_t n, const struct guid *service) {
        for (size_t i = 0; i < n; i++)
                if (guid_equal(&rules[i].service, service))
                        return &rules[i];
        return NULL;
}

int hvsocket_table_set(struct hvsocket_table *table, const struct hvsocket_rule *rules, size_t n,
        bool default_bind, bool default_connect) {
        if (n > HVSOCKET_SERVICES_MAX)
                return -E2BIG;
        for (size_t i = 1; i < n; i++)
                if (find(rules, i, &rules[i].service))
                        return -EEXIST;
        struct hvsocket_rule *copy = NULL;
        if (n > 0) {
                copy = fault_hit(FAULT_ALLOC) ? NULL : malloc(n * sizeof *copy);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, rules, n * sizeof *copy);
        }
        free(table->rules);
        *table = (struct hvsocket_table){
                .rules = copy,
                .n = n,
                .default_bind = default_bind,
                .default_connect = default_connect,
        };
        return 0;
}

void hvsocket_table_done(struct hvsocket_table *table) {
        free(table->rules);
        *table = (struct hvsocket_table){0};
}

bool hvsocket_table_may_bind(const struct hvsocket_table *table, const struct guid *service) {
        const struct hvsocket_rule *rule = find(table->rules, table->n, service);
        return rule ? rule->allow_bind : table->default_bind;
}

bool hvsocket_table_may_connect(const struct hvsocket_table *table, const struct guid *service) {
        const struct hvsocket_rule *rule = find(table->rules, table->n, service);
        return rule ? rule->allow_connect : table->default_connect;
}
