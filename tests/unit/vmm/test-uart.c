// SPDX-License-Identifier: MIT
#include "vmm/uart.h"
#include "../test.h"

static struct {
        char out[64];
        size_t n;
        bool level;
        unsigned rises;
} seen;

static void output(_unused_ void *ctx, uint8_t byte) {
        if (seen.n < sizeof seen.out)
                seen.out[seen.n++] = (char)byte;
}

static void irq(_unused_ void *ctx, bool level) {
        seen.rises += level && !seen.level;
        seen.level = level;
}

static const struct uart_ops ops = {output, irq};

static struct uart fresh(void) {
        struct uart u;
        memset(&seen, 0, sizeof seen);
        uart_init(&u, &ops, NULL);
        return u;
}

static uint8_t in(struct uart *u, unsigned reg) {
        return (uint8_t)uart_bus_ops.read(u, reg, 1);
}

static void out(struct uart *u, unsigned reg, uint8_t value) {
        uart_bus_ops.write(u, reg, 1, value);
}

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

START_TEST(transmits_at_once) {
        struct uart u = fresh();
        ck_assert_uint_eq(in(&u, LSR), 0x60);
        out(&u, DATA, 'h');
        out(&u, DATA, 'i');
        ck_assert_uint_eq(in(&u, LSR), 0x60);
        ck_assert_uint_eq(seen.n, 2);
        ck_assert_mem_eq(seen.out, "hi", 2);
        ck_assert(!seen.level);
}
END_TEST

START_TEST(is_recognised_as_a_16550A) {
        struct uart u = fresh();
        out(&u, SCRATCH, 0xa5);
        ck_assert_uint_eq(in(&u, SCRATCH), 0xa5);
        ck_assert_uint_eq(in(&u, IIR) >> 6, 0);
        out(&u, IIR, 1);
        ck_assert_uint_eq(in(&u, IIR) >> 6, 3);
        out(&u, IER, 0xff);
        ck_assert_uint_eq(in(&u, IER), 0x0f);
        out(&u, MCR, 0x1a);
        ck_assert_uint_eq(in(&u, MSR) & 0xf0, 0x90);
        out(&u, MCR, 0x0b);
        ck_assert_uint_eq(in(&u, MSR), 0xb0);
}
END_TEST

START_TEST(the_divisor_hides_behind_the_latch_bit) {
        struct uart u = fresh();
        out(&u, LCR, 0x83);
        out(&u, DATA, 1);
        out(&u, IER, 2);
        ck_assert_uint_eq(in(&u, DATA), 1);
        ck_assert_uint_eq(in(&u, IER), 2);
        out(&u, LCR, 0x03);
        ck_assert_uint_eq(in(&u, IER), 0);
        ck_assert_uint_eq(seen.n, 0);
}
END_TEST

START_TEST(interrupts_for_each_fill_of_the_transmitter) {
        struct uart u = fresh();
        out(&u, MCR, 0x08);
        out(&u, IER, 2);
        ck_assert(seen.level);
        ck_assert_uint_eq(in(&u, IIR) & 0xf, 2);
        ck_assert(!seen.level);
        ck_assert_uint_eq(in(&u, IIR) & 0xf, 1);
        out(&u, DATA, 'x');
        ck_assert(seen.level);
        out(&u, DATA, 'y');
        ck_assert_uint_eq(seen.rises, 3); /* the second byte is an edge of its own */
        out(&u, IER, 0);
        ck_assert(!seen.level);
}
END_TEST

START_TEST(interrupts_for_input_until_it_is_read) {
        struct uart u = fresh();
        out(&u, MCR, 0x08);
        out(&u, IER, 1);
        ck_assert_uint_eq(uart_input(&u, (const uint8_t *)"ab", 2), 2);
        ck_assert(seen.level);
        ck_assert_uint_eq(in(&u, IIR) & 0xf, 4);
        ck_assert_uint_eq(in(&u, LSR) & 1, 1);
        ck_assert_uint_eq(in(&u, DATA), 'a');
        ck_assert(seen.level);
        ck_assert_uint_eq(in(&u, DATA), 'b');
        ck_assert(!seen.level);
        ck_assert_uint_eq(in(&u, LSR) & 1, 0);
        ck_assert_uint_eq(in(&u, DATA), 0);
}
END_TEST

START_TEST(is_silent_while_the_second_output_gates_it) {
        struct uart u = fresh();
        out(&u, IER, 3);
        uart_input(&u, (const uint8_t *)"a", 1);
        ck_assert(!seen.level);
        out(&u, MCR, 0x08);
        ck_assert(seen.level);
        out(&u, MCR, 0x18);
        ck_assert(!seen.level);
}
END_TEST

START_TEST(input_beyond_the_limit_is_refused) {
        struct uart u = fresh();
        uint8_t bytes[UART_INPUT_MAX + 1] = {0};
        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)i;
        ck_assert_uint_eq(uart_input(&u, bytes, sizeof bytes), UART_INPUT_MAX);
        ck_assert_uint_eq(uart_input(&u, bytes, 1), 0);
        for (size_t i = 0; i < UART_INPUT_MAX; i++)
                ck_assert_uint_eq(in(&u, DATA), (uint8_t)i);
        ck_assert_uint_eq(uart_input(&u, bytes, 1), 1);
        out(&u, IIR, 3);
        ck_assert_uint_eq(in(&u, LSR) & 1, 0);
}
END_TEST

START_TEST(loops_back_and_tells_an_overrun) {
        struct uart u = fresh();
        out(&u, IER, 4);
        out(&u, MCR, 0x10);
        for (unsigned i = 0; i <= UART_INPUT_MAX; i++)
                out(&u, DATA, 'l');
        ck_assert_uint_eq(seen.n, 0);
        ck_assert_uint_eq(in(&u, IIR) & 0xf, 6);
        ck_assert_uint_eq(in(&u, LSR), 0x63);
        ck_assert_uint_eq(in(&u, LSR), 0x61);
        ck_assert_uint_eq(in(&u, DATA), 'l');
}
END_TEST

START_TEST(comes_back_from_its_saved_form) {
        struct uart u = fresh(), back = u;
        uint8_t a[64], b[64];
        struct wr wa = wr_make(a, sizeof a), wb = wr_make(b, sizeof b);
        out(&u, MCR, 0x0b);
        out(&u, IER, 0x0f);
        uart_input(&u, (const uint8_t *)"xyz", 3);
        in(&u, DATA);
        uart_save(&u, &wa);
        struct rd rd = rd_make(a, wa.size);
        assert_ok(uart_restore(&back, &rd));
        uart_save(&back, &wb);
        ck_assert_uint_eq(wa.size, wb.size);
        ck_assert_mem_eq(a, b, wa.size);
        ck_assert_uint_eq(in(&back, DATA), 'y');
        for (size_t i = 0; i < wa.size; i++) {
                rd = rd_make(a, i);
                assert_error(uart_restore(&back, &rd), -EBADMSG);
        }
        a[12 + 6] = 2; /* a flag that is neither */
        rd = rd_make(a, wa.size);
        assert_error(uart_restore(&back, &rd), -EBADMSG);
}
END_TEST

TEST_MAIN("uart", transmits_at_once, is_recognised_as_a_16550A,
        the_divisor_hides_behind_the_latch_bit, interrupts_for_each_fill_of_the_transmitter,
        interrupts_for_input_until_it_is_read, is_silent_while_the_second_output_gates_it,
        input_beyond_the_limit_is_refused, loops_back_and_tells_an_overrun,
        comes_back_from_its_saved_form)
