// SPDX-License-Identifier: MIT
#include "vmm/uart.h"
#include <errno.h>
#include "base/state.h"

/* Registers. With DLAB set the first two are the divisor. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

enum { IER_RECEIVE = 0x01, IER_TRANSMIT = 0x02, IER_LINE = 0x04, IER_WRITABLE = 0x0f };
enum { IIR_NONE = 0x01, IIR_TRANSMIT = 0x02, IIR_RECEIVE = 0x04, IIR_LINE = 0x06, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RECEIVE = 0x02 };
enum { LCR_DLAB = 0x80 };
enum { MCR_OUT2 = 0x08, MCR_LOOP = 0x10, MCR_WRITABLE = 0x1f };
enum { LSR_READY = 0x01, LSR_OVERRUN = 0x02, LSR_TRANSMIT_EMPTY = 0x60 };
enum { MSR_CONNECTED = 0xb0 }; /* CTS, DSR, DCD */

#define STATE_UART STATE_TAG('U', 'A', 'R', 'T')

void uart_init(struct uart *u, const struct uart_ops *ops, void *ctx) {
        *u = (struct uart){.ops = ops, .ctx = ctx, .divisor = {12}, .lcr = 3};
}

/* The reason with the highest priority. */
static uint8_t pending(const struct uart *u) {
        if ((u->ier & IER_LINE) && u->overrun)
                return IIR_LINE;
        if ((u->ier & IER_RECEIVE) && u->input_used > 0)
                return IIR_RECEIVE;
        if ((u->ier & IER_TRANSMIT) && u->transmit_irq)
                return IIR_TRANSMIT;
        return IIR_NONE;
}

static void update(struct uart *u) {
        /* On a PC the second output gates the interrupt line. */
        bool level = pending(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
        if (level == u->irq)
                return;
        u->irq = level;
        u->ops->irq(u->ctx, level);
}

static bool push(struct uart *u, uint8_t byte) {
        if (u->input_used == UART_INPUT_MAX)
                return false;
        u->input[(u->input_start + u->input_used++) % UART_INPUT_MAX] = byte;
        return true;
}

size_t uart_input(struct uart *u, const uint8_t *data, size_t size) {
        size_t n = 0;
        while (n < size && push(u, data[n]))
                n++;
        update(u);
        return n;
}

static uint8_t pop(struct uart *u) {
        if (u->input_used == 0)
                return 0;
        uint8_t byte = u->input[u->input_start];
        u->input_start = (uint16_t)((u->input_start + 1) % UART_INPUT_MAX);
        u->input_used--;
        return byte;
}

static uint8_t modem_status(const struct uart *u) {
        if (!(u->mcr & MCR_LOOP))
                return MSR_CONNECTED;
        /* RTS, DTR, OUT1, OUT2 come back as CTS, DSR, RI, DCD. */
        return (uint8_t)((u->mcr & 0x02) << 3 | (u->mcr & 0x01) << 5 | (u->mcr & 0x0c) << 4);
}

static uint8_t line_status(struct uart *u) {
        uint8_t v = LSR_TRANSMIT_EMPTY;
        if (u->input_used > 0)
                v |= LSR_READY;
        if (u->overrun)
                v |= LSR_OVERRUN;
        u->overrun = false;
        return v;
}

static uint8_t interrupt_id(struct uart *u) {
        uint8_t id = pending(u);
        if (id == IIR_TRANSMIT)
                u->transmit_irq = false;
        return (uint8_t)(id | (u->fifo ? IIR_FIFO : 0));
}

static uint64_t uart_read(void *device, uint64_t offset, _unused_ unsigned size) {
        struct uart *u = device;
        uint8_t v = 0;
        switch (offset) {
        case REG_DATA:
                v = u->lcr & LCR_DLAB ? u->divisor[0] : pop(u);
                break;
        case REG_IER:
                v = u->lcr & LCR_DLAB ? u->divisor[1] : u->ier;
                break;
        case REG_IIR_FCR:
                v = interrupt_id(u);
                break;
        case REG_LCR:
                v = u->lcr;
                break;
        case REG_MCR:
                v = u->mcr;
                break;
        case REG_LSR:
                v = line_status(u);
                break;
        case REG_MSR:
                v = modem_status(u);
                break;
        default:
                v = u->scratch;
                break;
        }
        update(u);
        return v;
}

static void transmit(struct uart *u, uint8_t byte) {
        /* The register was full for a moment: the line falls and rises again. */
        u->transmit_irq = false;
        update(u);
        if (!(u->mcr & MCR_LOOP))
                u->ops->output(u->ctx, byte);
        else if (!push(u, byte))
                u->overrun = true;
        u->transmit_irq = true;
}

static void write_fifo_control(struct uart *u, uint8_t value) {
        u->fifo = value & FCR_ENABLE;
        if (value & FCR_CLEAR_RECEIVE)
                u->input_start = u->input_used = 0;
}

static void uart_write(void *device, uint64_t offset, _unused_ unsigned size, uint64_t value) {
        struct uart *u = device;
        uint8_t v = (uint8_t)value;
        switch (offset) {
        case REG_DATA:
                if (u->lcr & LCR_DLAB)
                        u->divisor[0] = v;
                else
                        transmit(u, v);
                break;
        case REG_IER:
                if (u->lcr & LCR_DLAB) {
                        u->divisor[1] = v;
                        break;
                }
                if ((v & IER_TRANSMIT) && !(u->ier & IER_TRANSMIT))
                        u->transmit_irq = true; /* the register is empty: say so */
                u->ier = v & IER_WRITABLE;
                break;
        case REG_IIR_FCR:
                write_fifo_control(u, v);
                break;
        case REG_LCR:
                u->lcr = v;
                break;
        case REG_MCR:
                u->mcr = v & MCR_WRITABLE;
                break;
        case REG_SCRATCH:
                u->scratch = v;
                break;
        default:
                break; /* the status registers are read-only */
        }
        update(u);
}

const struct bus_ops uart_bus_ops = {.read = uart_read, .write = uart_write};

void uart_save(const struct uart *u, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_UART, 1);
        const uint8_t registers[] = {u->ier, u->lcr, u->mcr, u->scratch, u->divisor[0],
                u->divisor[1], u->fifo, u->overrun, u->transmit_irq, u->irq};
        wr_bytes(wr, registers, sizeof registers);
        wr_le16(wr, u->input_used);
        for (unsigned i = 0; i < u->input_used; i++)
                wr_u8(wr, u->input[(u->input_start + i) % UART_INPUT_MAX]);
        state_end(wr, mark);
}

int uart_restore(struct uart *u, struct rd *rd) {
        struct rd section;
        uint8_t v[10];
        uint16_t used = 0;
        int r = state_open(rd, STATE_UART, 1, NULL, &section);
        if (r == 0)
                r = rd_bytes(&section, v, sizeof v);
        if (r == 0)
                r = rd_le16(&section, &used);
        if (r < 0)
                return r;
        if (used > UART_INPUT_MAX || rd_left(&section) != used)
                return -EBADMSG;
        for (unsigned i = 6; i < sizeof v; i++)
                if (v[i] > 1)
                        return -EBADMSG;
        struct uart new = {.ops = u->ops,
                .ctx = u->ctx,
                .ier = v[0] & IER_WRITABLE,
                .lcr = v[1],
                .mcr = v[2] & MCR_WRITABLE,
                .scratch = v[3],
                .divisor = {v[4], v[5]},
                .fifo = v[6],
                .overrun = v[7],
                .transmit_irq = v[8],
                .irq = v[9],
                .input_used = used};
        r = rd_bytes(&section, new.input, used);
        if (r < 0)
                return r;
        *u = new;
        return 0;
}
