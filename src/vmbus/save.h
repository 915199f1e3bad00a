// SPDX-License-Identifier: MIT
/* What save.c and restore.c agree on. Internal to src/vmbus. */
#pragma once
#include "base/state.h"
#include "vmbus/internal.h"

enum { SAVE_TAG = STATE_TAG('V', 'B', 'U', 'S'), SAVE_VERSION = 1 };
enum { SAVE_OFFERS_REQUESTED = 1, SAVE_DELIVERED_DUE = 2 };
