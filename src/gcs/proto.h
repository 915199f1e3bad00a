// SPDX-License-Identifier: MIT
/* The messages of the bridge: JSON bodies ↔ host structs, both ways, for both ends. Pure: no
 * descriptor, no state. The host decodes what a hostile guest sends within json_limits_guest.
 *
 * Specification: docs/protocols/gcs.md, after hcsshim's internal/gcs/prot. Unknown members are
 * ignored, as there; a known member of a wrong type is refused. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "json/json.h"
#include "wire/gcs.h"

enum {
        GCS_ARGS_MAX = 1024,
        GCS_ENV_MAX = 1024,
        GCS_CONTAINER_MAX = 128, /* bytes with NUL */
};

/* Settings of GCS_EXECUTE_PROCESS. argv, or else command_line; both may be NULL in a message that
 * names neither. Ports are 0 where the stream is not wanted. */
struct gcs_execute {
        const char *const *argv;  /* NULL-terminated; NULL for none */
        const char *command_line; /* NULL for none */
        const char *const *env;   /* "NAME=VALUE", NULL-terminated; NULL for none */
        const char *cwd;          /* "" for the agent's default */
        const char *user;         /* "" for root */
        bool console;
        uint16_t rows, columns; /* 0 for the agent's default */
        uint32_t ports[3];
};

struct gcs_request {
        uint32_t call;
        char container[GCS_CONTAINER_MAX];
        char activity[GCS_CONTAINER_MAX];
        union {
                struct {
                        uint32_t min, max;
                } negotiate;
                struct gcs_execute execute;
                struct {
                        uint32_t pid, timeout_ms;
                } wait;
                struct {
                        uint32_t pid;
                        int32_t signal;
                } signal;
                struct {
                        uint32_t pid;
                        uint16_t rows, columns;
                } console;
        };
        /* What a decoded request's strings live in. */
        struct json *tree, *parameters;
        const char **argv_list;
        char **env_list;
};

/* The body, NUL behind; free() it. An empty container or activity is sent as GCS_NULL_ID. -EINVAL
 * for an environment string without a name, -E2BIG past GCS_FROM_HOST_MAX. */
_warn_unused_ int gcs_request_encode(
        const struct gcs_request *request, char **ret, size_t *ret_size, struct error *e);
/* Of a call that has no member in the union only container and activity are read. Free what the
 * request holds with gcs_request_done(). -EBADMSG with HCS_E_INVALID_JSON, -E2BIG past a limit. */
_warn_unused_ int gcs_request_decode(
        uint32_t call, const char *body, size_t size, struct gcs_request *ret, struct error *e);
void gcs_request_done(struct gcs_request *request);

struct gcs_response {
        uint32_t call;
        uint32_t hresult;
        char text[ERROR_TEXT_MAX]; /* of a failure; decoded: without control characters */
        char activity[GCS_CONTAINER_MAX];
        union {
                struct {
                        uint32_t version;
                        bool linux_guest;
                        bool send_create, send_start;
                } negotiate;
                uint32_t pid;       /* GCS_EXECUTE_PROCESS */
                uint32_t exit_code; /* GCS_WAIT_FOR_PROCESS */
        };
};

_warn_unused_ int gcs_response_encode(
        const struct gcs_response *response, char **ret, size_t *ret_size);
/* -EBADMSG with HCS_E_PROTOCOL_ERROR or HCS_E_INVALID_JSON. A failure (hresult not 0) carries none
 * of the union's members. */
_warn_unused_ int gcs_response_decode(
        uint32_t call, const char *body, size_t size, struct gcs_response *ret, struct error *e);

/* A notification that a container ended: checked, and of no further meaning here, as there are no
 * containers besides the machine. */
_warn_unused_ int gcs_notification_check(
        uint32_t type, const char *body, size_t size, struct error *e);
