// SPDX-License-Identifier: MIT
#include "vmm/ioapic.h"
#include <errno.h>
#include "base/state.h"

enum { REG_SELECT = 0x00, REG_WINDOW = 0x10, REG_EOI = 0x40 };
enum { INDEX_ID = 0x00, INDEX_VERSION = 0x01, INDEX_ARBITRATION = 0x02, INDEX_TABLE = 0x10 };
enum { VERSION = 0x20 };

/* Redirection table entry. */
#define ENTRY_VECTOR     0xffull
#define ENTRY_LOGICAL    (1ull << 11)
#define ENTRY_PENDING    (1ull << 12) /* delivery status, read-only; always idle here */
#define ENTRY_REMOTE_IRR (1ull << 14) /* read-only */
#define ENTRY_LEVEL      (1ull << 15)
#define ENTRY_MASKED     (1ull << 16)
#define ENTRY_WRITABLE   0xff0000000001afffull

#define MSI_ADDRESS      0xfee00000ull
#define STATE_IOAPIC     STATE_TAG('I', 'O', 'A', 'P')

static struct ioapic_msi message(uint64_t entry) {
        return (struct ioapic_msi){
                .address = MSI_ADDRESS | entry >> 56 << 12 | (entry & ENTRY_LOGICAL ? 4 : 0),
                /* vector, delivery mode, trigger; level interrupts are always asserts */
                .data = (uint32_t)(entry & 0x7ff) | (entry & ENTRY_LEVEL ? 0xc000 : 0),
        };
}

static bool is_level_route(uint64_t entry) {
        return (entry & (ENTRY_LEVEL | ENTRY_MASKED)) == ENTRY_LEVEL;
}

bool ioapic_level_route(const struct ioapic *io, unsigned pin, struct ioapic_msi *ret) {
        if (pin >= IOAPIC_PINS || !is_level_route(io->entry[pin]))
                return false;
        *ret = message(io->entry[pin]);
        return true;
}

void ioapic_init(struct ioapic *io, const struct ioapic_ops *ops, void *ctx) {
        *io = (struct ioapic){.ops = ops, .ctx = ctx};
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
                io->entry[pin] = ENTRY_MASKED;
}

static void deliver_level(struct ioapic *io, unsigned pin) {
        if (!is_level_route(io->entry[pin]) || !io->line[pin] ||
                (io->entry[pin] & ENTRY_REMOTE_IRR))
                return;
        io->entry[pin] |= ENTRY_REMOTE_IRR;
        io->ops->deliver(io->ctx, message(io->entry[pin]));
}

void ioapic_set_line(struct ioapic *io, unsigned pin, bool level) {
        if (pin >= IOAPIC_PINS)
                return;
        bool rising = level && !io->line[pin];
        io->line[pin] = level;
        if (io->entry[pin] & ENTRY_LEVEL)
                deliver_level(io, pin);
        else if (rising && !(io->entry[pin] & ENTRY_MASKED))
                io->ops->deliver(io->ctx, message(io->entry[pin]));
}

void ioapic_eoi(struct ioapic *io, uint8_t vector) {
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
                if ((io->entry[pin] & ENTRY_VECTOR) != vector || !(io->entry[pin] & ENTRY_LEVEL))
                        continue;
                io->entry[pin] &= ~ENTRY_REMOTE_IRR;
                deliver_level(io, pin);
        }
}

static void write_entry(struct ioapic *io, unsigned pin, uint64_t value) {
        uint64_t old = io->entry[pin];
        uint64_t new = (value & ENTRY_WRITABLE) | (old & ENTRY_REMOTE_IRR);
        if (!(new &ENTRY_LEVEL))
                new &= ~ENTRY_REMOTE_IRR;
        io->entry[pin] = new;
        if (old != new && (is_level_route(old) || is_level_route(new)))
                io->ops->levels_changed(io->ctx);
        deliver_level(io, pin);
}

static uint32_t read_window(const struct ioapic *io) {
        switch (io->select) {
        case INDEX_ID:
        case INDEX_ARBITRATION:
                return (uint32_t)io->id << 24;
        case INDEX_VERSION:
                return VERSION | (IOAPIC_PINS - 1) << 16;
        default: {
                unsigned pin = (unsigned)(io->select - INDEX_TABLE) / 2;
                if (io->select < INDEX_TABLE || pin >= IOAPIC_PINS)
                        return 0;
                return (uint32_t)(io->entry[pin] >> (io->select & 1 ? 32 : 0));
        }
        }
}

static void write_window(struct ioapic *io, uint32_t value) {
        if (io->select == INDEX_ID) {
                io->id = value >> 24 & 0xf;
                return;
        }
        unsigned pin = (unsigned)(io->select - INDEX_TABLE) / 2;
        if (io->select < INDEX_TABLE || pin >= IOAPIC_PINS)
                return;
        uint64_t entry = io->entry[pin];
        if (io->select & 1)
                write_entry(io, pin, (entry & UINT32_MAX) | (uint64_t)value << 32);
        else
                write_entry(io, pin, (entry & ~(uint64_t)UINT32_MAX) | value);
}

static uint64_t ioapic_read(void *device, uint64_t offset, _unused_ unsigned size) {
        const struct ioapic *io = device;
        if (offset == REG_SELECT)
                return io->select;
        return offset == REG_WINDOW ? read_window(io) : 0;
}

static void ioapic_write(void *device, uint64_t offset, _unused_ unsigned size, uint64_t value) {
        struct ioapic *io = device;
        if (offset == REG_SELECT)
                io->select = (uint8_t)value;
        else if (offset == REG_WINDOW)
                write_window(io, (uint32_t)value);
        else if (offset == REG_EOI)
                ioapic_eoi(io, (uint8_t)value);
}

const struct bus_ops ioapic_bus_ops = {.read = ioapic_read, .write = ioapic_write};

void ioapic_save(const struct ioapic *io, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_IOAPIC, 1);
        wr_u8(wr, io->select);
        wr_u8(wr, io->id);
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
                wr_u8(wr, io->line[pin]);
                wr_le64(wr, io->entry[pin]);
        }
        state_end(wr, mark);
}

int ioapic_restore(struct ioapic *io, struct rd *rd) {
        struct ioapic new = {.ops = io->ops, .ctx = io->ctx};
        struct rd section;
        int r = state_open(rd, STATE_IOAPIC, 1, NULL, &section);
        if (r == 0)
                r = rd_u8(&section, &new.select);
        if (r == 0)
                r = rd_u8(&section, &new.id);
        for (unsigned pin = 0; r == 0 && pin < IOAPIC_PINS; pin++) {
                uint8_t line = 0;
                r = rd_u8(&section, &line);
                if (r == 0)
                        r = rd_le64(&section, &new.entry[pin]);
                if (r == 0 &&
                        (line > 1 || (new.entry[pin] & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR)) != 0))
                        r = -EBADMSG;
                new.line[pin] = line;
        }
        if (r == 0)
                r = rd_end(&section);
        if (r < 0)
                return r;
        *io = new;
        io->ops->levels_changed(io->ctx);
        return 0;
}
