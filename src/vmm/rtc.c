// SPDX-License-Identifier: MIT
#include "vmm/rtc.h"
#include <errno.h>
#include <time.h>
#include "base/state.h"

enum {
        SECONDS,
        SECONDS_ALARM,
        MINUTES,
        MINUTES_ALARM,
        HOURS,
        HOURS_ALARM,
        WEEKDAY,
        DAY,
        MONTH,
        YEAR,
        REG_A,
        REG_B,
        REG_C,
        REG_D
};
enum { A_DIVIDER_32KHZ = 0x26, B_24_HOURS = 0x02, B_SET = 0x80, D_VALID = 0x80 };
enum { PORT_INDEX, PORT_DATA };

/* Some 34,000 years, far from overflow. */
#define OFFSET_MAX (INT64_C(1) << 40)
#define STATE_RTC  STATE_TAG('R', 'T', 'C', ' ')

void rtc_init(struct rtc *rtc, int64_t (*now)(void *ctx), void *ctx) {
        *rtc = (struct rtc){.now = now, .ctx = ctx};
        rtc->ram[REG_A] = A_DIVIDER_32KHZ;
        rtc->ram[REG_B] = B_24_HOURS;
}

static uint8_t to_bcd(int v) {
        return (uint8_t)(v / 10 << 4 | v % 10);
}

static int from_bcd(uint8_t v) {
        return (v >> 4) * 10 + (v & 15);
}

/* While the guest sets the clock its registers stand still. */
static bool is_frozen(const struct rtc *rtc) {
        return rtc->ram[REG_B] & B_SET;
}

/* The bytes of the time registers as they stand now. */
static void refresh(struct rtc *rtc) {
        if (is_frozen(rtc))
                return;
        time_t t = (time_t)(rtc->now(rtc->ctx) + rtc->offset);
        struct tm tm;
        if (!gmtime_r(&t, &tm))
                return;
        rtc->ram[SECONDS] = to_bcd(tm.tm_sec);
        rtc->ram[MINUTES] = to_bcd(tm.tm_min);
        rtc->ram[HOURS] = to_bcd(tm.tm_hour);
        rtc->ram[WEEKDAY] = to_bcd(tm.tm_wday + 1);
        rtc->ram[DAY] = to_bcd(tm.tm_mday);
        rtc->ram[MONTH] = to_bcd(tm.tm_mon + 1);
        rtc->ram[YEAR] = to_bcd(tm.tm_year % 100);
        rtc->ram[RTC_CENTURY] = to_bcd((tm.tm_year + 1900) / 100 % 100);
}

/* Takes over a time that the guest wrote into the registers. */
static void adopt(struct rtc *rtc) {
        if (is_frozen(rtc))
                return;
        struct tm tm = {
                .tm_sec = from_bcd(rtc->ram[SECONDS]),
                .tm_min = from_bcd(rtc->ram[MINUTES]),
                .tm_hour = from_bcd(rtc->ram[HOURS]),
                .tm_mday = from_bcd(rtc->ram[DAY]),
                .tm_mon = from_bcd(rtc->ram[MONTH]) - 1,
                .tm_year = from_bcd(rtc->ram[RTC_CENTURY]) * 100 + from_bcd(rtc->ram[YEAR]) - 1900,
        };
        rtc->offset = (int64_t)timegm(&tm) - rtc->now(rtc->ctx);
}

static bool is_time(uint8_t index) {
        return index == RTC_CENTURY || (index <= YEAR && (index >= WEEKDAY || index % 2 == 0));
}

static uint64_t rtc_read(void *device, uint64_t offset, _unused_ unsigned size) {
        struct rtc *rtc = device;
        if (offset == PORT_INDEX)
                return rtc->index;
        switch (rtc->index) {
        case REG_C:
                return 0; /* no interrupt */
        case REG_D:
                return D_VALID;
        default:
                if (is_time(rtc->index))
                        refresh(rtc);
                return rtc->ram[rtc->index];
        }
}

static void rtc_write(void *device, uint64_t offset, _unused_ unsigned size, uint64_t value) {
        struct rtc *rtc = device;
        if (offset == PORT_INDEX) {
                rtc->index = value & 0x7f; /* bit 7 masks the NMI */
                return;
        }
        switch (rtc->index) {
        case REG_A:
                rtc->ram[REG_A] = value & 0x7f; /* bit 7, update in progress, is read-only */
                break;
        case REG_B:
                refresh(rtc);
                rtc->ram[REG_B] = (uint8_t)((value & B_SET) | B_24_HOURS);
                adopt(rtc);
                break;
        case REG_C:
        case REG_D:
                break;
        default:
                if (is_time(rtc->index))
                        refresh(rtc);
                rtc->ram[rtc->index] = (uint8_t)value;
                if (is_time(rtc->index))
                        adopt(rtc);
                break;
        }
}

const struct bus_ops rtc_bus_ops = {.read = rtc_read, .write = rtc_write};

void rtc_save(const struct rtc *rtc, struct wr *wr) {
        size_t mark = state_begin(wr, STATE_RTC, 1);
        wr_le64(wr, (uint64_t)rtc->offset);
        wr_u8(wr, rtc->index);
        for (uint8_t i = 0; i < RTC_BYTES; i++)
                /* a time that runs is the host's */
                wr_u8(wr, is_time(i) && !is_frozen(rtc) ? 0 : rtc->ram[i]);
        state_end(wr, mark);
}

int rtc_restore(struct rtc *rtc, struct rd *rd) {
        struct rtc new = {.now = rtc->now, .ctx = rtc->ctx};
        struct rd section;
        uint64_t offset = 0;
        int r = state_open(rd, STATE_RTC, 1, NULL, &section);
        if (r == 0)
                r = rd_le64(&section, &offset);
        if (r == 0)
                r = rd_u8(&section, &new.index);
        if (r == 0)
                r = rd_bytes(&section, new.ram, sizeof new.ram);
        if (r == 0)
                r = rd_end(&section);
        if (r < 0)
                return r;
        new.index &= 0x7f;
        new.offset = (int64_t)offset;
        if (new.offset > OFFSET_MAX || new.offset < -OFFSET_MAX)
                return -EBADMSG;
        *rtc = new;
        return 0;
}
