// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "hcs-test.h"
#include "wire/hresult.h"

static const char *request(const char *path, const char *rest) {
        static char text[512];
        snprintf(text, sizeof text, "{'ResourcePath':'VirtualMachine/%s'%s}", path, rest);
        return text;
}

START_TEST(settings_are_typed_by_the_resource) {
        passes(HCS_DOC_MODIFY, request("ComputeTopology/Memory/SizeInMB", ",'Settings':2048"));
        fails(HCS_DOC_MODIFY, request("ComputeTopology/Memory/SizeInMB", ",'Settings':'2048'"),
                HCS_E_INVALID_JSON, "$.Settings");
        fails(HCS_DOC_MODIFY, request("ComputeTopology/Memory/SizeInMB", ",'Settings':2049"),
                E_INVALIDARG, "$.Settings");
        fails(HCS_DOC_MODIFY, request("ComputeTopology/Memory/SizeInMB", ",'Settings':0"),
                E_INVALIDARG, "$.Settings");
        fails(HCS_DOC_MODIFY, request("ComputeTopology/Memory/SizeInMB", ""), E_INVALIDARG,
                "$.Settings");
        fails(HCS_DOC_MODIFY,
                request("Devices/Scsi/0/Attachments/1",
                        ",'RequestType':'Add','Settings':{'Type':'Vhd'}"),
                HCS_E_INVALID_JSON, "$.Settings.Type");
        passes(HCS_DOC_MODIFY, request("Devices/MappedPipes/a b", ",'RequestType':'Add'"));
        fails(HCS_DOC_MODIFY,
                request("Devices/MappedPipes/a", ",'RequestType':'Add','Settings':{}"),
                E_INVALIDARG, "$.Settings");
}
END_TEST

START_TEST(removing_needs_no_settings) {
        passes(HCS_DOC_MODIFY,
                request("Devices/Scsi/my disk/Attachments/63", ",'RequestType':'Remove'"));
        passes(HCS_DOC_MODIFY, request("Devices/VirtualPMem/Devices/127/Mappings/4096",
                                       ",'RequestType':'Remove'"));
}
END_TEST

START_TEST(request_types_are_those_of_the_resource) {
        fails(HCS_DOC_MODIFY,
                request("ComputeTopology/Gpu", ",'RequestType':'Remove','Settings':{}"),
                E_INVALIDARG, "$.RequestType");
        /* Without a type it is an update. */
        passes(HCS_DOC_MODIFY, request("ComputeTopology/Gpu", ",'Settings':{}"));
        fails(HCS_DOC_MODIFY, request("Devices/FlexibleIov/x", ",'Settings':{}"), E_INVALIDARG,
                "$.RequestType");
}
END_TEST

START_TEST(paths_are_matched_to_the_letter) {
        static const char *const bad[] = {"", "Devices", "Devices/", "devices/Plan9/Shares",
                "Devices/Plan9/Shares/", "Devices/Plan9/Shares/x", "Devices//Plan9/Shares",
                "Devices/Scsi/0/Attachments", "Devices/Scsi/0/Attachments/",
                "Devices/Scsi/0/Attachments/64", "Devices/Scsi/0/Attachments/x",
                "Devices/Scsi/0/Attachments/-1", "Devices/Scsi/0/Attachments/99999999999999999999",
                "Devices/Scsi//Attachments/0", "Devices/Scsi/../Attachments/0",
                "Devices/Scsi/./Attachments/0", "Devices/ComPorts/2",
                "Devices/VirtualPMem/Devices/128", "Devices/NetworkAdapters/..",
                "Devices/HvSocket/HvSocketConfig/ServiceTable/x",
                ("Devices/HvSocket/HvSocketConfig/ServiceTable/"
                 "{0000006d-facb-11e6-bd58-64006a7986d3}")};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                fails(HCS_DOC_MODIFY, request(bad[i], ",'RequestType':'Remove'"), E_INVALIDARG,
                        "$.ResourcePath");
        fails(HCS_DOC_MODIFY, "{}", E_INVALIDARG, "$.ResourcePath");
        passes(HCS_DOC_MODIFY, request("Devices/HvSocket/HvSocketConfig/ServiceTable/"
                                       "0000006D-facb-11e6-bd58-64006a7986d3",
                                       ",'RequestType':'Remove'"));
}
END_TEST

TEST_MAIN("hcs-modify", settings_are_typed_by_the_resource, removing_needs_no_settings,
        request_types_are_those_of_the_resource, paths_are_matched_to_the_letter)
