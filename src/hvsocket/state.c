// SPDX-License-Identifier: MIT
/* Save and restore. Connections that have ended are not saved: what is left of them is between the
 * guest and the vmbus, which takes back channels that nobody claims. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/state.h"
#include "hvsocket/internal.h"

#define HVSOCKET_TAG STATE_TAG('H', 'V', 'S', 'K')

enum {
        STATE_VERSION = 1,

        FLAG_FROM_HOST = 1,
        FLAG_OPEN = 2,
        FLAG_GUEST_FIN = 4,
        FLAG_OWNER_EOF = 8,
        FLAG_OWNER_GONE = 16,
        FLAG_FIN_SENT = 32,
        FLAGS_ALL = 63,

        /* One connection's bytes for one side: a socket's buffer and the packet in hand. */
        BYTES_MAX = 64 * 1024 * 1024,
};

static void save_bytes(struct wr *wr, const struct hvsocket_bytes *bytes) {
        wr_le32(wr, (uint32_t)hvsocket_bytes_left(bytes));
        if (hvsocket_bytes_left(bytes) > 0)
                wr_bytes(wr, bytes->data + bytes->begin, hvsocket_bytes_left(bytes));
}

/* What waits for the guest: our own piece, then all that the owner's socket holds. That is looked
 * at, not taken, so that this machine may go on. */
static int save_to_guest(struct wr *wr, const struct hvsocket_conn *conn) {
        _cleanup_free_ uint8_t *queued = NULL;
        int n = 0;
        if (conn->fd >= 0 && !conn->owner_eof && ioctl(conn->fd, FIONREAD, &n) < 0)
                return -errno;
        size_t left = hvsocket_bytes_left(&conn->to_guest), size = n > 0 ? (size_t)n : 0;
        if (left + size > BYTES_MAX)
                return -E2BIG;
        if (size > 0) {
                queued = fault_hit(FAULT_ALLOC) ? NULL : malloc(size);
                if (!queued)
                        return -ENOMEM;
                ssize_t got = recv(conn->fd, queued, size, MSG_PEEK | MSG_DONTWAIT);
                if (got != (ssize_t)size)
                        return got < 0 ? -errno : -EIO;
        }
        wr_le32(wr, (uint32_t)(left + size));
        if (left > 0)
                wr_bytes(wr, conn->to_guest.data + conn->to_guest.begin, left);
        if (size > 0)
                wr_bytes(wr, queued, size);
        return 0;
}

static int save_conn(struct wr *wr, const struct hvsocket_conn *conn) {
        wr_bytes(wr, &conn->service, sizeof conn->service);
        wr_bytes(wr, &conn->endpoint, sizeof conn->endpoint);
        wr_u8(wr, (uint8_t)((conn->from_host ? FLAG_FROM_HOST : 0) |
                            (conn->state == HVSOCKET_OPEN ? FLAG_OPEN : 0) |
                            (conn->guest_fin ? FLAG_GUEST_FIN : 0) |
                            (conn->owner_eof || conn->owner_gone ? FLAG_OWNER_EOF : 0) |
                            (conn->owner_gone ? FLAG_OWNER_GONE : 0) |
                            (conn->fin_sent ? FLAG_FIN_SENT : 0)));
        save_bytes(wr, &conn->to_owner);
        return save_to_guest(wr, conn);
}

int hvsocket_save(struct hvsocket *hvs, struct wr *wr) {
        size_t mark = state_begin(wr, HVSOCKET_TAG, STATE_VERSION);
        uint32_t n = 0;
        for (size_t i = 0; i < HVSOCKET_PENDING_MAX; i++)
                n += hvs->asks[i].token != 0;
        wr_le32(wr, n);
        for (size_t i = 0; i < HVSOCKET_PENDING_MAX; i++) {
                if (hvs->asks[i].token == 0)
                        continue;
                wr_bytes(wr, &hvs->asks[i].service, sizeof(struct guid));
                wr_bytes(wr, &hvs->asks[i].endpoint, sizeof(struct guid));
        }
        n = 0;
        for (struct hvsocket_conn *c = hvs->conns.next; c != &hvs->conns; c = c->next)
                n += c->state != HVSOCKET_RESCINDED;
        wr_le32(wr, n);
        for (struct hvsocket_conn *c = hvs->conns.next; c != &hvs->conns; c = c->next) {
                int r = c->state != HVSOCKET_RESCINDED ? save_conn(wr, c) : 0;
                if (r < 0)
                        return r;
        }
        state_end(wr, mark);
        return wr_error(wr);
}

static int restore_bytes(struct rd *rd, struct hvsocket_bytes *bytes) {
        uint32_t size;
        const uint8_t *data;
        int r = rd_le32(rd, &size);
        if (r < 0)
                return r;
        r = rd_view(rd, size, &data);
        return r < 0 ? r : hvsocket_bytes_add(bytes, data, size);
}

static int restore_conn(struct hvsocket *hvs, struct rd *rd) {
        struct guid service, endpoint;
        uint8_t flags;
        if (rd_bytes(rd, &service, sizeof service) < 0 ||
                rd_bytes(rd, &endpoint, sizeof endpoint) < 0 || rd_u8(rd, &flags) < 0 ||
                (flags & ~FLAGS_ALL))
                return -EBADMSG;
        struct hvsocket_conn *conn;
        int r = hvsocket_conn_new(hvs, &service, &endpoint, flags & FLAG_FROM_HOST, &conn);
        if (r < 0)
                return r;
        conn->guest_fin = flags & FLAG_GUEST_FIN;
        conn->owner_eof = flags & FLAG_OWNER_EOF;
        conn->owner_gone = flags & FLAG_OWNER_GONE;
        conn->detached = !conn->owner_gone;
        conn->fin_sent = flags & FLAG_FIN_SENT;
        r = restore_bytes(rd, &conn->to_owner);
        if (r >= 0)
                r = restore_bytes(rd, &conn->to_guest);
        if (r < 0) {
                hvsocket_conn_free(conn);
                return r;
        }
        r = vmbus_restore_offer(hvs->vmbus, &service, &endpoint, "hvsocket", &hvsocket_channel_ops,
                conn, &conn->channel);
        if (r == -ENOENT) {
                hvsocket_conn_free(conn);
                return -EBADMSG;
        }
        if (r < 0)
                return r; /* the channel has it, and ends it with the vmbus */
        /* open() has been called if the vmbus knows it as open and its rings still make sense. */
        if (conn->state == HVSOCKET_OPEN && !(flags & FLAG_OPEN))
                return -EBADMSG;
        if (conn->state == HVSOCKET_OFFERED && (flags & FLAG_OPEN))
                hvsocket_conn_end(conn, -ECONNRESET);
        if (conn->state == HVSOCKET_OFFERED)
                io_timer_arm(conn->timer, HVSOCKET_OPEN_TIMEOUT_MS * CLOCK_NS_PER_MS, 0);
        return 0;
}

static int restore_asks(struct hvsocket *hvs, struct rd *rd) {
        uint32_t n;
        int r = rd_le32(rd, &n);
        if (r < 0)
                return r;
        if (n > HVSOCKET_PENDING_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; i < n; i++) {
                struct hvsocket_ask *ask = &hvs->asks[i];
                if (rd_bytes(rd, &ask->service, sizeof ask->service) < 0 ||
                        rd_bytes(rd, &ask->endpoint, sizeof ask->endpoint) < 0)
                        return -EBADMSG;
                ask->token = ++hvs->last_token;
        }
        if (n > 0)
                io_timer_arm(hvs->ask_timer, 0, 0);
        return 0;
}

static int restore_all(struct hvsocket *hvs, struct rd *rd) {
        uint32_t n;
        int r = restore_asks(hvs, rd);
        if (r < 0)
                return r;
        r = rd_le32(rd, &n);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n; i++) {
                r = restore_conn(hvs, rd);
                if (r < 0)
                        return r;
        }
        return rd_end(rd);
}

int hvsocket_restore(struct hvsocket *hvs, struct rd *rd) {
        struct rd section;
        int r = state_open(rd, HVSOCKET_TAG, STATE_VERSION, NULL, &section);
        if (r < 0)
                return r;
        hvs->restoring = true;
        r = restore_all(hvs, &section);
        hvs->restoring = false;
        return r;
}

static struct hvsocket_conn *next_detached(const struct hvsocket *hvs) {
        for (struct hvsocket_conn *c = hvs->conns.next; c != &hvs->conns; c = c->next)
                if (c->detached && c->state != HVSOCKET_RESCINDED)
                        return c;
        return NULL;
}

bool hvsocket_detached(const struct hvsocket *hvs, struct guid *ret_service,
        struct guid *ret_endpoint, bool *ret_from_host) {
        const struct hvsocket_conn *conn = next_detached(hvs);
        if (!conn)
                return false;
        *ret_service = conn->service;
        *ret_endpoint = conn->endpoint;
        *ret_from_host = conn->from_host;
        return true;
}

int hvsocket_reattach(struct hvsocket *hvs, int fd_consume) {
        _cleanup_close_ int fd = fd_consume;
        struct hvsocket_conn *conn = next_detached(hvs);
        if (!conn)
                return -ENOENT;
        conn->detached = false;
        if (fd >= 0) {
                conn->fd = TAKE_FD(fd);
                int r = conn->state == HVSOCKET_OPEN ? hvsocket_conn_attach(conn) : 0;
                if (r < 0)
                        hvsocket_conn_end(conn, r);
                return r;
        }
        conn->owner_gone = conn->owner_eof = true;
        if (conn->state == HVSOCKET_OFFERED)
                hvsocket_conn_end(conn, -ECONNRESET);
        return 0;
}
