// SPDX-License-Identifier: MIT
#include "vmm/acpi-pm.h"
#include <errno.h>
#include "base/state.h"

enum { EVENT_POWER_BUTTON = 1 << 8, EVENT_WRITABLE = 0x0521 }; /* timer, global, button, RTC */
enum { CONTROL_SCI_ENABLE = 1, CONTROL_SLEEP_ENABLE = 1 << 13, CONTROL_TYPE_SHIFT = 10 };
enum { CONTROL_WRITABLE = 7 << CONTROL_TYPE_SHIFT | 2 };
enum { RESET_CPU = 0x04 };
enum { KEYBOARD_COMMAND = 4, KEYBOARD_PULSE_RESET = 0xfe };

#define STATE_PM STATE_TAG('A', 'P', 'M', ' ')

void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_ops *ops, void *ctx) {
        /* There is no firmware to hand over from: ACPI mode from the start. */
        *pm = (struct acpi_pm){.ops = ops, .ctx = ctx, .control = CONTROL_SCI_ENABLE};
}

static void update(struct acpi_pm *pm) {
        bool level = pm->status & pm->enable;
        if (level == pm->sci)
                return;
        pm->sci = level;
        pm->ops->sci(pm->ctx, level);
}

void acpi_pm_button(struct acpi_pm *pm) {
        pm->status |= EVENT_POWER_BUTTON;
        update(pm);
}

static uint64_t event_read(void *device, uint64_t offset, _unused_ unsigned size) {
        const struct acpi_pm *pm = device;
        return ((uint32_t)pm->enable << 16 | pm->status) >> (8 * offset);
}

static void event_write(void *device, uint64_t offset, unsigned size, uint64_t value) {
        struct acpi_pm *pm = device;
        uint32_t mask = size >= 4 ? UINT32_MAX : (1u << 8 * size) - 1;
        uint32_t bits = (uint32_t)value & mask;
        bits <<= 8 * offset;
        mask <<= 8 * offset;
        pm->status &= (uint16_t)~bits; /* write one to clear */
        pm->enable = (uint16_t)((pm->enable & ~(mask >> 16)) | (bits >> 16 & EVENT_WRITABLE));
        update(pm);
}

static uint64_t control_read(void *device, uint64_t offset, _unused_ unsigned size) {
        const struct acpi_pm *pm = device;
        return (uint32_t)pm->control >> (8 * offset);
}

static void control_write(void *device, uint64_t offset, unsigned size, uint64_t value) {
        struct acpi_pm *pm = device;
        uint16_t mask = size >= 2 ? 0xffff : (uint16_t)(0xff << 8 * offset);
        uint16_t bits = (uint16_t)(value << 8 * offset & mask);
        pm->control =
                (uint16_t)((pm->control & ~(mask & CONTROL_WRITABLE)) | (bits & CONTROL_WRITABLE));
        if ((bits & CONTROL_SLEEP_ENABLE) &&
                (pm->control >> CONTROL_TYPE_SHIFT & 7) == ACPI_PM_SLEEP_S5)
                pm->ops->power_off(pm->ctx);
}

static uint64_t timer_read(void *device, uint64_t offset, _unused_ unsigned size) {
        const struct acpi_pm *pm = device;
        /* 3.579545 MHz from 10 MHz; split so that nothing overflows for 10,000 years. */
        uint64_t t = pm->ops->time(pm->ctx);
        uint64_t ticks = t / 10000000 * 3579545 + t % 10000000 * 3579545 / 10000000;
        return (uint32_t)ticks >> (8 * offset);
}

static uint64_t read_zero(_unused_ void *device, _unused_ uint64_t offset, _unused_ unsigned size) {
        return 0;
}

static void ignore_write(_unused_ void *device, _unused_ uint64_t offset, _unused_ unsigned size,
        _unused_ uint64_t value) {
}

static void reset_write(
        void *device, _unused_ uint64_t offset, _unused_ unsigned size, uint64_t value) {
        struct acpi_pm *pm = device;
        if (value & RESET_CPU)
                pm->ops->reset(pm->ctx);
}

static void keyboard_write(void *device, uint64_t offset, _unused_ unsigned size, uint64_t value) {
        struct acpi_pm *pm = device;
        if (offset == KEYBOARD_COMMAND && (value & 0xff) == KEYBOARD_PULSE_RESET)
                pm->ops->reset(pm->ctx);
}

const struct bus_ops acpi_pm_event_ops = {.read = event_read, .write = event_write};
const struct bus_ops acpi_pm_control_ops = {.read = control_read, .write = control_write};
const struct bus_ops acpi_pm_timer_ops = {.read = timer_read, .write = ignore_write};
const struct bus_ops acpi_pm_reset_ops = {.read = read_zero, .write = reset_write};
const struct bus_ops acpi_pm_keyboard_ops = {.read = read_zero, .write = keyboard_write};

void acpi_pm_save(const struct acpi_pm *pm, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_PM, 1);
        wr_le16(wr, pm->status);
        wr_le16(wr, pm->enable);
        wr_le16(wr, pm->control);
        wr_u8(wr, pm->sci);
        state_end(wr, mark);
}

int acpi_pm_restore(struct acpi_pm *pm, struct rd *rd) {
        struct acpi_pm new = {.ops = pm->ops, .ctx = pm->ctx};
        struct rd section;
        uint8_t sci = 0;
        int r = state_open(rd, STATE_PM, 1, NULL, &section);
        if (r == 0)
                r = rd_le16(&section, &new.status);
        if (r == 0)
                r = rd_le16(&section, &new.enable);
        if (r == 0)
                r = rd_le16(&section, &new.control);
        if (r == 0)
                r = rd_u8(&section, &sci);
        if (r == 0)
                r = rd_end(&section);
        if (r < 0)
                return r;
        if (sci > 1 || sci != !!(new.status &new.enable))
                return -EBADMSG;
        new.sci = sci;
        *pm = new;
        return 0;
}
