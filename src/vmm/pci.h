// SPDX-License-Identifier: MIT
/* The configuration ports of a PC's PCI, behind which stands a host bridge and nothing else
 * (PCI Local Bus 3.0, 3.2.2.3.2): a kernel that finds no configuration mechanism calls that an
 * error. The reset control register at 0xCF9 lies among these ports. Pure; the owner serialises. */
#pragma once
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "vmm/bus.h"

enum { PCI_PORTS = 8 }; /* 0xCF8 to 0xCFF */

struct pci {
        uint32_t address;            /* CONFIG_ADDRESS */
        const struct bus_ops *reset; /* of the register at 0xCF9 */
        void *reset_device;
};

extern const struct bus_ops pci_bus_ops;

void pci_init(struct pci *pci, const struct bus_ops *reset, void *reset_device);
void pci_save(const struct pci *pci, struct wr *wr);
_warn_unused_ int pci_restore(struct pci *pci, struct rd *rd);
