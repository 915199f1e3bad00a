// SPDX-License-Identifier: MIT
/* ACPI fixed hardware (ACPI 6.4, 4.8): power button, sleep control, timer; and the two older ways
 * to reset a PC, port 0xCF9 and the keyboard controller. Pure; the owner serialises. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "vmm/bus.h"

enum { ACPI_PM_SLEEP_S5 = 5 };       /* SLP_TYP of \_S5 in dsdt.asl */
enum { ACPI_PM_RESET_VALUE = 0x06 }; /* of the FADT's reset register */

struct acpi_pm_ops {
        void (*sci)(void *ctx, bool level); /* called when the level changes */
        void (*power_off)(void *ctx);
        void (*reset)(void *ctx);
        uint64_t (*time)(void *ctx); /* 100 ns */
};

struct acpi_pm {
        const struct acpi_pm_ops *ops;
        void *ctx;
        uint16_t status, enable, control;
        bool sci;
};

/* PORT_PM1_EVENT (4 bytes), PORT_PM1_CONTROL (2), PORT_PM_TIMER (4), PORT_RESET (1),
 * PORT_KEYBOARD (5). */
extern const struct bus_ops acpi_pm_event_ops, acpi_pm_control_ops, acpi_pm_timer_ops,
        acpi_pm_reset_ops, acpi_pm_keyboard_ops;

void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_ops *ops, void *ctx);
void acpi_pm_button(struct acpi_pm *pm);
void acpi_pm_save(const struct acpi_pm *pm, struct wr *wr);
_warn_unused_ int acpi_pm_restore(struct acpi_pm *pm, struct rd *rd);
