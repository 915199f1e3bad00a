// SPDX-License-Identifier: MIT
/* How the parts of the parser fill a struct wsb_error. */
#pragma once
#include "wsb/wsb.h"

struct wsb_refusal {
        enum wsb_error_class class;
        uint32_t hresult; /* 0: E_INVALIDARG */
        uint32_t xmllite;
        const char *accepted; /* may be NULL */
};
/* Fills all but the place, unless *we is filled already; returns -EINVAL. */
int wsb_refuse(struct wsb_error *we, struct wsb_refusal refusal, const char *fmt, ...)
        _printf_(3, 4);
int wsb_out_of_memory(struct wsb_error *we); /* returns -ENOMEM */
