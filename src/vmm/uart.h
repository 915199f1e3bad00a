// SPDX-License-Identifier: MIT
/* A 16550A serial port whose line is infinitely fast: what is transmitted is out at once. Pure; the
 * owner serialises. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "vmm/bus.h"

enum { UART_INPUT_MAX = 1024 }; /* bytes that wait for the guest, many more than a real FIFO */

struct uart_ops {
        void (*output)(void *ctx, uint8_t byte);
        void (*irq)(void *ctx, bool level); /* called when the level changes */
};

struct uart {
        const struct uart_ops *ops;
        void *ctx;
        uint8_t ier, lcr, mcr, scratch, divisor[2];
        bool fifo, overrun, transmit_irq, irq;
        uint8_t input[UART_INPUT_MAX]; /* a ring */
        uint16_t input_start, input_used;
};

extern const struct bus_ops uart_bus_ops;

void uart_init(struct uart *u, const struct uart_ops *ops, void *ctx);
/* Bytes for the guest; returns how many fitted. */
size_t uart_input(struct uart *u, const uint8_t *data, size_t size);
void uart_save(const struct uart *u, struct wr *wr);
_warn_unused_ int uart_restore(struct uart *u, struct rd *rd);
