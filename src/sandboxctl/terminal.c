// SPDX-License-Identifier: MIT
#include "sandboxctl/terminal.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* One process has one terminal; what it was like before belongs to the process, too. */
static struct termios terminal_before;
static bool terminal_is_raw;

bool terminal_present(void) {
        return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int terminal_raw(void) {
        if (tcgetattr(STDIN_FILENO, &terminal_before) < 0)
                return -errno;
        struct termios raw = terminal_before;
        cfmakeraw(&raw);
        if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
                return -errno;
        terminal_is_raw = true;
        return 0;
}

void terminal_restore(void) {
        if (terminal_is_raw)
                (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
        terminal_is_raw = false;
}

void terminal_size(uint16_t *ret_rows, uint16_t *ret_columns) {
        struct winsize size = {0};
        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;
}
