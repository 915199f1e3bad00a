// SPDX-License-Identifier: MIT
/* The crash registers: five numbers, and a text that the guest leaves in one of its pages. */
#include <string.h>
#include "vmm/hv-internal.h"

/* What a terminal or a log will be shown: printable ASCII and line breaks, up to the first NUL. */
static void crash_sanitise(char *text, size_t size) {
        size_t n = strnlen(text, size);
        for (size_t i = 0; i < n; i++) {
                char c = text[i];
                if ((c < ' ' || c > '~') && c != '\n' && c != '\t')
                        text[i] = '?';
        }
        memset(text + n, 0, size - n);
}

void hv_crash_notify(struct hv *hv, const uint64_t parameters[HV_CRASH_PARAMETERS], bool text) {
        struct vmm_event event = {.type = VMM_EVENT_CRASH};
        memcpy(event.crash, parameters, sizeof event.crash);
        uint64_t gpa = parameters[3], length = parameters[4];
        if (length > sizeof event.text - 1)
                length = sizeof event.text - 1;
        if (text && gmem_read(hv->gm, gpa, event.text, length) == 0)
                crash_sanitise(event.text, length);
        hv->ops->event(hv->ctx, &event);
}
