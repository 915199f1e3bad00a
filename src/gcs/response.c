// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <strings.h>
#include "gcs/field.h"
#include "gcs/proto.h"
#include "wire/hresult.h"

/* Guest: structs to bytes. */

static int encode_negotiate(const struct gcs_response *p, struct json *o) {
        struct json *version = json_new_object(), *versions = json_new_array();
        int r = json_set_u64(version, "Major", 2);
        r |= json_set_u64(version, "Minor", 1);
        r |= json_add(versions, version);
        struct json *defined = json_new_object();
        r |= json_set_bool(defined, "SignalProcessSupported", true);
        struct json *capabilities = json_new_object();
        r |= json_set_bool(capabilities, "SendHostCreateMessage", p->negotiate.send_create);
        r |= json_set_bool(capabilities, "SendHostStartMessage", p->negotiate.send_start);
        r |= json_set(capabilities, "SupportedSchemaVersions", versions);
        r |= json_set_string(
                capabilities, "RuntimeOsType", p->negotiate.linux_guest ? "linux" : "windows");
        r |= json_set(capabilities, "GuestDefinedCapabilities", defined);
        r |= json_set_u64(o, "Version", p->negotiate.version);
        return r | json_set(o, "Capabilities", capabilities);
}

static int encode_call(const struct gcs_response *p, struct json *o) {
        switch (p->call) {
        case GCS_NEGOTIATE:
                return encode_negotiate(p, o);
        case GCS_EXECUTE_PROCESS:
                return json_set_u64(o, "ProcessId", p->pid);
        case GCS_WAIT_FOR_PROCESS:
                return json_set_u64(o, "ExitCode", p->exit_code);
        default: /* nothing besides the base */
                return 0;
        }
}

int gcs_response_encode(const struct gcs_response *response, char **ret, size_t *ret_size) {
        _cleanup_(json_unrefp) struct json *o = json_new_object();
        int r = json_set_i64(o, "Result", (int32_t)response->hresult);
        r |= json_set_string(
                o, "ActivityId", *response->activity ? response->activity : GCS_NULL_ID);
        if (response->hresult)
                r |= json_set_string(o, "ErrorMessage", response->text);
        else
                r |= encode_call(response, o);
        return r < 0 ? -ENOMEM : json_format(o, ret, ret_size);
}

/* Host: what a guest sent. */

/* The text ends in logs and on terminals: what could steer a terminal becomes a space, and a
 * character that does not fit whole is left out. */
static void copy_text(const char *text, size_t n, char *ret, size_t max) {
        if (n >= max) {
                n = max - 1;
                while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
                        n--;
        }
        for (size_t i = 0; i < n; i++) {
                uint8_t c = (uint8_t)text[i];
                bool c1 = c == 0xc2 && i + 1 < n && (uint8_t)text[i + 1] < 0xa0;
                ret[i] = c < 0x20 || c == 0x7f || c1 ? ' ' : text[i];
                if (c1)
                        ret[++i] = ' ';
        }
        ret[n] = 0;
}

static int decode_text(const struct json *o, struct gcs_response *p, struct error *e) {
        const struct json *value = json_get(o, "ErrorMessage");
        if (json_is_null(value))
                return 0;
        const char *text;
        size_t n;
        if (json_string(value, &text, &n) < 0)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON, "ErrorMessage is not a string");
        copy_text(text, n, p->text, sizeof p->text);
        return 0;
}

static int decode_negotiate(const struct json *o, struct gcs_response *p, struct error *e) {
        struct json *capabilities = NULL;
        const char *os = "windows"; /* what hcsshim takes a silent guest for */
        int r = gcs_field_u32(o, "Version", &p->negotiate.version, e);
        if (r == 0)
                r = gcs_field_container(o, "Capabilities", JSON_OBJECT, &capabilities, e);
        if (r == 0)
                r = gcs_field_bool(
                        capabilities, "SendHostCreateMessage", &p->negotiate.send_create, e);
        if (r == 0)
                r = gcs_field_bool(
                        capabilities, "SendHostStartMessage", &p->negotiate.send_start, e);
        if (r == 0)
                r = gcs_field_string(capabilities, "RuntimeOsType", &os, e);
        p->negotiate.linux_guest = strcasecmp(os, "linux") == 0;
        return r;
}

static int decode_call(const struct json *o, struct gcs_response *p, struct error *e) {
        switch (p->call) {
        case GCS_NEGOTIATE:
                return decode_negotiate(o, p, e);
        case GCS_EXECUTE_PROCESS: {
                int r = gcs_field_u32(o, "ProcessId", &p->pid, e);
                if (r == 0 && p->pid == 0)
                        return error_set(e, -EBADMSG, HCS_E_PROTOCOL_ERROR,
                                "a process was started and ProcessId is missing or 0");
                return r;
        }
        case GCS_WAIT_FOR_PROCESS:
                return gcs_field_u32(o, "ExitCode", &p->exit_code, e);
        default:
                return 0;
        }
}

/* The tree of one message of the guest: an object. */
static int parse_object(const char *body, size_t size, struct json **ret, struct error *e) {
        _cleanup_(json_unrefp) struct json *tree = NULL;
        int r = json_parse(body, size, &json_limits_guest, e, &tree);
        if (r < 0)
                return r;
        if (json_type(tree) != JSON_OBJECT)
                return error_set(e, -EBADMSG, HCS_E_INVALID_JSON, "the message is not an object");
        *ret = TAKE_PTR(tree);
        return 0;
}

int gcs_response_decode(
        uint32_t call, const char *body, size_t size, struct gcs_response *ret, struct error *e) {
        _cleanup_(json_unrefp) struct json *tree = NULL;
        struct gcs_response p = {.call = call};
        int r = parse_object(body, size, &tree, e);
        if (r == 0)
                r = gcs_field_hresult(tree, "Result", &p.hresult, e);
        if (r == 0)
                r = decode_text(tree, &p, e);
        if (r == 0)
                r = gcs_field_copy(tree, "ActivityId", p.activity, sizeof p.activity, e);
        if (r == 0 && p.hresult == 0)
                r = decode_call(tree, &p, e);
        if (r == 0)
                *ret = p;
        return r;
}

int gcs_notification_check(uint32_t type, const char *body, size_t size, struct error *e) {
        if (type != (GCS_NOTIFICATION | GCS_CONTAINER_EVENT))
                return error_set(e, -EBADMSG, HCS_E_PROTOCOL_ERROR,
                        "a notification of unknown type 0x%08x", type);
        _cleanup_(json_unrefp) struct json *tree = NULL;
        return parse_object(body, size, &tree, e);
}
