// SPDX-License-Identifier: MIT
/* The methods that the worker carries out; each checks the state first. */
#pragma once
#include "vmcompute/methods.h"

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
