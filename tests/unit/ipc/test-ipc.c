// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/wr.h"
#include "ipc/rules.h"
#include "samples.h"

/* The bytes of samples[], by the layout in docs/protocols/ipc.md. */
static const char *const golden[] = {
        "010001000100000003000000766d31020000000000008000000000010001000001e803000005000000"
        "7175696574020000000102030405060708000000000000000101000203040506070809000000000000"
        "00020001",             /* 1 */
        "0100020002000000",     /* 2 */
        "0100030003000000",     /* 3 */
        "0100040004000000",     /* 4 */
        "01000500050000000001", /* 5 */
        "01000600",             /* 6 */
        "010007000600000003000000020000006c73020000002d6c00000000000200000003000000413d3104"
        "000000423dc3bc010000002f000000000101010018005000", /* 7 */
        "01000700070000000000000001070000006563686f206869000000000000000004000000726f6f7400"
        "01000100000000",                   /* 7 */
        "01000800080000004d0000000f000000", /* 8 */
        "01000900090000004d00000001000200", /* 9 */
        "01000a000b000000",                 /* 10 */
        "01000b000c000000",                 /* 11 */
        "01000c000d000000050000004f4b20310a0000000000000000030405060708090a0000000000000003"
        "00000000000000000000000000000000f4010000", /* 12 */
        "01000d0000000000000000000900000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000", /* 13 */
        "01000d0008013780020000006e6f090000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000",                               /* 13 */
        "01000e000e000000010001000000010203040506070800000000000000010100", /* 14 */
        "01000f000f000000",                                                 /* 15 */
        "01004000060000004d00000002000780090000006e6f7420666f756e64",       /* 64 */
        "010041000500000070616e696302040601378001010000000000000002000000000000000300000000"
        "00000004000000000000000500000000000000", /* 65 */
        "010042004d000000ffffffff",               /* 66 */
        "010043000104000000",                     /* 67 */
        "0100440005000000000000000400000000000000030000000000000002000000000000000100000000"
        "0000000d0000004b65726e656c2070616e69630a", /* 68 */
        "0100450009000000000000000405060708090a0b000000000000000405060708090a0b0c0000000000"
        "00000500000000", /* 69 */
        "010046000b000000010000000000000002000000000000000300000000000000040000000000000005"
        "000000060000000700000000000000080000000000000009000000000000000a000000000000000b00"
        "000000000000",                       /* 70 */
        "0100470009000000726573746172746564", /* 71 */
};
static_assert(ARRAY_SIZE(golden) == ARRAY_SIZE(samples), "");

static enum ipc_side receiver(const struct ipc_message *m) {
        return ipc_rule(m->type)->receiver;
}

static struct wr encode(const struct ipc_message *m) {
        struct wr wr = wr_new(IO_CHAN_MESSAGE_MAX);
        assert_ok(ipc_encode(m, &wr));
        return wr;
}

START_TEST(encodes_the_bytes_that_the_layout_says) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                struct wr wr = encode(&samples[i].m);
                char hex[1024] = "";
                for (size_t j = 0; j < wr.size; j++)
                        snprintf(hex + 2 * j, 3, "%02x", wr.data[j]);
                ck_assert_str_eq(hex, golden[i]);
                wr_done(&wr);
        }
}
END_TEST

START_TEST(decodes_what_it_encoded) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                struct wr wr = encode(&samples[i].m), again;
                struct ipc_message m;
                assert_ok(ipc_decode(
                        receiver(&samples[i].m), wr.data, wr.size, samples[i].n_fds, &m));
                ck_assert_int_eq(m.type, samples[i].m.type);
                again = encode(&m);
                ck_assert_uint_eq(again.size, wr.size);
                ck_assert_mem_eq(again.data, wr.data, wr.size);
                ipc_message_done(&m);
                wr_done(&again);
                wr_done(&wr);
        }
}
END_TEST

START_TEST(gives_the_fields_their_meaning) {
        struct ipc_message m;
        struct wr wr = encode(&samples[0].m);
        assert_ok(ipc_decode(IPC_WORKER, wr.data, wr.size, 2, &m));
        ck_assert_str_eq(m.config.id, "vm1");
        ck_assert_uint_eq(m.config.memory, 0x80000000);
        ck_assert(m.config.stop_on_reset && !m.config.guest_connection && m.config.has_initrd);
        ck_assert(!m.config.hvsocket_default_bind && m.config.hvsocket_default_connect);
        ck_assert_str_eq(m.config.cmdline, "quiet");
        ck_assert_uint_eq(m.config.n_services, 2);
        ck_assert(m.config.services[0].allow_bind && !m.config.services[0].allow_connect);
        ipc_message_done(&m);
        wr_done(&wr);
        wr = encode(&samples[6].m);
        assert_ok(ipc_decode(IPC_WORKER, wr.data, wr.size, 3, &m));
        ck_assert_str_eq(m.process.argv[1], "-l");
        ck_assert_str_eq(m.process.argv[2], "");
        ck_assert_ptr_null(m.process.argv[3]);
        ck_assert_ptr_null(m.process.command_line);
        ck_assert_str_eq(m.process.env[1], "B=\xc3\xbc");
        ck_assert_ptr_null(m.process.env[2]);
        ipc_message_done(&m);
        wr_done(&wr);
}
END_TEST

START_TEST(refuses_every_truncation_and_every_byte_too_many) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                struct wr wr = encode(&samples[i].m);
                wr_u8(&wr, 0);
                struct ipc_message m = {.id = 0xdead};
                for (size_t n = 0; n <= wr.size; n++) {
                        if (n == wr.size - 1)
                                continue;
                        uint8_t *exact = malloc(n ? n : 1);
                        memcpy(exact, wr.data, n);
                        assert_error(
                                ipc_decode(receiver(&samples[i].m), exact, n, samples[i].n_fds, &m),
                                -EBADMSG);
                        ck_assert_uint_eq(m.id, 0xdead);
                        free(exact);
                }
                wr_done(&wr);
        }
}
END_TEST

/* Whatever is accepted after a change is what the encoder makes of it: no byte has two readings. */
static unsigned mutate(const struct sample *s, size_t at, uint8_t value) {
        struct wr wr = encode(&s->m), again;
        wr.data[at] = value;
        struct ipc_message m;
        unsigned accepted = 0;
        for (size_t n_fds = 0; n_fds <= 3; n_fds++) {
                int r = ipc_decode(receiver(&s->m), wr.data, wr.size, n_fds, &m);
                if (r < 0) {
                        ck_assert(r == -EBADMSG || r == -EPROTO);
                        continue;
                }
                accepted++;
                again = encode(&m);
                ck_assert_uint_eq(again.size, wr.size);
                ck_assert_mem_eq(again.data, wr.data, wr.size);
                wr_done(&again);
                ipc_message_done(&m);
        }
        wr_done(&wr);
        return accepted;
}

START_TEST(every_changed_byte_is_refused_or_means_itself) {
        static const uint8_t changes[] = {0, 1, 2, 0x7f, 0x80, 0xff};
        unsigned accepted = 0;
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                struct wr wr = encode(&samples[i].m);
                size_t size = wr.size;
                wr_done(&wr);
                for (size_t at = 0; at < size; at++)
                        for (size_t c = 0; c < ARRAY_SIZE(changes); c++)
                                accepted += mutate(&samples[i], at, changes[c]);
        }
        ck_assert_uint_gt(accepted, 1000);
}
END_TEST

static int decode_with_fds(size_t i, enum ipc_side side, size_t n_fds) {
        struct wr wr = encode(&samples[i].m);
        struct ipc_message m;
        int r = ipc_decode(side, wr.data, wr.size, n_fds, &m);
        if (r == 0)
                ipc_message_done(&m);
        wr_done(&wr);
        return r;
}

START_TEST(takes_exactly_the_descriptors_that_a_message_says) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
                for (size_t n = 0; n <= IO_CHAN_FDS_MAX; n++)
                        assert_error(decode_with_fds(i, receiver(&samples[i].m), n),
                                n == samples[i].n_fds ? 0 : -EPROTO);
}
END_TEST

START_TEST(refuses_what_only_the_other_side_gets) {
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                enum ipc_side other =
                        receiver(&samples[i].m) == IPC_DAEMON ? IPC_WORKER : IPC_DAEMON;
                assert_error(decode_with_fds(i, other, samples[i].n_fds), -EPROTO);
        }
}
END_TEST

static int sendable(const struct ipc_message *m, size_t n_fds) {
        static const struct io_chan_ops none;
        struct io_loop *loop;
        struct io_chan *chan;
        int pair[2], fds[4] = {0, 0, 0, 0};
        assert_ok(io_loop_new(&loop));
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        assert_ok(io_chan_new(loop, pair[0], &none, NULL, &chan));
        int r = ipc_send(chan, m, fds, n_fds);
        char c;
        ck_assert_int_eq(recv(pair[1], &c, 1, MSG_DONTWAIT | MSG_TRUNC) > 0, r == 0);
        io_chan_free(chan);
        io_loop_free(loop);
        close(pair[1]);
        return r;
}

static char *text_of(size_t n) {
        char *text = malloc(n + 1);
        memset(text, 'x', n);
        text[n] = 0;
        return text;
}

START_TEST(sends_up_to_each_limit_and_refuses_one_more) {
        char *longest = text_of(IPC_STRING_MAX - 1), *longer = text_of(IPC_STRING_MAX);
        struct ipc_message m = samples[7].m;
        m.process.command_line = longest;
        assert_ok(sendable(&m, 1));
        m.process.command_line = longer;
        assert_error(sendable(&m, 1), -EINVAL);
        free(longer);

        static const char *many[IPC_ARGS_MAX + 2];
        m = samples[6].m;
        m.process.argv = many;
        for (size_t i = 0; i < IPC_ARGS_MAX; i++)
                many[i] = "a";
        assert_ok(sendable(&m, 3));
        many[IPC_ARGS_MAX] = "a";
        assert_error(sendable(&m, 3), -EINVAL);
        m.process.argv = sample_argv;
        m.process.env = many;
        assert_error(sendable(&m, 3), -EINVAL);
        many[IPC_ARGS_MAX] = NULL;
        assert_ok(sendable(&m, 3));

        const char *two[] = {longest, longest, NULL};
        m.process.argv = two; /* with their NULs, all of IPC_BLOB_MAX */
        m.process.env = NULL;
        assert_ok(sendable(&m, 3));
        static const char *const one[] = {"", NULL};
        m.process.env = one;
        assert_error(sendable(&m, 3), -EINVAL);
        free(longest);

        static struct ipc_service services[IPC_SERVICES_MAX + 1];
        m = samples[15].m;
        ck_assert_int_eq(m.type, IPC_HVSOCKET_TABLE);
        m.table.services = services;
        m.table.n_services = IPC_SERVICES_MAX;
        assert_ok(sendable(&m, 0));
        m.table.n_services++;
        assert_error(sendable(&m, 0), -EINVAL);

        char *log = text_of(IPC_CRASH_LOG_MAX);
        m = (struct ipc_message){.type = IPC_CRASH_REPORT, .crash = {.log = log}};
        assert_error(sendable(&m, 0), -EINVAL);
        log[IPC_CRASH_LOG_MAX - 1] = 0;
        assert_ok(sendable(&m, 0));
        free(log);
}
END_TEST

START_TEST(refuses_to_send_what_has_no_meaning) {
        struct ipc_message m = samples[6].m;
        m.process.command_line = "both forms";
        assert_error(sendable(&m, 3), -EINVAL);
        m.process.command_line = NULL;
        m.process.argv = NULL;
        assert_error(sendable(&m, 3), -EINVAL);
        m.process.argv = sample_argv;
        m.process.cwd = "\xff";
        assert_error(sendable(&m, 3), -EINVAL);
        m.process.cwd = "";
        assert_error(sendable(&m, 2), -EINVAL);
        assert_ok(sendable(&m, 3));
        m.type = 99;
        assert_error(sendable(&m, 3), -EINVAL);
        m = (struct ipc_message){.type = IPC_HVSOCKET_ANSWER, .hresult = 1};
        assert_error(sendable(&m, 1), -EINVAL);
}
END_TEST

START_TEST(a_fault_while_decoding_is_no_memory) {
        struct wr wr = encode(&samples[0].m);
        struct ipc_message m;
        fault_arm(FAULT_ALLOC, 1);
        assert_error(ipc_decode(IPC_WORKER, wr.data, wr.size, 2, &m), -ENOMEM);
        wr_done(&wr);
}
END_TEST

TEST_MAIN("ipc", encodes_the_bytes_that_the_layout_says, decodes_what_it_encoded,
        gives_the_fields_their_meaning, refuses_every_truncation_and_every_byte_too_many,
        every_changed_byte_is_refused_or_means_itself,
        takes_exactly_the_descriptors_that_a_message_says, refuses_what_only_the_other_side_gets,
        sends_up_to_each_limit_and_refuses_one_more, refuses_to_send_what_has_no_meaning,
        a_fault_while_decoding_is_no_memory)
