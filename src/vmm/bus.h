// SPDX-License-Identifier: MIT
/* The table of ports and memory-mapped registers that devices of the platform claim. Pure; the
 * owner serialises. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"

enum { BUS_RANGES_MAX = 16 };

enum bus_space { BUS_PIO, BUS_MMIO };

/* Offsets count from the start of the range; size is 1, 2, 4 or 8 bytes, little-endian. */
struct bus_ops {
        uint64_t (*read)(void *device, uint64_t offset, unsigned size);
        void (*write)(void *device, uint64_t offset, unsigned size, uint64_t value);
};

struct bus {
        struct bus_range {
                enum bus_space space;
                uint64_t base, size;
                const struct bus_ops *ops;
                void *device;
        } ranges[BUS_RANGES_MAX];
        size_t n;
};

/* -EINVAL for an empty, wrapping or overlapping range, -ENOSPC past BUS_RANGES_MAX. */
_warn_unused_ int bus_add(struct bus *bus, enum bus_space space, uint64_t base, uint64_t size,
        const struct bus_ops *ops, void *device);
/* What nobody claims as a whole reads as ones and swallows writes, as on a PC. */
uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address, unsigned size);
void bus_write(
        struct bus *bus, enum bus_space space, uint64_t address, unsigned size, uint64_t value);
