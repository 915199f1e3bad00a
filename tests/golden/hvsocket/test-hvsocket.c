// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include "base/fd.h"
#include "hvsocket/hvsocket.h"
#include "hvsocket/proto.h"
#include "../../unit/test.h"

static void assert_golden(const char *name, const void *bytes, size_t size) {
        char path[4096];
        _cleanup_free_ char *golden = NULL;
        size_t golden_size;
        snprintf(path, sizeof path, "%s/tests/golden/hvsocket/%s", getenv("SANDBAR_SOURCE_ROOT"),
                name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        assert_ok(fd_read_file(fd, 4096, &golden, &golden_size));
        ck_assert_msg(golden_size == size, "%s: %zu bytes, ours %zu", name, golden_size, size);
        ck_assert_mem_eq(golden, bytes, size);
}

START_TEST(packets) {
        struct {
                struct pipe_header header;
                char text[5];
        } data = {hvsocket_header(5), {'h', 'e', 'l', 'l', 'o'}};
        const struct pipe_header fin = hvsocket_header(0);
        assert_golden("packet-data.bin", &data, sizeof data);
        assert_golden("packet-fin.bin", &fin, sizeof fin);
}
END_TEST

START_TEST(offers) {
        uint8_t user_defined[VMBUS_USER_DATA_SIZE];
        hvsocket_user_defined(false, user_defined);
        assert_golden("offer-guest-dials.bin", user_defined, sizeof user_defined);
        hvsocket_user_defined(true, user_defined);
        assert_golden("offer-host-dials.bin", user_defined, sizeof user_defined);
}
END_TEST

START_TEST(services) {
        const struct guid service = hvsocket_service_of_port(0x40000000);
        assert_golden("service-port-0x40000000.bin", &service, sizeof service);
}
END_TEST

TEST_MAIN("golden/hvsocket", packets, offers, services)
