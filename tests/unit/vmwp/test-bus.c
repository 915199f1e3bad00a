// SPDX-License-Identifier: MIT
#include "vmwp/bus.h"
#include <sys/eventfd.h>
#include "rig.h"
#include "wire/hv.h"
#include "wire/vmbus.h"

START_TEST(there_may_be_no_bus_yet) {
        ck_assert_uint_eq(bus_post_message(NULL, VMBUS_CONNECTION_MESSAGE, 1, "", 0),
                HV_STATUS_INVALID_CONNECTION_ID);
        bus_slot_free(NULL);
}
END_TEST

START_TEST(messages_of_the_guest_reach_the_bus) {
        struct rig *rig = rig_new(CODE_HALT);
        struct vmbus *vmbus = machine_vmbus(rig->machine);
        ck_assert_uint_eq(bus_post_message(vmbus, 77, VMBUS_MESSAGE_TYPE, "", 0),
                HV_STATUS_INVALID_CONNECTION_ID);
        ck_assert_uint_eq(
                bus_post_message(vmbus, VMBUS_CONNECTION_MESSAGE, VMBUS_MESSAGE_TYPE, "x", 1),
                HV_STATUS_SUCCESS);
        rig_turn(rig, 3);
        ck_assert_uint_eq(vmbus_ignored(vmbus), 1); /* it was too short to be one */
        bus_slot_free(vmbus);
        rig = rig_free(rig);
}
END_TEST

START_TEST(the_partition_is_the_buss_host) {
        struct rig *rig = rig_new(CODE_HALT);
        struct vmm *vmm = machine_vmm(rig->machine);
        int fd = eventfd(0, EFD_CLOEXEC);
        ck_assert_uint_eq(bus_ops.vps(vmm), 1);
        ck_assert_int_eq(bus_ops.post(vmm, 0, VMBUS_SINT, "", 0), VMM_E_DISABLED);
        ck_assert_int_eq(bus_ops.signal(vmm, 0, VMBUS_SINT, 1), VMM_E_DISABLED);
        assert_ok(bus_ops.bind_event(vmm, 5, fd));
        assert_error(bus_ops.bind_event(vmm, 5, fd), -EEXIST);
        bus_ops.unbind_event(vmm, 5);
        assert_ok(bus_ops.bind_event(vmm, 5, fd));
        bus_ops.unbind_event(vmm, 5);
        close(fd);
        bus_ops.problem(vmm, "device", 1, "said by a test");
        /* vmm and vmbus give their refusals one number, since these functions pass them on. */
        ck_assert_int_eq(VMM_E_BUSY, VMBUS_E_FULL);
        rig = rig_free(rig);
}
END_TEST

TEST_MAIN("vmwp/bus", there_may_be_no_bus_yet, messages_of_the_guest_reach_the_bus,
        the_partition_is_the_buss_host)
