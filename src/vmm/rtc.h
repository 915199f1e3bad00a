// SPDX-License-Identifier: MIT
/* The clock part of an MC146818 and its battery-backed bytes: date and time in BCD, 24 hours, UTC;
 * no alarms and no interrupt. Pure; the owner serialises. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/rd.h"
#include "base/wr.h"
#include "vmm/bus.h"

enum { RTC_BYTES = 128, RTC_CENTURY = 0x32 /* also in the FADT */ };

struct rtc {
        int64_t (*now)(void *ctx); /* host's seconds since 1970 */
        void *ctx;
        int64_t offset; /* what the guest's clock is ahead of the host's */
        uint8_t index;
        uint8_t ram[RTC_BYTES];
};

extern const struct bus_ops rtc_bus_ops;

void rtc_init(struct rtc *rtc, int64_t (*now)(void *ctx), void *ctx);
void rtc_save(const struct rtc *rtc, struct wr *wr);
_warn_unused_ int rtc_restore(struct rtc *rtc, struct rd *rd);
