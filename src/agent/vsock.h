// SPDX-License-Identifier: MIT
/* The agent's transport in a guest: AF_VSOCK to the host, which Linux carries over VMBus. */
#pragma once
#include "agent/agent.h"

extern const struct agent_transport agent_vsock;
