// SPDX-License-Identifier: MIT
/* The four compressions that distribution kernels use, each by its own library, all from memory to
 * a descriptor. */
#include "bootimage/bootimage.h"
#include <errno.h>
#include <lz4.h>
#include <string.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include "base/fd.h"
#include "wire/le.h"

enum { UNPACK_CHUNK = 1024 * 1024 };

struct sink {
        int fd;
        uint64_t written, limit;
};

static int sink_write(struct sink *sink, const void *data, size_t size) {
        if (size > sink->limit - sink->written)
                return -EFBIG;
        sink->written += size;
        return fd_write_full(sink->fd, data, size);
}

static int unpack_gzip(const uint8_t *in, size_t size, struct sink *sink, uint8_t *chunk) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)size};
        if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
                return -ENOMEM;
        int r = 0, status = Z_OK;
        while (r == 0 && status != Z_STREAM_END) {
                z.next_out = chunk;
                z.avail_out = UNPACK_CHUNK;
                status = inflate(&z, Z_NO_FLUSH);
                if (status != Z_OK && status != Z_STREAM_END)
                        r = -EBADMSG;
                else
                        r = sink_write(sink, chunk, UNPACK_CHUNK - z.avail_out);
        }
        inflateEnd(&z);
        return r;
}

static int unpack_xz(const uint8_t *in, size_t size, struct sink *sink, uint8_t *chunk) {
        lzma_stream s = LZMA_STREAM_INIT;
        if (lzma_stream_decoder(&s, 256 * 1024 * 1024, 0) != LZMA_OK)
                return -ENOMEM;
        s.next_in = in;
        s.avail_in = size;
        int r = 0;
        lzma_ret status = LZMA_OK;
        while (r == 0 && status != LZMA_STREAM_END) {
                s.next_out = chunk;
                s.avail_out = UNPACK_CHUNK;
                status = lzma_code(&s, LZMA_RUN);
                if (status != LZMA_OK && status != LZMA_STREAM_END)
                        r = -EBADMSG;
                else
                        r = sink_write(sink, chunk, UNPACK_CHUNK - s.avail_out);
        }
        lzma_end(&s);
        return r;
}

static int unpack_zstd(const uint8_t *in, size_t size, struct sink *sink, uint8_t *chunk) {
        ZSTD_DStream *z = ZSTD_createDStream();
        if (!z)
                return -ENOMEM;
        ZSTD_inBuffer input = {in, size, 0};
        int r = 0;
        size_t status = 1;
        while (r == 0 && status != 0) {
                ZSTD_outBuffer output = {chunk, UNPACK_CHUNK, 0};
                size_t before = input.pos;
                status = ZSTD_decompressStream(z, &output, &input);
                if (ZSTD_isError(status) || (output.pos == 0 && input.pos == before))
                        r = -EBADMSG;
                else
                        r = sink_write(sink, chunk, output.pos);
        }
        ZSTD_freeDStream(z);
        return r;
}

/* The legacy LZ4 frame: magic, then {le32 compressed size, bytes} per 8 MiB block. What follows the
 * last block on x86 is the le32 size of the whole, which cannot be told from another block's size
 * but by the input's end. */
static int unpack_lz4(const uint8_t *in, size_t size, struct sink *sink, uint8_t *chunk _unused_) {
        enum { BLOCK = 8 * 1024 * 1024 };
        _cleanup_free_ char *block = malloc(BLOCK);
        if (!block)
                return -ENOMEM;
        if (size < 4)
                return -EBADMSG;
        size_t pos = 4;
        while (size - pos > 4) {
                le32 field;
                memcpy(&field, in + pos, sizeof field);
                uint32_t n = le32_get(field);
                pos += sizeof field;
                if (n == 0 || n > size - pos || n > LZ4_COMPRESSBOUND(BLOCK))
                        return -EBADMSG;
                int out = LZ4_decompress_safe((const char *)in + pos, block, (int)n, BLOCK);
                if (out < 0)
                        return -EBADMSG;
                int r = sink_write(sink, block, (size_t)out);
                if (r < 0)
                        return r;
                pos += n;
        }
        return sink->written ? 0 : -EBADMSG;
}

int bootimage_unpack(enum bootimage_format format, const void *data, size_t size, int out_fd,
        uint64_t limit, struct error *e) {
        static const struct {
                const char *name;
                int (*fn)(const uint8_t *, size_t, struct sink *, uint8_t *);
        } decoders[] = {
                [BOOTIMAGE_GZIP] = {"gzip", unpack_gzip},
                [BOOTIMAGE_XZ] = {"xz", unpack_xz},
                [BOOTIMAGE_ZSTD] = {"zstd", unpack_zstd},
                [BOOTIMAGE_LZ4] = {"lz4", unpack_lz4},
        };
        if ((size_t)format >= ARRAY_SIZE(decoders) || !decoders[format].fn)
                return error_set(e, -EINVAL, 0, "an ELF kernel has no payload to unpack");
        struct sink sink = {.fd = out_fd, .limit = limit};
        _cleanup_free_ uint8_t *chunk = malloc(UNPACK_CHUNK);
        if (!chunk)
                return error_set(e, -ENOMEM, 0, "not enough memory to unpack the kernel");
        int r = decoders[format].fn(data, size, &sink, chunk);
        if (r == -EBADMSG)
                return error_set(
                        e, r, 0, "the kernel's %s payload is damaged", decoders[format].name);
        if (r == -EFBIG)
                return error_set(e, r, 0, "the kernel's %s payload unpacks to more than %llu MiB",
                        decoders[format].name, (unsigned long long)(limit >> 20));
        if (r < 0)
                return error_set(e, r, 0, "unpacking the kernel's %s payload: %s",
                        decoders[format].name, strerrordesc_np(-r));
        return 0;
}
