// SPDX-License-Identifier: MIT
/* Settings to the HCS v2 document that makes such a machine. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "wsb/wsb.h"

static int note_one(
        const struct wsb_settings *settings, enum wsb_setting s, struct wsb_notes *notes) {
        char path[64];
        snprintf(path, sizeof path, "/Configuration/%s", wsb_setting_name(s));
        struct wsb_note where = {.line = settings->places[s].line,
                .column = settings->places[s].column,
                .path = path};
        return wsb_notes_add(
                notes, &where, "%s is not available in this version", wsb_setting_name(s));
}

int wsb_note_unavailable(const struct wsb_settings *settings, struct wsb_notes *notes) {
        char implied[256] = "";
        for (enum wsb_setting s = 0; s < WSB_SWITCHES_; s++) {
                if (!wsb_is_enabled(settings, s))
                        continue;
                if (settings->places[s].line) {
                        int r = note_one(settings, s, notes);
                        if (r < 0)
                                return r;
                        continue;
                }
                size_t used = strlen(implied);
                snprintf(implied + used, sizeof implied - used, "%s%s", used ? ", " : "",
                        wsb_setting_name(s));
        }
        if (settings->n_folders > 0) {
                int r = note_one(settings, WSB_MAPPED_FOLDERS, notes);
                if (r < 0)
                        return r;
        }
        return implied[0] ? wsb_notes_add(notes, NULL,
                                    "on by default, not available in this version: %s", implied)
                          : 0;
}

/* Each builder returns NULL when memory is short, which json_set() of the outer one passes on. */
static struct json *kernel_direct(const struct wsb_machine *machine) {
        struct json *o = json_new_object();
        if (json_set_string(o, "KernelFilePath", machine->kernel) < 0 ||
                (machine->initrd && json_set_string(o, "InitRdPath", machine->initrd) < 0) ||
                (machine->cmdline && json_set_string(o, "KernelCmdLine", machine->cmdline) < 0))
                return json_unref(o);
        return o;
}

static struct json *wrap(const char *name, struct json *value_consume) {
        struct json *o = json_new_object();
        return json_set(o, name, value_consume) < 0 ? json_unref(o) : o;
}

static struct json *number(const char *name, uint64_t v) {
        return wrap(name, json_new_u64(v));
}

static struct json *virtual_machine(
        const struct wsb_settings *settings, const struct wsb_machine *machine) {
        uint32_t mib = settings->memory_mib ? settings->memory_mib : machine->memory_mib;
        struct json *topology = wrap("Memory", number("SizeInMB", mib & ~1u));
        struct json *vm = json_new_object();
        if (json_set_bool(vm, "StopOnReset", false) < 0 ||
                json_set(vm, "Chipset", wrap("LinuxKernelDirect", kernel_direct(machine))) < 0)
                vm = json_unref(vm);
        if (json_set(topology, "Processor", number("Count", machine->vps)) < 0)
                topology = json_unref(topology);
        /* No services but the agent's, which GuestConnection brings. */
        struct json *devices =
                wrap("HvSocket", wrap("HvSocketConfig", wrap("ServiceTable", json_new_object())));
        int r1 = json_set(vm, "ComputeTopology", topology);
        int r2 = json_set(vm, "Devices", devices);
        int r3 = json_set(vm, "GuestConnection", json_new_object());
        return r1 < 0 || r2 < 0 || r3 < 0 ? json_unref(vm) : vm;
}

int wsb_to_hcs(const struct wsb_settings *settings, const struct wsb_machine *machine,
        struct wsb_notes *notes, struct json **ret) {
        int r = wsb_note_unavailable(settings, notes);
        if (r < 0)
                return r;
        _cleanup_(json_unrefp) struct json *doc = json_new_object();
        struct json *version = number("Major", 2);
        if (json_set_u64(version, "Minor", 1) < 0)
                version = json_unref(version);
        r = json_set_string(doc, "Owner", machine->owner ? machine->owner : "sandboxctl");
        if (r == 0)
                r = json_set(doc, "SchemaVersion", TAKE_PTR(version));
        if (r == 0)
                r = json_set_bool(doc, "ShouldTerminateOnLastHandleClosed", true);
        if (r == 0)
                r = json_set(doc, "VirtualMachine", virtual_machine(settings, machine));
        json_unref(version);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(doc);
        return 0;
}
