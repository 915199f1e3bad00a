// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "hcs-test.h"
#include "wire/hresult.h"

START_TEST(a_document_is_one_kind_of_system) {
        passes(HCS_DOC_CREATE, VM(BOOT));
        fails(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':2,'Minor':1}}", E_INVALIDARG, "$");
        fails(HCS_DOC_CREATE,
                "{'SchemaVersion':{'Major':2},'Container':{},'HostedSystem':{},'HostingSystemId':'"
                "a'}",
                E_INVALIDARG, "$");
        passes(HCS_DOC_CREATE,
                "{'SchemaVersion':{'Major':2},'HostedSystem':{'any':[1]},'HostingSystemId':'a'}");
        fails(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':2},'Container':{},'HostingSystemId':'a'}",
                E_INVALIDARG, "$.HostingSystemId");
}
END_TEST

START_TEST(schema_versions_go_from_2_0_to_2_7) {
        passes(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':2},'Container':{}}");
        passes(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':2,'Minor':7},'Container':{}}");
        fails(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':2,'Minor':8},'Container':{}}",
                HCS_E_INVALID_JSON, "$.SchemaVersion.Minor");
        fails(HCS_DOC_CREATE, "{'SchemaVersion':{'Major':1,'Minor':0},'Container':{}}",
                HCS_E_INVALID_JSON, "$.SchemaVersion");
        fails(HCS_DOC_CREATE, "{'Container':{}}", HCS_E_INVALID_JSON, "$.SchemaVersion");
}
END_TEST

START_TEST(boots_one_way_from_an_absolute_path) {
#define CHIPSET "$.VirtualMachine.Chipset"
        fails(HCS_DOC_CREATE,
                VM("'Chipset':{'Uefi':{},'LinuxKernelDirect':{'KernelFilePath':'/k'}}"),
                E_INVALIDARG, CHIPSET);
        fails(HCS_DOC_CREATE, VM("'Chipset':{'LinuxKernelDirect':{'KernelFilePath':''}}"),
                E_INVALIDARG, CHIPSET ".LinuxKernelDirect.KernelFilePath");
        fails(HCS_DOC_CREATE, VM("'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'k'}}"),
                E_INVALIDARG, CHIPSET ".LinuxKernelDirect.KernelFilePath");
        fails(HCS_DOC_CREATE,
                VM("'Chipset':{'LinuxKernelDirect':{'KernelFilePath':'/k','InitRdPath':'i'}}"),
                E_INVALIDARG, CHIPSET ".LinuxKernelDirect.InitRdPath");
#undef CHIPSET
}
END_TEST

START_TEST(memory_is_even_and_not_zero) {
#define MEMORY(n) VM("'ComputeTopology':{'Memory':{'SizeInMB':" #n "}}")
        static const char at[] = "$.VirtualMachine.ComputeTopology.Memory.SizeInMB";
        passes(HCS_DOC_CREATE, MEMORY(2));
        fails(HCS_DOC_CREATE, MEMORY(0), E_INVALIDARG, at);
        fails(HCS_DOC_CREATE, MEMORY(2047), E_INVALIDARG, at);
#undef MEMORY
}
END_TEST

START_TEST(devices_keep_to_their_limits) {
#define SCSI "$.VirtualMachine.Devices.Scsi"
        passes(HCS_DOC_CREATE,
                DEVICE("'Scsi':{'0':{'Attachments':{'63':{'Path':'/a'}}},'1':{},'2':{},'3':{}}"));
        fails(HCS_DOC_CREATE, DEVICE("'Scsi':{'0':{},'1':{},'2':{},'3':{},'4':{}}"), E_INVALIDARG,
                SCSI);
        fails(HCS_DOC_CREATE, DEVICE("'Scsi':{'p':{'Attachments':{'64':{}}}}"), E_INVALIDARG,
                SCSI ".p.Attachments.64");
        fails(HCS_DOC_CREATE, DEVICE("'Scsi':{'p':{'Attachments':{'0':{'Path':'a'}}}}"),
                E_INVALIDARG, SCSI ".p.Attachments.0.Path");
        passes(HCS_DOC_CREATE, DEVICE("'Scsi':{'p':{'Attachments':{'0':{"
                                      "'Type':'ExtensibleVirtualDisk','Path':'evd://a'}}}}"));
#undef SCSI
        passes(HCS_DOC_CREATE, DEVICE("'ComPorts':{'1':{'NamedPipe':''}}"));
        fails(HCS_DOC_CREATE, DEVICE("'ComPorts':{'2':{}}"), E_INVALIDARG,
                "$.VirtualMachine.Devices.ComPorts.2");
        passes(HCS_DOC_CREATE, DEVICE("'VirtualPMem':{'MaximumCount':128,'Devices':{'127':{}}}"));
        fails(HCS_DOC_CREATE, DEVICE("'VirtualPMem':{'MaximumCount':129}"), E_INVALIDARG,
                "$.VirtualMachine.Devices.VirtualPMem.MaximumCount");
        fails(HCS_DOC_CREATE, DEVICE("'VirtualPMem':{'Devices':{'128':{}}}"), E_INVALIDARG,
                "$.VirtualMachine.Devices.VirtualPMem.Devices.128");
}
END_TEST

START_TEST(shares_have_a_folder_and_a_name_of_their_own) {
#define SHARES(s) DEVICE("'VirtualSmb':{'Shares':[" s "]}")
#define AT        "$.VirtualMachine.Devices.VirtualSmb.Shares"
        passes(HCS_DOC_CREATE, SHARES("{'Name':'a','Path':'/a'},{'Name':'b','Path':'C:\\\\b'}"));
        fails(HCS_DOC_CREATE, SHARES("{'Name':'a','Path':'/a'},{'Name':'A','Path':'/b'}"),
                E_INVALIDARG, AT "[1].Name");
        fails(HCS_DOC_CREATE, SHARES("{'Name':'a','Path':''}"), E_INVALIDARG, AT "[0].Path");
        fails(HCS_DOC_CREATE, SHARES("{'Name':'a','Path':'C:a'}"), E_INVALIDARG, AT "[0].Path");
#undef AT
#undef SHARES
}
END_TEST

START_TEST(takes_1024_shares_and_no_more) {
        for (unsigned n = HCS_SHARES_MAX; n <= HCS_SHARES_MAX + 1; n++) {
                char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);
                fputs("{'SchemaVersion':{'Major':2},'VirtualMachine':{'Devices':{'Plan9':"
                      "{'Shares':[",
                        f);
                for (unsigned i = 0; i < n; i++)
                        fprintf(f, "%s{'Name':'s%u','Path':'/s'}", i ? "," : "", i);
                fputs("]}}}}", f);
                fclose(f);
                if (n == HCS_SHARES_MAX)
                        passes(HCS_DOC_CREATE, text);
                else
                        fails(HCS_DOC_CREATE, text, E_INVALIDARG,
                                "$.VirtualMachine.Devices.Plan9.Shares");
                free(text);
        }
}
END_TEST

START_TEST(a_registry_value_has_one_value) {
#define VALUE(v) VM("'RegistryChanges':{'AddValues':[{" v "}]}")
        static const char at[] = "$.VirtualMachine.RegistryChanges.AddValues[0]";
        passes(HCS_DOC_CREATE, VALUE("'Type':'DWord','DWordValue':1"));
        passes(HCS_DOC_CREATE, VALUE("'Type':'None'"));
        fails(HCS_DOC_CREATE, VALUE("'Type':'String'"), E_INVALIDARG, at);
        fails(HCS_DOC_CREATE, VALUE("'Type':'DWord','DWordValue':1,'QWordValue':1"), E_INVALIDARG,
                at);
#undef VALUE
}
END_TEST

START_TEST(processes_have_one_command) {
        passes(HCS_DOC_PROCESS, "{'CommandLine':'a'}");
        passes(HCS_DOC_PROCESS, "{'CommandArgs':['a'],'CommandLine':''}");
        fails(HCS_DOC_PROCESS, "{}", E_INVALIDARG, "$");
        fails(HCS_DOC_PROCESS, "{'CommandArgs':[]}", E_INVALIDARG, "$");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','Environment':{'A=B':'c'}}", E_INVALIDARG,
                "$.Environment");
        fails(HCS_DOC_PROCESS, "{'CommandLine':'a','Environment':{'':'c'}}", E_INVALIDARG,
                "$.Environment");
        passes(HCS_DOC_PROCESS_MODIFY,
                "{'Operation':'ConsoleSize','ConsoleSize':{'Height':1,'Width':1}}");
        fails(HCS_DOC_PROCESS_MODIFY, "{'Operation':'CloseHandle'}", E_INVALIDARG, "$.CloseHandle");
        fails(HCS_DOC_PROCESS_MODIFY, "{}", E_INVALIDARG, "$.Operation");
}
END_TEST

START_TEST(takes_4096_arguments_and_no_more) {
        for (unsigned n = HCS_PROCESS_ARGS_MAX; n <= HCS_PROCESS_ARGS_MAX + 1; n++) {
                struct json *doc = json_new_object(), *args = json_new_array();
                for (unsigned i = 0; i < n; i++)
                        assert_ok(json_add(args, json_new_string("a")));
                assert_ok(json_set(doc, "CommandArgs", args));
                struct error e = {0};
                ck_assert_int_eq(hcs_document_check(HCS_DOC_PROCESS, doc, 0, &e),
                        n > HCS_PROCESS_ARGS_MAX ? -EINVAL : 0);
                json_unref(doc);
        }
}
END_TEST

START_TEST(saving_to_a_file_needs_its_path) {
        passes(HCS_DOC_SAVE, "{'SaveType':'AsTemplate'}");
        passes(HCS_DOC_SAVE, "{'SaveType':'ToFile','SaveStateFilePath':'/s'}");
        fails(HCS_DOC_SAVE, "{}", E_INVALIDARG, "$.SaveStateFilePath");
        fails(HCS_DOC_SAVE, "{'SaveStateFilePath':'s'}", E_INVALIDARG, "$.SaveStateFilePath");
        fails(HCS_DOC_SAVE, "{'SaveType':'AsTemplate','SaveStateFilePath':'/s'}", E_INVALIDARG,
                "$.SaveStateFilePath");
}
END_TEST

START_TEST(network_prefixes_are_addresses_with_a_length) {
#define SUBNET(p) "{'Ipams':[{'Subnets':[{'IpAddressPrefix':'" p "'}]}]}"
        static const char at[] = "$.Ipams[0].Subnets[0].IpAddressPrefix";
        passes(HCS_DOC_HCN_NETWORK, SUBNET("10.0.0.0/32"));
        passes(HCS_DOC_HCN_NETWORK, SUBNET("fd00::/128"));
        static const char *const bad[] = {SUBNET("10.0.0.0/33"), SUBNET("fd00::/129"),
                SUBNET("10.0.0.0"), SUBNET("10.0.0/8"), SUBNET("10.0.0.0/"), SUBNET("10.0.0.0/-1"),
                SUBNET("10.0.0.0/8x"), SUBNET("/8"), SUBNET("10.0.0.0/0008")};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                fails(HCS_DOC_HCN_NETWORK, bad[i], HCN_E_INVALID_PREFIX, at);
#undef SUBNET
}
END_TEST

START_TEST(policy_settings_are_typed_by_the_policy) {
#define POLICY(s) "{'Policies':[{'Type':'PortMapping','Settings':{" s "}}]}"
        passes(HCS_DOC_HCN_ENDPOINT, POLICY("'InternalPort':65535"));
        fails(HCS_DOC_HCN_ENDPOINT, POLICY("'InternalPort':65536"), HCN_E_INVALID_JSON,
                "$.Policies[0].Settings.InternalPort");
        fails(HCS_DOC_HCN_ENDPOINT, POLICY(""), HCN_E_INVALID_INTERNAL_PORT,
                "$.Policies[0].Settings.InternalPort");
        fails(HCS_DOC_HCN_ENDPOINT, POLICY("'Nope':1"), HCN_E_INVALID_JSON,
                "$.Policies[0].Settings.Nope");
        fails(HCS_DOC_HCN_MODIFY_ENDPOINT,
                "{'Settings':{'Policies':[{'Type':'QOS','Settings':[]}]}}", HCN_E_INVALID_JSON,
                "$.Settings.Policies[0].Settings");
#undef POLICY
}
END_TEST

TEST_MAIN("hcs-semantic", a_document_is_one_kind_of_system, schema_versions_go_from_2_0_to_2_7,
        boots_one_way_from_an_absolute_path, memory_is_even_and_not_zero,
        devices_keep_to_their_limits, shares_have_a_folder_and_a_name_of_their_own,
        takes_1024_shares_and_no_more, a_registry_value_has_one_value, processes_have_one_command,
        takes_4096_arguments_and_no_more, saving_to_a_file_needs_its_path,
        network_prefixes_are_addresses_with_a_length, policy_settings_are_typed_by_the_policy)
