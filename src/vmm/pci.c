// SPDX-License-Identifier: MIT
#include "vmm/pci.h"
#include <errno.h>
#include "base/state.h"

enum { OFFSET_ADDRESS, OFFSET_RESET, OFFSET_DATA = 4 };
enum {
        ADDRESS_ENABLE = 1u << 31,
        ADDRESS_REGISTER = 0xfc,
        ADDRESS_FUNCTION = 0x00ffff00, /* bus, device and function: 0 is the bridge */
        ADDRESS_BITS = 0x80fffffc,
};

/* The first words of the bridge's configuration: 8086:1237 (a 440FX), class 06 00. The rest is 0.
 */
static const uint32_t bridge[] = {0x12378086, 0, 0x06000000};
static const uint64_t nothing = UINT64_MAX;

#define STATE_PCI STATE_TAG('P', 'C', 'I', ' ')

void pci_init(struct pci *pci, const struct bus_ops *reset, void *reset_device) {
        *pci = (struct pci){.reset = reset, .reset_device = reset_device};
}

static uint64_t read_data(const struct pci *pci, uint64_t byte) {
        if (!(pci->address & ADDRESS_ENABLE) || pci->address & ADDRESS_FUNCTION)
                return nothing;
        uint32_t word = (pci->address & ADDRESS_REGISTER) / 4;
        return (word < ARRAY_SIZE(bridge) ? bridge[word] : 0) >> (8 * byte);
}

static uint64_t pci_read(void *device, uint64_t offset, unsigned size) {
        struct pci *pci = device;
        if (offset == OFFSET_ADDRESS && size == 4)
                return pci->address;
        if (offset == OFFSET_RESET && size == 1)
                return pci->reset->read(pci->reset_device, 0, size);
        return offset >= OFFSET_DATA ? read_data(pci, offset - OFFSET_DATA) : nothing;
}

static void pci_write(void *device, uint64_t offset, unsigned size, uint64_t value) {
        struct pci *pci = device;
        if (offset == OFFSET_ADDRESS && size == 4)
                pci->address = (uint32_t)value & ADDRESS_BITS;
        else if (offset == OFFSET_RESET && size == 1)
                pci->reset->write(pci->reset_device, 0, size, value);
}

const struct bus_ops pci_bus_ops = {.read = pci_read, .write = pci_write};

void pci_save(const struct pci *pci, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_PCI, 1);
        wr_le32(wr, pci->address);
        state_end(wr, mark);
}

int pci_restore(struct pci *pci, struct rd *rd) {
        struct rd body;
        uint32_t address;
        if (state_open(rd, STATE_PCI, 1, NULL, &body) < 0 || rd_le32(&body, &address) < 0 ||
                rd_end(&body) < 0 || address & ~ADDRESS_BITS)
                return -EBADMSG;
        pci->address = address;
        return 0;
}
