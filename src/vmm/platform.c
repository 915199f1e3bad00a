// SPDX-License-Identifier: MIT
/* Wires the devices of the board to the bus, to interrupt lines and to the partition. */
#include <assert.h>
#include <stddef.h>
#include <time.h>
#include "vmm/layout.h"
#include "vmm/partition.h"
#include "wire/le.h"

static void deliver(void *ctx, struct ioapic_msi msi) {
        partition_signal_msi(ctx, msi.address, msi.data);
}

/* KVM reports the EOI of those vectors that its routing table marks as level-triggered. */
static void levels_changed(void *ctx) {
        struct vmm *vmm = ctx;
        struct { /* a struct kvm_irq_routing with room */
                uint32_t n, flags;
                struct kvm_irq_routing_entry entries[IOAPIC_PINS];
        } table = {0};
        static_assert(
                sizeof table.n + sizeof table.flags == offsetof(struct kvm_irq_routing, entries),
                "same layout");
        for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
                struct ioapic_msi msi;
                if (!ioapic_level_route(&vmm->ioapic, pin, &msi))
                        continue;
                table.entries[table.n++] = (struct kvm_irq_routing_entry){
                        .gsi = pin,
                        .type = KVM_IRQ_ROUTING_MSI,
                        .u.msi = {.address_lo = (uint32_t)msi.address,
                                .address_hi = (uint32_t)(msi.address >> 32),
                                .data = msi.data},
                };
        }
        /* Fails only without memory; then a level-triggered line may stay silent. */
        (void)!kvm_ioctl(vmm->vm_fd, KVM_SET_GSI_ROUTING, &table);
}

static const struct ioapic_ops ioapic_ops = {deliver, levels_changed};

static void uart_output(void *ctx, uint8_t byte) {
        struct vmm *vmm = ctx;
        if (vmm->ops->console)
                vmm->ops->console(vmm->ctx, &byte, 1);
}

static void uart_irq(void *ctx, bool level) {
        struct vmm *vmm = ctx;
        ioapic_set_line(&vmm->ioapic, GSI_COM1, level);
}

static const struct uart_ops uart_ops = {uart_output, uart_irq};

static void pm_sci(void *ctx, bool level) {
        struct vmm *vmm = ctx;
        ioapic_set_line(&vmm->ioapic, GSI_SCI, level);
}

static void pm_power_off(void *ctx) {
        struct vmm *vmm = ctx;
        vmm->power_request = VMM_EVENT_POWER_OFF;
}

static void pm_reset(void *ctx) {
        struct vmm *vmm = ctx;
        vmm->power_request = VMM_EVENT_RESET;
}

static uint64_t pm_time(void *ctx) {
        return timebase_now(ctx);
}

static const struct acpi_pm_ops pm_ops = {pm_sci, pm_power_off, pm_reset, pm_time};

static int64_t wall_clock(_unused_ void *ctx) {
        return time(NULL);
}

void platform_reset(struct vmm *vmm) {
        ioapic_init(&vmm->ioapic, &ioapic_ops, vmm);
        uart_init(&vmm->uart, &uart_ops, vmm);
        rtc_init(&vmm->rtc, wall_clock, NULL);
        acpi_pm_init(&vmm->pm, &pm_ops, vmm);
        pci_init(&vmm->pci, &acpi_pm_reset_ops, &vmm->pm);
        vmm->power_request = -1;
}

int platform_init(struct vmm *vmm) {
        const struct {
                enum bus_space space;
                uint64_t base, size;
                const struct bus_ops *ops;
                void *device;
        } map[] = {
                {BUS_PIO, PORT_KEYBOARD, 5, &acpi_pm_keyboard_ops, &vmm->pm},
                {BUS_PIO, PORT_RTC, 2, &rtc_bus_ops, &vmm->rtc},
                {BUS_PIO, PORT_COM1, 8, &uart_bus_ops, &vmm->uart},
                {BUS_PIO, PORT_PM1_EVENT, 4, &acpi_pm_event_ops, &vmm->pm},
                {BUS_PIO, PORT_PM1_CONTROL, 2, &acpi_pm_control_ops, &vmm->pm},
                {BUS_PIO, PORT_PM_TIMER, 4, &acpi_pm_timer_ops, &vmm->pm},
                {BUS_PIO, PORT_PCI, PCI_PORTS, &pci_bus_ops, &vmm->pci},
                {BUS_MMIO, LAYOUT_IOAPIC, LAYOUT_IOAPIC_SIZE, &ioapic_bus_ops, &vmm->ioapic},
        };
        for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
                int r = bus_add(&vmm->bus, map[i].space, map[i].base, map[i].size, map[i].ops,
                        map[i].device);
                if (r < 0)
                        return r;
        }
        platform_reset(vmm);
        return 0;
}

void platform_access(struct vmm *vmm, enum bus_space space, bool write, uint64_t address,
        uint8_t *data, unsigned size) {
        le64 bytes = {{0}};
        pthread_mutex_lock(&vmm->platform_lock);
        if (write) {
                for (unsigned i = 0; i < size; i++)
                        bytes.b[i] = data[i];
                bus_write(&vmm->bus, space, address, size, le64_get(bytes));
        } else {
                bytes = le64_make(bus_read(&vmm->bus, space, address, size));
                for (unsigned i = 0; i < size; i++)
                        data[i] = bytes.b[i];
        }
        int request = vmm->power_request;
        vmm->power_request = -1;
        pthread_mutex_unlock(&vmm->platform_lock);
        if (request >= 0)
                run_raise_type(vmm, (enum vmm_event_type)request);
}

void platform_eoi(struct vmm *vmm, uint8_t vector) {
        pthread_mutex_lock(&vmm->platform_lock);
        ioapic_eoi(&vmm->ioapic, vector);
        pthread_mutex_unlock(&vmm->platform_lock);
}

void vmm_power_button(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->platform_lock);
        acpi_pm_button(&vmm->pm);
        pthread_mutex_unlock(&vmm->platform_lock);
}

size_t vmm_console_input(struct vmm *vmm, const void *data, size_t size) {
        pthread_mutex_lock(&vmm->platform_lock);
        size_t n = uart_input(&vmm->uart, data, size);
        pthread_mutex_unlock(&vmm->platform_lock);
        return n;
}

void platform_save(struct vmm *vmm, struct wr *wr) {
        ioapic_save(&vmm->ioapic, wr);
        uart_save(&vmm->uart, wr);
        rtc_save(&vmm->rtc, wr);
        acpi_pm_save(&vmm->pm, wr);
        pci_save(&vmm->pci, wr);
}

int platform_restore(struct vmm *vmm, struct rd *rd) {
        int r = ioapic_restore(&vmm->ioapic, rd);
        if (r == 0)
                r = uart_restore(&vmm->uart, rd);
        if (r == 0)
                r = rtc_restore(&vmm->rtc, rd);
        if (r == 0)
                r = acpi_pm_restore(&vmm->pm, rd);
        if (r == 0)
                r = pci_restore(&vmm->pci, rd);
        return r;
}
