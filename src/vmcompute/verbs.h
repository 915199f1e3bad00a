// SPDX-License-Identifier: MIT
/* The methods that the worker carries out; each checks the state first. */
#pragma once
#include "vmcompute/methods.h"
#include "vmcompute/system.h"

void verb_start(const struct method_args *a);
void verb_shutdown(const struct method_args *a);
void verb_terminate(const struct method_args *a);
void verb_pause(const struct method_args *a);
void verb_resume(const struct method_args *a);
void verb_crash(const struct method_args *a);
void verb_create_process(const struct method_args *a);
void verb_signal(const struct method_args *a);
void verb_terminate_process(const struct method_args *a);
void verb_modify_process(const struct method_args *a);
void verb_hvsocket_bind(const struct method_args *a);
void verb_hvsocket_connect(const struct method_args *a);

/* False: the system is not in the state, and the call has failed. */
_warn_unused_ bool verb_require_state(const struct method_args *a, enum system_state state);
