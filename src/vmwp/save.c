// SPDX-License-Identifier: MIT
/* The saved-state file: a header, the state sections, then RAM at a page boundary, with holes where
 * the guest's memory was never touched. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/state.h"
#include "vmwp/machine.h"
#include "wire/hresult.h"

#define SAVE_TAG STATE_TAG('S', 'B', 'S', 'V')
enum {
        SAVE_VERSION = 1,
        SAVE_STATE_MAX = 256 * 1024 * 1024, /* all sections together */
        SAVE_HEADER_SIZE = STATE_HEADER_SIZE + 4 + 8 + 8,
        SAVE_CHUNK = 1024 * 1024,
};

struct save_header {
        uint32_t vps;
        uint64_t memory;
        uint64_t state_size;
};

static uint64_t ram_offset(uint64_t state_size) {
        uint64_t end = SAVE_HEADER_SIZE + state_size;
        return (end + GMEM_PAGE_SIZE - 1) / GMEM_PAGE_SIZE * GMEM_PAGE_SIZE;
}

static int write_at(int fd, const void *data, size_t size, uint64_t offset) {
        return lseek(fd, (off_t)offset, SEEK_SET) < 0 ? -errno : fd_write_full(fd, data, size);
}

/* Copies what is allocated of `from` to `to`, both shifted. */
static int copy_sparse(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size) {
        _cleanup_free_ char *chunk = malloc(SAVE_CHUNK);
        if (!chunk)
                return -ENOMEM;
        for (uint64_t pos = 0; pos < size;) {
                off_t data = lseek(from, (off_t)(from_offset + pos), SEEK_DATA);
                if (data < 0)
                        return errno == ENXIO ? 0 : -errno;
                pos = (uint64_t)data - from_offset;
                off_t hole = lseek(from, data, SEEK_HOLE);
                if (hole < 0)
                        return -errno;
                uint64_t end = (uint64_t)hole - from_offset;
                while (pos < end && pos < size) {
                        uint64_t n = end - pos < SAVE_CHUNK ? end - pos : SAVE_CHUNK;
                        ssize_t got = fd_pread_full(from, chunk, n, from_offset + pos);
                        if (got < 0)
                                return (int)got;
                        if (got == 0)
                                return -EBADMSG;
                        int r = write_at(to, chunk, (size_t)got, to_offset + pos);
                        if (r < 0)
                                return r;
                        pos += (uint64_t)got;
                }
        }
        return 0;
}

/* The header last: a file that was not finished is no saved state. */
static int write_file(struct machine *machine, const struct wr *state, int fd) {
        struct gmem *gm = vmm_gmem(machine_vmm(machine));
        uint64_t ram = ram_offset(state->size);
        uint8_t bytes[SAVE_HEADER_SIZE];
        struct wr header = wr_make(bytes, sizeof bytes);
        size_t mark = state_begin(&header, SAVE_TAG, SAVE_VERSION);
        wr_le32(&header, vmm_vps(machine_vmm(machine)));
        wr_le64(&header, gmem_size(gm));
        wr_le64(&header, state->size);
        state_end(&header, mark);
        if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)(ram + gmem_size(gm))) < 0)
                return -errno;
        int r = copy_sparse(gmem_fd(gm), 0, fd, ram, gmem_size(gm));
        if (r == 0)
                r = write_at(fd, state->data, state->size, SAVE_HEADER_SIZE);
        if (r == 0)
                r = write_at(fd, bytes, sizeof bytes, 0);
        return r;
}

int machine_save(struct machine *machine, int fd, struct error *e) {
        _cleanup_(wr_done) struct wr state = wr_new(SAVE_STATE_MAX);
        int r = machine_save_state(machine, &state);
        if (r == -EBUSY)
                return error_set(e, r, HCS_E_INVALID_STATE,
                        "only a machine that was started and is paused can be saved");
        if (r < 0)
                return error_set(e, r, 0, "saving the devices: %s", strerrordesc_np(-r));
        r = write_file(machine, &state, fd);
        if (r == 0)
                return 0;
        (void)!ftruncate(fd, 0);
        return error_set(e, r, 0, "writing the state file: %s", strerrordesc_np(-r));
}

static int read_header(int fd, struct save_header *ret, struct error *e) {
        uint8_t bytes[SAVE_HEADER_SIZE];
        ssize_t n = fd_pread_full(fd, bytes, sizeof bytes, 0);
        struct rd rd = rd_make(bytes, n > 0 ? (size_t)n : 0), body;
        if (n < 0)
                return error_set(
                        e, (int)n, 0, "reading the state file: %s", strerrordesc_np((int)-n));
        if (state_open(&rd, SAVE_TAG, SAVE_VERSION, NULL, &body) < 0 ||
                rd_le32(&body, &ret->vps) < 0 || rd_le64(&body, &ret->memory) < 0 ||
                rd_le64(&body, &ret->state_size) < 0 || rd_end(&body) < 0 ||
                ret->state_size > SAVE_STATE_MAX)
                return error_set(e, -EBADMSG, 0, "not a saved state, or one of a later version");
        return 0;
}

int machine_restore(struct machine *machine, int fd, struct error *e) {
        struct save_header header;
        struct gmem *gm = vmm_gmem(machine_vmm(machine));
        int r = read_header(fd, &header, e);
        if (r < 0)
                return r;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return error_set(e, -errno, 0, "looking at the state file: %s", strerror(errno));
        if (header.vps != vmm_vps(machine_vmm(machine)) || header.memory != gmem_size(gm))
                return error_set(e, -EINVAL, 0,
                        "the saved machine has %u processors and %llu MiB; the document must "
                        "ask for the same",
                        header.vps, (unsigned long long)(header.memory >> 20));
        if ((uint64_t)st.st_size != ram_offset(header.state_size) + header.memory)
                return error_set(e, -EBADMSG, 0,
                        "the state file is cut short or too long: %lld bytes instead of %llu",
                        (long long)st.st_size,
                        (unsigned long long)(ram_offset(header.state_size) + header.memory));
        _cleanup_free_ uint8_t *state = malloc(header.state_size);
        if (!state)
                return error_set(e, -ENOMEM, 0, "not enough memory for the saved state");
        ssize_t n = fd_pread_full(fd, state, header.state_size, SAVE_HEADER_SIZE);
        if (n < 0 || (uint64_t)n != header.state_size)
                return error_set(e, n < 0 ? (int)n : -EBADMSG, 0, "the state file is cut short");
        /* RAM first: the devices look into their rings when they come back. */
        r = copy_sparse(fd, ram_offset(header.state_size), gmem_fd(gm), 0, header.memory);
        if (r < 0)
                return error_set(e, r, 0, "reading the saved memory: %s", strerrordesc_np(-r));
        struct rd rd = rd_make(state, header.state_size);
        r = machine_restore_state(machine, &rd, e);
        if (r == 0 && rd_end(&rd) < 0)
                r = error_set(e, -EBADMSG, 0, "the state file has bytes that nothing reads");
        return r;
}
