// SPDX-License-Identifier: MIT
#include "vmm/bus.h"
#include <errno.h>

int bus_add(struct bus *bus, enum bus_space space, uint64_t base, uint64_t size,
        const struct bus_ops *ops, void *device) {
        if (size == 0 || base + (size - 1) < base)
                return -EINVAL;
        for (size_t i = 0; i < bus->n; i++) {
                const struct bus_range *r = &bus->ranges[i];
                if (r->space == space && base <= r->base + (r->size - 1) &&
                        r->base <= base + (size - 1))
                        return -EINVAL;
        }
        if (bus->n == BUS_RANGES_MAX)
                return -ENOSPC;
        bus->ranges[bus->n++] = (struct bus_range){space, base, size, ops, device};
        return 0;
}

static const struct bus_range *bus_find(
        const struct bus *bus, enum bus_space space, uint64_t address, unsigned size) {
        for (size_t i = 0; i < bus->n; i++) {
                const struct bus_range *r = &bus->ranges[i];
                uint64_t offset = address - r->base;
                if (r->space == space && address >= r->base && offset < r->size &&
                        size <= r->size - offset)
                        return r;
        }
        return NULL;
}

uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address, unsigned size) {
        const struct bus_range *r = bus_find(bus, space, address, size);
        return r ? r->ops->read(r->device, address - r->base, size) : UINT64_MAX;
}

void bus_write(
        struct bus *bus, enum bus_space space, uint64_t address, unsigned size, uint64_t value) {
        const struct bus_range *r = bus_find(bus, space, address, size);
        if (r)
                r->ops->write(r->device, address - r->base, size, value);
}
