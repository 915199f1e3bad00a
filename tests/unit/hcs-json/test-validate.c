// SPDX-License-Identifier: MIT
#include "hcs-test.h"
#include "hcs-json/check.h"
#include "wire/hresult.h"

#define BAD HCS_E_INVALID_JSON

START_TEST(the_tables_hold_the_whole_schema) {
        ck_assert_uint_eq(hcs_schema_hcs.n_types, 344);
        ck_assert_uint_eq(hcs_schema_hcn.n_types, 198);
        ck_assert_uint_eq(hcs_schema_hcs.n_resources, 25);
        for (size_t i = 0; i < hcs_schema_hcs.n_types; i++) {
                const struct hcs_type *type = &hcs_schema_hcs.types[i];
                ck_assert_ptr_eq(hcs_schema_find(&hcs_schema_hcs, type->name), type);
                for (size_t k = 0; !type->is_enum && k < type->n; k++) {
                        const struct hcs_field *f = &type->fields[k];
                        ck_assert_int_eq(
                                f->type != NULL, f->kind == HCS_OBJECT || f->kind == HCS_ENUM);
                        ck_assert(f->kind != HCS_ENUM || f->type->is_enum);
                        ck_assert_uint_le(f->since, HCS_SCHEMA_MINOR_MAX);
                }
        }
        ck_assert_ptr_null(hcs_schema_find(&hcs_schema_hcs, "Nope"));
        ck_assert_ptr_null(hcs_schema_find(&hcs_schema_hcs, ""));
        ck_assert_ptr_null(hcs_schema_find(&hcs_schema_hcs, "zzz"));
}
END_TEST

START_TEST(integers_keep_to_their_width) {
        passes(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':[0,65535]}");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':[0,65536]}", BAD,
                "$.ConsoleSize[1]");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':[0,-1]}", BAD, "$.ConsoleSize[1]");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':[1.0,1]}", BAD,
                "$.ConsoleSize[0]");
        passes(HCS_DOC_SIGNAL, "{'Signal':-2147483648}");
        fails(HCS_DOC_SIGNAL, "{'Signal':-2147483649}", BAD, "$.Signal");
        fails(HCS_DOC_SIGNAL, "{'Signal':2147483648}", BAD, "$.Signal");
        passes(HCS_DOC_CREATE, VM("'StorageQoS':{'IopsMaximum':18446744073709551615}"));
        fails(HCS_DOC_CREATE, VM("'StorageQoS':{'IopsMaximum':18446744073709551616}"), BAD,
                "$.VirtualMachine.StorageQoS.IopsMaximum");
}
END_TEST

START_TEST(types_are_not_converted) {
        fails(HCS_DOC_CREATE, VM("'StopOnReset':1"), BAD, "$.VirtualMachine.StopOnReset");
        fails(HCS_DOC_CREATE, VM("'StopOnReset':'true'"), BAD, "$.VirtualMachine.StopOnReset");
        fails(HCS_DOC_CREATE, VM("'Devices':[]"), BAD, "$.VirtualMachine.Devices");
        fails(HCS_DOC_CREATE, DEVICE("'Scsi':[]"), BAD, "$.VirtualMachine.Devices.Scsi");
        fails(HCS_DOC_CREATE, "{'Owner':5}", BAD, "$.Owner");
        fails(HCS_DOC_CREATE, "[]", BAD, "$");
        fails(HCS_DOC_CREATE, "null", BAD, "$");
        fails(HCS_DOC_PROCESS, "{'CommandArgs':'sh'}", BAD, "$.CommandArgs");
        fails(HCS_DOC_PROCESS, "{'CommandArgs':['sh',null]}", BAD, "$.CommandArgs[1]");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':[1]}", BAD, "$.ConsoleSize");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','Environment':{'A':1}}", BAD, "$.Environment.A");
}
END_TEST

START_TEST(null_is_as_absent) {
        passes(HCS_DOC_PROCESS, "{'CommandLine':'a','ConsoleSize':null,'User':null}");
        fails(HCS_DOC_PROCESS, "{'CommandLine':null}", E_INVALIDARG, "$");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','Nope':null}", BAD, "$.Nope");
}
END_TEST

START_TEST(enums_are_strings_that_heed_case) {
        passes(HCS_DOC_CRASH, "{'Type':'CrashGuest'}");
        fails(HCS_DOC_CRASH, "{'Type':'crashguest'}", BAD, "$.Type");
        fails(HCS_DOC_CRASH, "{'Type':''}", BAD, "$.Type");
        fails(HCS_DOC_CRASH, "{'Type':0}", BAD, "$.Type");
        fails(HCS_DOC_SYSTEM_QUERY, "{'PropertyTypes':['Memory','memory']}", BAD,
                "$.PropertyTypes[1]");
        /* HCN clients send numbers as well. */
        passes(HCS_DOC_HCN_NETWORK, "{'Flags':8,'Type':'NAT'}");
        passes(HCS_DOC_HCN_NETWORK, "{'Flags':'EnableDnsProxy'}");
        fails(HCS_DOC_HCN_NETWORK, "{'Flags':-8}", HCN_E_INVALID_JSON, "$.Flags");
        fails(HCS_DOC_HCN_NETWORK, "{'Flags':'Nope'}", HCN_E_INVALID_JSON, "$.Flags");
}
END_TEST

START_TEST(refusals_name_what_is_accepted) {
        _cleanup_(json_unrefp) struct json *doc = json_of("{'SaveType':'ToRam'}");
        struct error e = {0};
        assert_error(hcs_document_check(HCS_DOC_SAVE, doc, 0, &e), -EBADMSG);
        ck_assert_str_eq(
                e.text, "$.SaveType: not a value of SaveType; accepted: ToFile, AsTemplate");
        _cleanup_(json_unrefp) struct json *other = json_of("{'owner':'x'}");
        struct error f = {0};
        assert_error(hcs_document_check(HCS_DOC_CREATE, other, 0, &f), -EBADMSG);
        ck_assert_str_eq(
                f.text, "$.owner: ComputeSystem has no such member; names heed case: Owner");
}
END_TEST

START_TEST(unknown_members_pass_only_when_allowed) {
        _cleanup_(json_unrefp) struct json *doc = json_of("{'CommandLine':'a','Nope':1}");
        struct error e = {0};
        assert_error(hcs_document_check(HCS_DOC_PROCESS, doc, 0, &e), -EBADMSG);
        struct error f = {0};
        assert_ok(hcs_document_check(HCS_DOC_PROCESS, doc, HCS_ALLOW_UNKNOWN, &f));
}
END_TEST

START_TEST(strings_of_a_form_are_checked) {
#define NIC(member) DEVICE("'NetworkAdapters':{'a':{" member "}}")
#define AT          "$.VirtualMachine.Devices.NetworkAdapters.a."
        passes(HCS_DOC_CREATE, NIC("'EndpointId':'B9C1a2f0-5b1f-4a53-9a0d-2c6f0f6a1b01'"));
        fails(HCS_DOC_CREATE, NIC("'EndpointId':'{b9c1a2f0-5b1f-4a53-9a0d-2c6f0f6a1b01}'"), BAD,
                AT "EndpointId");
        fails(HCS_DOC_CREATE, NIC("'EndpointId':''"), BAD, AT "EndpointId");
        passes(HCS_DOC_CREATE, NIC("'MacAddress':'00-15-5D-aa-bb-cc'"));
        fails(HCS_DOC_CREATE, NIC("'MacAddress':'00-15-5D-aa-bb'"), BAD, AT "MacAddress");
        fails(HCS_DOC_CREATE, NIC("'MacAddress':'00-15:5D-aa-bb-cc'"), BAD, AT "MacAddress");
#undef AT
#undef NIC
#define BLOB(v) VM("'RegistryChanges':{'AddValues':[{'Type':'Binary','BinaryValue':'" v "'}]}")
        static const char at[] = "$.VirtualMachine.RegistryChanges.AddValues[0].BinaryValue";
        passes(HCS_DOC_CREATE, BLOB("AAECAw=="));
        passes(HCS_DOC_CREATE, BLOB(""));
        fails(HCS_DOC_CREATE, BLOB("AAECAw="), BAD, at);
        fails(HCS_DOC_CREATE, BLOB("A==="), BAD, at);
        fails(HCS_DOC_CREATE, BLOB("AA-_"), BAD, at);
#undef BLOB
}
END_TEST

START_TEST(map_keys_are_typed) {
        fails(HCS_DOC_CREATE, DEVICE("'ComPorts':{'x':{}}"), BAD,
                "$.VirtualMachine.Devices.ComPorts.x");
        fails(HCS_DOC_CREATE, DEVICE("'ComPorts':{'':{}}"), BAD,
                "$.VirtualMachine.Devices.ComPorts.");
        fails(HCS_DOC_CREATE, DEVICE("'ComPorts':{'01':{}}"), BAD,
                "$.VirtualMachine.Devices.ComPorts.01");
        fails(HCS_DOC_CREATE, DEVICE("'ComPorts':{'4294967296':{}}"), BAD,
                "$.VirtualMachine.Devices.ComPorts.4294967296");
        fails(HCS_DOC_CREATE, DEVICE("'VirtualPMem':{'Devices':{'256':{}}}"), BAD,
                "$.VirtualMachine.Devices.VirtualPMem.Devices.256");
        fails(HCS_DOC_CREATE, DEVICE("'HvSocket':{'HvSocketConfig':{'ServiceTable':{'x':{}}}}"),
                BAD, "$.VirtualMachine.Devices.HvSocket.HvSocketConfig.ServiceTable.x");
}
END_TEST

START_TEST(a_nul_in_a_string_is_refused_everywhere) {
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a\\u0000b'}", E_INVALIDARG, "$.CommandLine");
        fails(HCS_DOC_PROCESS, "{'CommandArgs':['a','\\u0000']}", E_INVALIDARG, "$.CommandArgs[1]");
}
END_TEST

TEST_MAIN("hcs-validate", the_tables_hold_the_whole_schema, integers_keep_to_their_width,
        types_are_not_converted, null_is_as_absent, enums_are_strings_that_heed_case,
        refusals_name_what_is_accepted, unknown_members_pass_only_when_allowed,
        strings_of_a_form_are_checked, map_keys_are_typed, a_nul_in_a_string_is_refused_everywhere)
