// SPDX-License-Identifier: MIT
/* One line per event on stderr, each naming its process: "vmwp[1234abcd]: storvsp0: text".
 * Programs and device glue log; libraries return errors and use log_debug() at most.
 * Any thread may log: a line is one write(2). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* The name in front of each line and the most verbose level shown. Called once by main(). */
void log_setup(const char *name, enum log_level max);
void log_write(enum log_level level, const char *fmt, ...) _printf_(2, 3);
bool log_enabled(enum log_level level);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
        do {                                                                                       \
                if (log_enabled(LOG_DEBUG))                                                        \
                        log_write(LOG_DEBUG, __VA_ARGS__);                                         \
        } while (0)

/* At most LOG_LIMIT_BURST lines per LOG_LIMIT_NS for one cause, so that a guest cannot fill a disk:
 *     static struct log_limit limit;
 *     if (log_allow(&limit)) log_warning(...);
 * The caller serialises, or accepts that a race lets one line more through. */
enum { LOG_LIMIT_BURST = 5 };
#define LOG_LIMIT_NS 10000000000ull
struct log_limit {
        uint64_t since;
        unsigned count;
};
bool log_allow(struct log_limit *limit);
