// SPDX-License-Identifier: MIT
/* Layout: le16 version, le16 type, then the common fields that the row names (le32 id, le32 pid,
 * le32 hresult, text), then the body, then nothing. A string is a le32 length and that many bytes
 * of UTF-8 without NUL; a boolean is one byte, 0 or 1. */
#include "ipc/ipc.h"
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "base/rd.h"
#include "base/utf16.h"
#include "base/wr.h"
#include "ipc/rules.h"

enum { IPC_VERSION = 1 };

/* Encoding */

static void put_string(struct wr *wr, const char *s) {
        size_t n = strlen(s);
        wr_le32(wr, (uint32_t)n);
        wr_bytes(wr, s, n);
}

static void put_guid(struct wr *wr, const struct guid *g) {
        wr_bytes(wr, g, sizeof *g);
}

static void put_services(struct wr *wr, const struct ipc_service *services, size_t n) {
        wr_le32(wr, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
                put_guid(wr, &services[i].service);
                wr_u8(wr, services[i].allow_bind);
                wr_u8(wr, services[i].allow_connect);
        }
}

static void put_strings(struct wr *wr, const char *const *list) {
        size_t n = 0;
        while (list && list[n])
                n++;
        wr_le32(wr, (uint32_t)n);
        for (size_t i = 0; i < n; i++)
                put_string(wr, list[i]);
}

static void put_config(struct wr *wr, const struct ipc_config *c) {
        put_string(wr, c->id);
        wr_le32(wr, c->vps);
        wr_le64(wr, c->memory);
        wr_u8(wr, c->stop_on_reset);
        wr_u8(wr, c->guest_connection);
        wr_u8(wr, c->has_initrd);
        wr_u8(wr, c->restore);
        wr_u8(wr, c->hvsocket_default_bind);
        wr_u8(wr, c->hvsocket_default_connect);
        wr_le32(wr, c->connect_timeout_ms);
        put_string(wr, c->cmdline);
        put_services(wr, c->services, c->n_services);
}

static void put_process(struct wr *wr, const struct ipc_process *p) {
        put_strings(wr, p->argv);
        wr_u8(wr, p->command_line != NULL);
        if (p->command_line)
                put_string(wr, p->command_line);
        put_strings(wr, p->env);
        put_string(wr, p->cwd);
        put_string(wr, p->user);
        wr_u8(wr, p->want_stdin);
        wr_u8(wr, p->want_stdout);
        wr_u8(wr, p->want_stderr);
        wr_u8(wr, p->console);
        wr_le16(wr, p->rows);
        wr_le16(wr, p->columns);
}

static void put_statistics(struct wr *wr, const struct ipc_statistics *s) {
        wr_le64(wr, s->uptime_100ns);
        wr_le64(wr, s->vp_runtime_100ns);
        wr_le64(wr, s->memory_assigned);
        wr_le64(wr, s->memory_resident);
        wr_le32(wr, s->vmbus_version);
        wr_le32(wr, s->channels_open);
        wr_le64(wr, s->storage_reads);
        wr_le64(wr, s->storage_writes);
        wr_le64(wr, s->storage_read_bytes);
        wr_le64(wr, s->storage_write_bytes);
        wr_le64(wr, s->dropped_messages);
}

static void put_exit(struct wr *wr, const struct ipc_message *m) {
        wr_u8(wr, (uint8_t)m->exit.type);
        wr_u8(wr, (uint8_t)m->exit.cause);
        wr_le32(wr, m->exit.status);
        wr_u8(wr, m->exit.crashed);
        for (size_t i = 0; i < ARRAY_SIZE(m->exit.crash); i++)
                wr_le64(wr, m->exit.crash[i]);
}

static void put_crash(struct wr *wr, const struct ipc_message *m) {
        for (size_t i = 0; i < ARRAY_SIZE(m->crash.parameters); i++)
                wr_le64(wr, m->crash.parameters[i]);
        put_string(wr, m->crash.log);
}

static void put_body(struct wr *wr, enum ipc_body body, const struct ipc_message *m) {
        switch (body) {
        case IPC_BODY_NONE:
                break;
        case IPC_BODY_CONFIG:
                put_config(wr, &m->config);
                break;
        case IPC_BODY_PROCESS:
                put_process(wr, &m->process);
                break;
        case IPC_BODY_STATISTICS:
                put_statistics(wr, &m->statistics);
                break;
        case IPC_BODY_SIGNAL:
                wr_le32(wr, (uint32_t)m->signal.signal);
                break;
        case IPC_BODY_CONSOLE:
                wr_le16(wr, m->console.rows);
                wr_le16(wr, m->console.columns);
                break;
        case IPC_BODY_EXIT:
                put_exit(wr, m);
                break;
        case IPC_BODY_CRASH:
                put_crash(wr, m);
                break;
        case IPC_BODY_PROCESS_EXIT:
                wr_le32(wr, (uint32_t)m->process_exit.code);
                break;
        case IPC_BODY_CONNECTION:
                wr_u8(wr, m->connection.connected);
                wr_le32(wr, m->connection.protocol);
                break;
        case IPC_BODY_HVSOCKET:
                wr_le64(wr, m->hvsocket.token);
                put_guid(wr, &m->hvsocket.service);
                put_guid(wr, &m->hvsocket.endpoint);
                wr_le32(wr, m->hvsocket.timeout_ms);
                break;
        case IPC_BODY_TABLE:
                wr_u8(wr, m->table.default_bind);
                wr_u8(wr, m->table.default_connect);
                put_services(wr, m->table.services, m->table.n_services);
                break;
        case IPC_BODY_SHUTDOWN:
                wr_u8(wr, m->shutdown.force);
                wr_u8(wr, m->shutdown.reboot);
                break;
        }
}

int ipc_encode(const struct ipc_message *m, struct wr *wr) {
        const struct ipc_rule *rule = ipc_rule(m->type);
        if (!rule)
                return -EINVAL;
        wr_le16(wr, IPC_VERSION);
        wr_le16(wr, (uint16_t)m->type);
        if (rule->flags & IPC_HAS_ID)
                wr_le32(wr, m->id);
        if (rule->flags & IPC_HAS_PID)
                wr_le32(wr, m->pid);
        if (rule->flags & IPC_HAS_HRESULT)
                wr_le32(wr, m->hresult);
        if (rule->flags & IPC_HAS_TEXT)
                put_string(wr, m->text);
        put_body(wr, rule->body, m);
        return wr_error(wr);
}

int ipc_send(struct io_chan *chan, const struct ipc_message *m, const int *fds, size_t n_fds) {
        struct wr wr = wr_new(IO_CHAN_MESSAGE_MAX);
        int r = ipc_encode(m, &wr);
        /* What the other side would refuse is refused here, where the mistake is. */
        struct ipc_message check;
        if (r == 0) {
                r = ipc_decode(ipc_rule(m->type)->receiver, wr.data, wr.size, n_fds, &check);
                if (r == 0)
                        ipc_message_done(&check);
                else if (r != -ENOMEM)
                        r = -EINVAL;
        }
        if (r == 0)
                r = io_chan_send(chan, wr.data, wr.size, fds, n_fds);
        wr_done(&wr);
        return r == -ENOSPC ? -EMSGSIZE : r;
}

/* Decoding */

/* What variable parts of one message point into; sized once from the message's length. */
struct arena {
        uint8_t *at, *end;
};

static void *take(struct arena *arena, size_t n) {
        n = (n + 7) & ~(size_t)7;
        if (n > (size_t)(arena->end - arena->at))
                return NULL;
        void *p = arena->at;
        arena->at += n;
        return p;
}

static int get_bool(struct rd *rd, bool *ret) {
        uint8_t v;
        int r = rd_u8(rd, &v);
        if (r < 0 || v > 1)
                return -EBADMSG;
        *ret = v;
        return 0;
}

/* A pointer into the message, and its length. */
static int get_text(struct rd *rd, size_t max, const uint8_t **ret, uint32_t *ret_n) {
        uint32_t n;
        int r = rd_le32(rd, &n);
        if (r < 0)
                return r;
        if (n >= max)
                return -EBADMSG;
        r = rd_view(rd, n, ret);
        if (r < 0)
                return r;
        if (memchr(*ret, 0, n) || utf16_check_utf8(*ret, n) < 0)
                return -EBADMSG;
        *ret_n = n;
        return 0;
}

static int get_string(struct rd *rd, struct arena *arena, size_t max, const char **ret) {
        const uint8_t *text;
        uint32_t n;
        int r = get_text(rd, max, &text, &n);
        if (r < 0)
                return r;
        char *copy = take(arena, n + 1);
        if (!copy)
                return -EBADMSG;
        memcpy(copy, text, n);
        copy[n] = 0;
        *ret = copy;
        return 0;
}

static int get_string_fixed(struct rd *rd, char *ret, size_t size) {
        const uint8_t *text;
        uint32_t n;
        int r = get_text(rd, size, &text, &n);
        if (r < 0)
                return r;
        memcpy(ret, text, n);
        ret[n] = 0;
        return 0;
}

/* `blob` counts down the bytes that all strings of the message may still have. */
static int get_strings(
        struct rd *rd, struct arena *arena, uint32_t max, size_t *blob, const char *const **ret) {
        uint32_t n;
        int r = rd_le32(rd, &n);
        if (r < 0)
                return r;
        if (n > max)
                return -EBADMSG;
        const char **list = take(arena, ((size_t)n + 1) * sizeof *list);
        if (!list)
                return -EBADMSG;
        for (uint32_t i = 0; i < n; i++) {
                r = get_string(rd, arena, IPC_STRING_MAX, &list[i]);
                if (r < 0)
                        return r;
                size_t size = strlen(list[i]) + 1;
                if (size > *blob)
                        return -EBADMSG;
                *blob -= size;
        }
        list[n] = NULL;
        *ret = list;
        return 0;
}

static int get_services(
        struct rd *rd, struct arena *arena, const struct ipc_service **ret, size_t *ret_n) {
        uint32_t n;
        int r = rd_le32(rd, &n);
        if (r < 0)
                return r;
        if (n > IPC_SERVICES_MAX)
                return -EBADMSG;
        struct ipc_service *list = take(arena, n * sizeof *list);
        if (!list)
                return -EBADMSG;
        for (uint32_t i = 0; i < n; i++) {
                if (rd_bytes(rd, &list[i].service, sizeof list[i].service) < 0 ||
                        get_bool(rd, &list[i].allow_bind) < 0 ||
                        get_bool(rd, &list[i].allow_connect) < 0)
                        return -EBADMSG;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

static int get_config(struct rd *rd, struct arena *arena, struct ipc_config *c) {
        if (get_string_fixed(rd, c->id, sizeof c->id) < 0 || rd_le32(rd, &c->vps) < 0 ||
                rd_le64(rd, &c->memory) < 0 || get_bool(rd, &c->stop_on_reset) < 0 ||
                get_bool(rd, &c->guest_connection) < 0 || get_bool(rd, &c->has_initrd) < 0 ||
                get_bool(rd, &c->restore) < 0 || get_bool(rd, &c->hvsocket_default_bind) < 0 ||
                get_bool(rd, &c->hvsocket_default_connect) < 0 ||
                rd_le32(rd, &c->connect_timeout_ms) < 0 ||
                get_string(rd, arena, IPC_STRING_MAX, &c->cmdline) < 0)
                return -EBADMSG;
        return get_services(rd, arena, &c->services, &c->n_services);
}

static int get_process(struct rd *rd, struct arena *arena, struct ipc_process *p) {
        size_t blob = IPC_BLOB_MAX;
        bool has_command_line;
        if (get_strings(rd, arena, IPC_ARGS_MAX, &blob, &p->argv) < 0 ||
                get_bool(rd, &has_command_line) < 0)
                return -EBADMSG;
        if (has_command_line && get_string(rd, arena, IPC_STRING_MAX, &p->command_line) < 0)
                return -EBADMSG;
        /* One of the two forms, not both and not none. */
        if (has_command_line == (p->argv[0] != NULL))
                return -EBADMSG;
        if (!p->argv[0])
                p->argv = NULL;
        if (get_strings(rd, arena, IPC_ENV_MAX, &blob, &p->env) < 0 ||
                get_string(rd, arena, IPC_STRING_MAX, &p->cwd) < 0 ||
                get_string(rd, arena, IPC_STRING_MAX, &p->user) < 0 ||
                get_bool(rd, &p->want_stdin) < 0 || get_bool(rd, &p->want_stdout) < 0 ||
                get_bool(rd, &p->want_stderr) < 0 || get_bool(rd, &p->console) < 0 ||
                rd_le16(rd, &p->rows) < 0 || rd_le16(rd, &p->columns) < 0)
                return -EBADMSG;
        return 0;
}

static int get_statistics(struct rd *rd, struct ipc_statistics *s) {
        if (rd_le64(rd, &s->uptime_100ns) < 0 || rd_le64(rd, &s->vp_runtime_100ns) < 0 ||
                rd_le64(rd, &s->memory_assigned) < 0 || rd_le64(rd, &s->memory_resident) < 0 ||
                rd_le32(rd, &s->vmbus_version) < 0 || rd_le32(rd, &s->channels_open) < 0 ||
                rd_le64(rd, &s->storage_reads) < 0 || rd_le64(rd, &s->storage_writes) < 0 ||
                rd_le64(rd, &s->storage_read_bytes) < 0 ||
                rd_le64(rd, &s->storage_write_bytes) < 0 || rd_le64(rd, &s->dropped_messages) < 0)
                return -EBADMSG;
        return 0;
}

static int get_u64s(struct rd *rd, uint64_t *ret, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (rd_le64(rd, &ret[i]) < 0)
                        return -EBADMSG;
        return 0;
}

static int get_exit(struct rd *rd, struct ipc_message *m) {
        uint8_t type, cause;
        if (rd_u8(rd, &type) < 0 || type > IPC_EXIT_UNEXPECTED || rd_u8(rd, &cause) < 0 ||
                cause > IPC_CAUSE_INTERNAL)
                return -EBADMSG;
        m->exit.type = type;
        m->exit.cause = cause;
        if (rd_le32(rd, &m->exit.status) < 0 || get_bool(rd, &m->exit.crashed) < 0)
                return -EBADMSG;
        return get_u64s(rd, m->exit.crash, ARRAY_SIZE(m->exit.crash));
}

static int get_hvsocket(struct rd *rd, struct ipc_message *m) {
        if (rd_le64(rd, &m->hvsocket.token) < 0 ||
                rd_bytes(rd, &m->hvsocket.service, sizeof m->hvsocket.service) < 0 ||
                rd_bytes(rd, &m->hvsocket.endpoint, sizeof m->hvsocket.endpoint) < 0)
                return -EBADMSG;
        return rd_le32(rd, &m->hvsocket.timeout_ms);
}

static int get_i32(struct rd *rd, int32_t *ret) {
        uint32_t v;
        int r = rd_le32(rd, &v);
        if (r == 0)
                *ret = (int32_t)v;
        return r;
}

static int get_body(struct rd *rd, struct arena *arena, enum ipc_body body, struct ipc_message *m) {
        int r;
        switch (body) {
        case IPC_BODY_NONE:
                return 0;
        case IPC_BODY_CONFIG:
                return get_config(rd, arena, &m->config);
        case IPC_BODY_PROCESS:
                return get_process(rd, arena, &m->process);
        case IPC_BODY_STATISTICS:
                return get_statistics(rd, &m->statistics);
        case IPC_BODY_SIGNAL:
                return get_i32(rd, &m->signal.signal);
        case IPC_BODY_CONSOLE:
                r = rd_le16(rd, &m->console.rows);
                return r < 0 ? r : rd_le16(rd, &m->console.columns);
        case IPC_BODY_EXIT:
                return get_exit(rd, m);
        case IPC_BODY_CRASH:
                r = get_u64s(rd, m->crash.parameters, ARRAY_SIZE(m->crash.parameters));
                return r < 0 ? r : get_string(rd, arena, IPC_CRASH_LOG_MAX, &m->crash.log);
        case IPC_BODY_PROCESS_EXIT:
                return get_i32(rd, &m->process_exit.code);
        case IPC_BODY_CONNECTION:
                r = get_bool(rd, &m->connection.connected);
                return r < 0 ? r : rd_le32(rd, &m->connection.protocol);
        case IPC_BODY_HVSOCKET:
                return get_hvsocket(rd, m);
        case IPC_BODY_TABLE:
                r = get_bool(rd, &m->table.default_bind);
                if (r == 0)
                        r = get_bool(rd, &m->table.default_connect);
                return r < 0 ? r
                             : get_services(rd, arena, &m->table.services, &m->table.n_services);
        case IPC_BODY_SHUTDOWN:
                r = get_bool(rd, &m->shutdown.force);
                return r < 0 ? r : get_bool(rd, &m->shutdown.reboot);
        }
        return -EBADMSG;
}

static int decode(
        const struct ipc_rule *rule, struct rd *rd, struct arena *arena, struct ipc_message *m) {
        m->type = rule->type;
        if (rule->flags & IPC_HAS_ID && rd_le32(rd, &m->id) < 0)
                return -EBADMSG;
        if (rule->flags & IPC_HAS_PID && rd_le32(rd, &m->pid) < 0)
                return -EBADMSG;
        if (rule->flags & IPC_HAS_HRESULT && rd_le32(rd, &m->hresult) < 0)
                return -EBADMSG;
        if (rule->flags & IPC_HAS_TEXT && get_string_fixed(rd, m->text, sizeof m->text) < 0)
                return -EBADMSG;
        int r = get_body(rd, arena, rule->body, m);
        return r < 0 ? r : rd_end(rd);
}

int ipc_decode(
        enum ipc_side side, const void *data, size_t size, size_t n_fds, struct ipc_message *ret) {
        struct rd rd = rd_make(data, size);
        uint16_t version, type;
        if (rd_le16(&rd, &version) < 0 || version != IPC_VERSION || rd_le16(&rd, &type) < 0)
                return -EBADMSG;
        const struct ipc_rule *rule = ipc_rule(type);
        if (!rule || rule->receiver != side || n_fds < rule->min_fds || n_fds > rule->max_fds)
                return -EPROTO;
        /* Each string takes its bytes, a NUL, padding and a pointer, against a length field of
         * four; a list ends with NULL; a service is as large here as there. */
        size_t room = 6 * size + 64;
        struct ipc_message m = {0};
        m.arena = fault_hit(FAULT_ALLOC) ? NULL : malloc(room);
        if (!m.arena)
                return -ENOMEM;
        struct arena arena = {.at = m.arena, .end = (uint8_t *)m.arena + room};
        int r = decode(rule, &rd, &arena, &m);
        if (r == 0 && n_fds != ipc_fds_wanted(rule, &m))
                r = -EPROTO;
        if (r < 0) {
                ipc_message_done(&m);
                return r;
        }
        *ret = m;
        return 0;
}

void ipc_message_done(struct ipc_message *m) {
        free(m->arena);
        m->arena = NULL;
}
