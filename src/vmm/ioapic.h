// SPDX-License-Identifier: MIT
/* The I/O APIC (Intel 82093AA, with the EOI register of version 0x20): 24 lines turned into MSIs.
 * Pure; the owner serialises and delivers. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "vmm/bus.h"

enum { IOAPIC_PINS = 24 };

struct ioapic_msi {
        uint64_t address;
        uint32_t data;
};

struct ioapic_ops {
        void (*deliver)(void *ctx, struct ioapic_msi msi);
        /* The set of level-triggered, unmasked pins or their messages changed: the local APICs must
         * be told whose EOI to report. */
        void (*levels_changed)(void *ctx);
};

struct ioapic {
        const struct ioapic_ops *ops;
        void *ctx;
        uint8_t select;
        uint8_t id;
        bool line[IOAPIC_PINS];
        uint64_t entry[IOAPIC_PINS]; /* redirection table, remote IRR included */
};

extern const struct bus_ops ioapic_bus_ops;

/* As after power-on: every pin masked. Tells nobody. */
void ioapic_init(struct ioapic *io, const struct ioapic_ops *ops, void *ctx);
void ioapic_set_line(struct ioapic *io, unsigned pin, bool level);
/* A local APIC ended the level-triggered interrupt `vector`. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);
/* True with its message when pin is unmasked and level-triggered. */
bool ioapic_level_route(const struct ioapic *io, unsigned pin, struct ioapic_msi *ret);

void ioapic_save(const struct ioapic *io, struct wr *wr);
/* Does not deliver: what was in flight is in the local APICs' state. Calls levels_changed. */
_warn_unused_ int ioapic_restore(struct ioapic *io, struct rd *rd);
