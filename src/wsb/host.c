// SPDX-License-Identifier: MIT
/* What a file needs of this host. Opens nothing: it looks, with the caller's rights. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/wr.h"
#include "wire/hresult.h"
#include "wsb/path.h"
#include "wsb/wsb.h"

/* An expanded path; longer than any that a host takes. */
enum { EXPANDED_MAX = 64 << 10 };

/* Appends text with each %NAME% replaced; a lone % stands for itself, as in Windows. */
static int expand_variables(
        const char *text, const struct wsb_host *host, struct wr *out, char **ret_variable) {
        for (const char *s = text; *s;) {
                const char *end = *s == '%' ? strchr(s + 1, '%') : NULL;
                if (!end || end == s + 1) {
                        wr_u8(out, (uint8_t)*s++);
                        continue;
                }
                _cleanup_free_ char *name =
                        fault_hit(FAULT_ALLOC) ? NULL : strndup(s + 1, (size_t)(end - s - 1));
                if (!name)
                        return -ENOMEM;
                const char *value = host->variable ? host->variable(host->userdata, name) : NULL;
                if (!value) {
                        *ret_variable = TAKE_PTR(name);
                        return -ENOENT;
                }
                wr_bytes(out, value, strlen(value));
                s = end + 1;
        }
        return 0;
}

int wsb_expand(
        const char *host_folder, const struct wsb_host *host, char **ret, char **ret_variable) {
        _cleanup_(wr_done) struct wr out = wr_new(EXPANDED_MAX);
        bool variable_first = host_folder[0] == '%';
        if (!variable_first && !wsb_path_is_absolute(host_folder)) {
                if (!host->directory)
                        return -EINVAL;
                wr_bytes(&out, host->directory, strlen(host->directory));
                wr_u8(&out, '/');
        }
        int r = expand_variables(host_folder, host, &out, ret_variable);
        if (r < 0)
                return r;
        wr_u8(&out, 0);
        if (wr_error(&out) < 0)
                return wr_error(&out);
        if (!wsb_path_is_absolute((char *)out.data))
                return -EINVAL;
        *ret = (char *)TAKE_PTR(out.data);
        return 0;
}

static int check_folder(const struct wsb_settings *settings, size_t i, const struct wsb_host *host,
        struct wsb_notes *notes) {
        const struct wsb_folder *f = &settings->folders[i];
        char path_in_file[80], nth[24] = "";
        if (i > 0)
                snprintf(nth, sizeof nth, "[%zu]", i + 1);
        snprintf(path_in_file, sizeof path_in_file,
                "/Configuration/MappedFolders/MappedFolder%s/HostFolder", nth);
        struct wsb_note where = {.hresult = HR_PATH_NOT_FOUND,
                .line = f->place.line,
                .column = f->place.column,
                .path = path_in_file};
        _cleanup_free_ char *path = NULL, *variable = NULL;
        int r = wsb_expand(f->host_folder, host, &path, &variable);
        if (r == -ENOENT)
                return wsb_notes_add(notes, &where, "the variable %s of %s is not set", variable,
                        f->host_folder);
        if (r == -EINVAL || r == -ENOSPC) {
                where.hresult = E_INVALIDARG;
                return wsb_notes_add(
                        notes, &where, "%s does not give an absolute path", f->host_folder);
        }
        if (r < 0)
                return r;
        struct stat st;
        if (stat(path, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        where.hresult = error_hresult(-errno);
                return wsb_notes_add(notes, &where, "the folder %s: %s", path, strerror(errno));
        }
        if (!S_ISDIR(st.st_mode))
                return wsb_notes_add(notes, &where, "%s is not a folder", path);
        return 0;
}

int wsb_check_host(
        const struct wsb_settings *settings, const struct wsb_host *host, struct wsb_notes *notes) {
        size_t before = notes->n;
        if (host->memory_mib && settings->memory_mib > host->memory_mib) {
                char path[] = "/Configuration/MemoryInMB";
                struct wsb_note where = {.hresult = HR_OUTOFMEMORY,
                        .line = settings->places[WSB_MEMORY].line,
                        .column = settings->places[WSB_MEMORY].column,
                        .path = path};
                int r = wsb_notes_add(notes, &where,
                        "%u MiB is more than the %llu MiB of this host", settings->memory_mib,
                        (unsigned long long)host->memory_mib);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < settings->n_folders; i++) {
                int r = check_folder(settings, i, host, notes);
                if (r < 0)
                        return r;
        }
        return (int)(notes->n - before);
}
