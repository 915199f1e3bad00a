// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "hcs-test.h"
#include "base/fault.h"
#include "wire/hresult.h"

struct decoded {
        int result;
        struct error error;
        struct hcs_system *system;
        struct json *warnings;
};

static struct decoded decode(const char *text) {
        _cleanup_(json_unrefp) struct json *doc = json_of(text);
        struct decoded d = {0};
        int r = hcs_document_check(HCS_DOC_CREATE, doc, 0, &d.error);
        ck_assert_msg(r == 0, "%s: %s", text, d.error.text);
        d.result = hcs_system_decode(doc, &d.error, &d.system, &d.warnings);
        ck_assert_int_eq(d.result == 0, d.system && d.warnings);
        return d;
}

static void decoded_done(struct decoded *d) {
        hcs_system_free(d->system);
        json_unref(d->warnings);
}

static void refuses(const char *text, uint32_t hresult, const char *path) {
        struct decoded d = decode(text);
        ck_assert_int_lt(d.result, 0);
        ck_assert_uint_eq(d.error.hresult, hresult);
        ck_assert_msg(strncmp(d.error.text, path, strlen(path)) == 0, "%s", d.error.text);
        decoded_done(&d);
}

START_TEST(decodes_what_acts) {
        struct decoded d = decode(
                "{'Owner':'me','SchemaVersion':{'Major':2,'Minor':3},"
                "'ShouldTerminateOnLastHandleClosed':true,'VirtualMachine':{'StopOnReset':true,"
                "'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'/k','InitRdPath':'/i',"
                "'KernelCmdLine':'quiet'}},'ComputeTopology':{'Memory':{'SizeInMB':512},"
                "'Processor':{'Count':4}},'Devices':{'ComPorts':{'0':{'NamedPipe':'/run/c'},"
                "'1':{'NamedPipe':''}}},'GuestConnection':{'UseVsock':true}}}");
        assert_ok(d.result);
        const struct hcs_system *s = d.system;
        ck_assert_str_eq(s->owner, "me");
        ck_assert_uint_eq(s->schema_minor, 3);
        ck_assert(s->terminate_on_last_handle_closed && s->stop_on_reset && s->guest_connection);
        ck_assert_str_eq(s->kernel, "/k");
        ck_assert_str_eq(s->initrd, "/i");
        ck_assert_str_eq(s->cmdline, "quiet");
        ck_assert_uint_eq(s->memory_mib, 512);
        ck_assert_uint_eq(s->processors, 4);
        ck_assert(s->com_ports[0].present && s->com_ports[1].present);
        ck_assert_str_eq(s->com_ports[0].pipe, "/run/c");
        ck_assert_ptr_null(s->com_ports[1].pipe);
        ck_assert_uint_eq(json_length(d.warnings), 0);
        decoded_done(&d);
}
END_TEST

START_TEST(absent_members_have_their_defaults) {
        struct decoded d = decode(VM(BOOT));
        assert_ok(d.result);
        const struct hcs_system *s = d.system;
        ck_assert_str_eq(s->owner, "");
        ck_assert_str_eq(s->cmdline, "");
        ck_assert_ptr_null(s->initrd);
        ck_assert(!s->terminate_on_last_handle_closed && !s->stop_on_reset && !s->guest_connection);
        ck_assert_uint_eq(s->processors, 0);
        ck_assert(s->default_bind && s->default_connect);
        ck_assert(!s->com_ports[0].present && !s->com_ports[1].present);
        decoded_done(&d);
}
END_TEST

START_TEST(service_rows_say_who_may_bind_and_connect) {
#define ROW(n) "'0000000" #n "-facb-11e6-bd58-64006a7986d3'"
        struct decoded d = decode(
                VM(BOOT ",'Devices':{'HvSocket':{'HvSocketConfig':{"
                        "'DefaultBindSecurityDescriptor':'D:P(D;;FA;;;WD)','ServiceTable':{" ROW(
                                1) ":{'BindSecurityDescriptor':'D:P(A;;FA;;;SY)',"
                                   "'ConnectSecurityDescriptor':'D:P(D;;FA;;;WD)'}," ROW(
                                           2) ":{}," ROW(3) ":{'Disabled':true}}}}}"));
        assert_ok(d.result);
        const struct hcs_system *s = d.system;
        ck_assert(!s->default_bind && s->default_connect);
        ck_assert_uint_eq(s->n_services, 3);
        ck_assert_uint_eq(guid_data1(&s->services[0].id), 1);
        ck_assert(s->services[0].allow_bind && !s->services[0].allow_connect);
        ck_assert(!s->services[1].allow_bind && s->services[1].allow_connect);
        ck_assert(!s->services[2].allow_bind && !s->services[2].allow_connect);
        decoded_done(&d);
#undef ROW
}
END_TEST

START_TEST(takes_64_services_and_no_more) {
        for (unsigned n = HCS_SERVICES_MAX; n <= HCS_SERVICES_MAX + 1; n++) {
                char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);
                fputs("{'SchemaVersion':{'Major':2},'VirtualMachine':{" BOOT
                      ",'Devices':{'HvSocket':{'HvSocketConfig':{'ServiceTable':{",
                        f);
                for (unsigned i = 0; i < n; i++)
                        fprintf(f, "%s'%08x-facb-11e6-bd58-64006a7986d3':{}", i ? "," : "", i);
                fputs("}}}}}}", f);
                fclose(f);
                struct decoded d = decode(text);
                ck_assert_int_eq(d.result, n > HCS_SERVICES_MAX ? -EINVAL : 0);
                decoded_done(&d);
                free(text);
        }
}
END_TEST

START_TEST(refuses_two_rows_of_one_service) {
        struct decoded d =
                decode(VM(BOOT ",'Devices':{'HvSocket':{'HvSocketConfig':{'ServiceTable':{"
                               "'0000000a-facb-11e6-bd58-64006a7986d3':{},"
                               "'0000000A-facb-11e6-bd58-64006a7986d3':{'Disabled':true}}}}}"));
        assert_error(d.result, -EINVAL);
        ck_assert_uint_eq(d.error.hresult, E_INVALIDARG);
        ck_assert_ptr_nonnull(strstr(d.error.text, "ServiceTable.0000000A-facb-"));
        decoded_done(&d);
}
END_TEST

START_TEST(lists_every_member_without_effect) {
        struct decoded d = decode(VM(
                BOOT ",'StorageQoS':{'IopsMaximum':1},'Services':null,'GuestConnection':"
                     "{'UseHostTimeZone':true},'Devices':{'Scsi':{'a':{}},'Keyboard':{},"
                     "'ComPorts':{'0':{'OptimizeForDebugger':true}},'HvSocket':{'HvSocketConfig':"
                     "{'ServiceTable':{'00000001-facb-11e6-bd58-64006a7986d3':"
                     "{'AllowWildcardBinds':true}}}}}"));
        assert_ok(d.result);
        static const char *const expected[] = {"$.VirtualMachine.StorageQoS",
                "$.VirtualMachine.GuestConnection.UseHostTimeZone", "$.VirtualMachine.Devices.Scsi",
                "$.VirtualMachine.Devices.Keyboard",
                "$.VirtualMachine.Devices.ComPorts.0.OptimizeForDebugger",
                ("$.VirtualMachine.Devices.HvSocket.HvSocketConfig.ServiceTable."
                 "00000001-facb-11e6-bd58-64006a7986d3.AllowWildcardBinds")};
        ck_assert_uint_eq(json_length(d.warnings), ARRAY_SIZE(expected));
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                const char *text;
                size_t n;
                char whole[256];
                assert_ok(json_string(json_at(d.warnings, i), &text, &n));
                snprintf(whole, sizeof whole, "%s has no effect in this version", expected[i]);
                ck_assert_str_eq(text, whole);
        }
        decoded_done(&d);
}
END_TEST

START_TEST(refuses_to_make_another_machine) {
        refuses("{'SchemaVersion':{'Major':2},'Container':{}}", HR_NOT_SUPPORTED, "$.Container:");
        refuses("{'SchemaVersion':{'Major':2},'HostedSystem':{},'HostingSystemId':'x'}",
                HR_NOT_SUPPORTED, "$.HostedSystem:");
        refuses(VM("'Chipset':{'Uefi':{}}"), HR_NOT_SUPPORTED, "$.VirtualMachine.Chipset.Uefi:");
        refuses(VM(BOOT ",'RestoreState':{'TemplateSystemId':'t'}"), HR_NOT_SUPPORTED,
                "$.VirtualMachine.RestoreState:");
        refuses(VM(BOOT ",'Devices':{'ComPorts':{'0':{'NamedPipe':'\\\\\\\\.\\\\pipe\\\\a'}}}"),
                HR_NOT_SUPPORTED, "$.VirtualMachine.Devices.ComPorts.0.NamedPipe:");
        refuses(VM("'ComputeTopology':{'Memory':{'SizeInMB':2}}"), E_INVALIDARG,
                "$.VirtualMachine.Chipset.LinuxKernelDirect:");
        refuses(VM("'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'/k'}}"), E_INVALIDARG,
                "$.VirtualMachine.ComputeTopology.Memory.SizeInMB:");
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        _cleanup_(json_unrefp) struct json *doc = json_of(
                VM("'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'/k','InitRdPath':'/i'}},"
                   "'ComputeTopology':{'Memory':{'SizeInMB':2}},'Devices':{'Keyboard':{},"
                   "'ComPorts':{'0':{'NamedPipe':'/c'}},'HvSocket':{'HvSocketConfig':"
                   "{'ServiceTable':{'00000001-facb-11e6-bd58-64006a7986d3':{}}}}}"));
        unsigned n = 1;
        for (;; n++) {
                struct decoded d = {0};
                fault_arm(FAULT_ALLOC, n);
                d.result = hcs_system_decode(doc, &d.error, &d.system, &d.warnings);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                decoded_done(&d);
                if (!fired)
                        break;
                assert_error(d.result, -ENOMEM);
                ck_assert_uint_eq(d.error.hresult, HR_OUTOFMEMORY);
        }
        ck_assert_uint_gt(n, 7);
}
END_TEST

TEST_MAIN("hcs-system", decodes_what_acts, absent_members_have_their_defaults,
        service_rows_say_who_may_bind_and_connect, takes_64_services_and_no_more,
        refuses_two_rows_of_one_service, lists_every_member_without_effect,
        refuses_to_make_another_machine, sweep_frees_everything_when_memory_is_short)
