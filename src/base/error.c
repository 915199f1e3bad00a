// SPDX-License-Identifier: MIT
#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "wire/hresult.h"

uint32_t error_hresult(int r) {
        switch (-r) {
        case 0:
                return S_OK;
        case ENOENT:
                return HR_FILE_NOT_FOUND;
        case ENOTDIR:
                return HR_PATH_NOT_FOUND;
        case EACCES:
        case EPERM:
                return HR_ACCESS_DENIED;
        case EBADF:
                return HR_INVALID_HANDLE;
        case EBADMSG:
                return HR_INVALID_DATA;
        case ENOMEM:
                return HR_OUTOFMEMORY;
        case EBUSY:
        case ETXTBSY:
                return HR_SHARING_VIOLATION;
        case EOPNOTSUPP:
        case ENOSYS:
                return HR_NOT_SUPPORTED;
        case EINVAL:
                return E_INVALIDARG;
        case ENOBUFS:
                return HR_INSUFFICIENT_BUFFER;
        case EEXIST:
                return HR_ALREADY_EXISTS;
        case ETIMEDOUT:
                return HR_TIMEOUT;
        case ENOSPC:
                return HR_DISK_FULL;
        default:
                return E_FAIL;
        }
}

int error_set(struct error *e, int r, uint32_t hresult, const char *fmt, ...) {
        if (e->hresult)
                return r;
        e->hresult = hresult ? hresult : error_hresult(r);
        va_list args;
        va_start(args, fmt);
        vsnprintf(e->text, sizeof e->text, fmt, args);
        va_end(args);
        return r;
}

int error_prefix(struct error *e, int r, const char *fmt, ...) {
        char text[ERROR_TEXT_MAX];
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        if (n < 0 || (size_t)n + 2 >= sizeof text)
                return r;
        memcpy(text + n, ": ", 2);
        size_t room = sizeof text - (size_t)n - 3, rest = strnlen(e->text, room);
        memcpy(text + n + 2, e->text, rest);
        text[(size_t)n + 2 + rest] = 0;
        memcpy(e->text, text, sizeof text);
        return r;
}
