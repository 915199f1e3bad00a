// SPDX-License-Identifier: MIT
#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"

static char log_name[64] = "sandbar";
static enum log_level log_max = LOG_INFO;

void log_setup(const char *name, enum log_level max) {
        snprintf(log_name, sizeof log_name, "%s", name);
        log_max = max;
}

bool log_enabled(enum log_level level) {
        return level <= log_max;
}

void log_write(enum log_level level, const char *fmt, ...) {
        static const char *const marks[] = {"error: ", "warning: ", "", "debug: "};
        if (!log_enabled(level))
                return;
        char line[1024];
        int n = snprintf(line, sizeof line, "%s: %s", log_name, marks[level]);
        va_list args;
        va_start(args, fmt);
        int m = vsnprintf(line + n, sizeof line - (size_t)n, fmt, args);
        va_end(args);
        size_t size = (size_t)n + (m > 0 ? (size_t)m : 0);
        if (size > sizeof line - 2)
                size = sizeof line - 2;
        line[size++] = '\n';
        ssize_t ignored _unused_ = write(STDERR_FILENO, line, size);
}

bool log_allow(struct log_limit *limit) {
        uint64_t now = clock_now_ns();
        if (limit->since == 0 || now - limit->since > LOG_LIMIT_NS)
                *limit = (struct log_limit){.since = now};
        return limit->count++ < LOG_LIMIT_BURST;
}
