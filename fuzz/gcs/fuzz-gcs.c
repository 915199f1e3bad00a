// SPDX-License-Identifier: MIT
// covers: src/gcs/response.c
/* What a guest may say: the input's first byte picks the call, the rest is the body. What the
 * decoder takes, the encoder can say again, and the decoder reads that as the same. */
#include <assert.h>
#include <string.h>
#include "gcs/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t calls[] = {
        GCS_NEGOTIATE, GCS_EXECUTE_PROCESS, GCS_WAIT_FOR_PROCESS, GCS_SIGNAL_PROCESS, 0};

static void say_again(const struct gcs_response *p) {
        struct error e = {0};
        struct gcs_response again;
        char *body;
        size_t size;
        if (gcs_response_encode(p, &body, &size) < 0)
                return;
        int r = gcs_response_decode(p->call, body, size, &again, &e);
        free(body);
        assert(r == 0);
        assert(again.hresult == p->hresult);
        if (p->hresult)
                assert(strcmp(again.text, p->text) == 0);
        else if (p->call == GCS_EXECUTE_PROCESS || p->call == GCS_WAIT_FOR_PROCESS)
                assert(again.pid == p->pid);
        else if (p->call == GCS_NEGOTIATE)
                assert(again.negotiate.version == p->negotiate.version &&
                        again.negotiate.linux_guest == p->negotiate.linux_guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        struct error e = {0};
        const char *body = (const char *)data + 1;
        uint32_t call = calls[data[0] % (sizeof calls / sizeof *calls)];
        if (!call) {
                int r = gcs_notification_check(
                        GCS_NOTIFICATION | GCS_CONTAINER_EVENT, body, size - 1, &e);
                assert((r == 0) == (e.hresult == 0));
                assert(gcs_notification_check(GCS_NOTIFICATION, body, size - 1, &e) < 0);
                return 0;
        }
        struct gcs_response p;
        int r = gcs_response_decode(call, body, size - 1, &p, &e);
        assert((r == 0) == (e.hresult == 0));
        if (r < 0)
                return 0;
        for (const char *c = p.text; *c; c++)
                assert((uint8_t)*c >= 0x20 && *c != 0x7f);
        say_again(&p);
        return 0;
}
