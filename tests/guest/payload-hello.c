// SPDX-License-Identifier: MIT
/* The least that a guest does: a line on the console, then off. */
#include "guest.h"

int guest_payload(void) {
        guest_printf("hello from ring 3, cpu %u\n", guest_cpu());
        return 0;
}
