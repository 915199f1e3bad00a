# SPDX-License-Identifier: MIT
"""States, handles and exits of systems that really run."""

import time

from rpc import (HCS_E_INVALID_STATE, HCS_E_OPERATION_TIMEOUT, HCS_E_SYSTEM_ALREADY_EXISTS,
                 HCS_E_SYSTEM_ALREADY_STOPPED, HCS_E_SYSTEM_NOT_FOUND, HCS_E_TERMINATED,
                 HCS_E_UNEXPECTED_EXIT, HR_INVALID_HANDLE, HR_NOT_SUPPORTED, Failed, Private,
                 Shared, workers)
from test_protocol import fails

VERBS = {"Start": "Created", "Pause": "Running", "Resume": "Paused", "Crash": "Running",
         "ShutDown": "Running"}


def refuses_all_but(c, system, state):
    for verb, allowed in VERBS.items():
        if allowed != state:
            fails(HCS_E_INVALID_STATE, c, f"Hcs{verb}ComputeSystem", computeSystem=system)
    if state != "Running":
        fails(HCS_E_INVALID_STATE, c, "HcsCreateProcess", computeSystem=system,
              processParameters={"CommandLine": "true"})


def test_goes_through_every_state_and_refuses_what_a_state_does_not_allow():
    daemon = Private()
    c = daemon.client
    s = c.create("a")
    assert c.state(s) == "Created"
    refuses_all_but(c, s, "Created")
    c.call("HcsSetComputeSystemCallback", computeSystem=s)
    c.call("HcsStartComputeSystem", computeSystem=s)
    assert c.state(s) == "Running"
    refuses_all_but(c, s, "Running")
    fails(HR_NOT_SUPPORTED, c, "HcsCreateProcess", computeSystem=s,
          processParameters={"CommandLine": "true"})
    c.call("HcsPauseComputeSystem", computeSystem=s, options={"SuspensionLevel": "Suspend"})
    assert c.state(s) == "Paused"
    refuses_all_but(c, s, "Paused")
    c.call("HcsResumeComputeSystem", computeSystem=s)
    assert c.state(s) == "Running"
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    event = c.event("SystemExited")
    assert event["SystemId"] == "a" and event["computeSystem"] == s
    assert event["EventData"]["ExitType"] == "ForcedExit"
    assert event["EventData"]["Status"] & 0xFFFFFFFF == HCS_E_TERMINATED
    assert event["EventData"]["Attribution"] == [
        {"SystemExit": {"Detail": "Terminate", "Initiator": "Client"}}]
    assert c.state(s) == "Stopped"
    for verb in [*VERBS, "Terminate"]:
        fails(HCS_E_SYSTEM_ALREADY_STOPPED, c, f"Hcs{verb}ComputeSystem", computeSystem=s)
    assert workers(daemon.process.pid) == []
    assert daemon.end() == 0


def test_reports_how_a_guest_ended():
    daemon = Private()
    c = daemon.client
    for guest, command, kind, status, detail in [
            ("hello", "", "GracefulExit", 0, None),  # powers off
            ("platform", "f", "UnexpectedExit", HCS_E_UNEXPECTED_EXIT, "TripleFault"),
            ("platform", "9", None, None, "Reset")]:
        s = c.start("a", guest, command)
        result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
        event = c.event("SystemExited")
        assert result["result"] == event["EventData"]
        assert kind is None or event["EventData"]["ExitType"] == kind, event
        assert status is None or event["EventData"]["Status"] & 0xFFFFFFFF == status, event
        if detail:
            assert event["EventData"]["Attribution"][0]["WorkerExit"]["Detail"] == detail, event
        assert len(result["message"]) > 5
        c.call("HcsCloseComputeSystem", computeSystem=s)
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_tells_who_registers_late():
    daemon = Private()
    c = daemon.client
    s = c.create("a", "hello")
    c.call("HcsStartComputeSystem", computeSystem=s)
    c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    c.call("HcsSetComputeSystemCallback", computeSystem=s)
    assert c.event("SystemExited")["EventData"]["ExitType"] == "GracefulExit"
    assert daemon.end() == 0


def test_waits_as_long_as_it_is_told():
    daemon = Private()
    c = daemon.client
    s = c.start("a")
    begin = time.monotonic()
    fails(HCS_E_OPERATION_TIMEOUT, c, "HcsWaitForComputeSystemExit", computeSystem=s, timeoutMs=150)
    assert 0.15 <= time.monotonic() - begin < 5
    fails(HCS_E_OPERATION_TIMEOUT, c, "HcsWaitForComputeSystemExit", computeSystem=s, timeoutMs=0)
    fails(0x80070057, c, "HcsWaitForComputeSystemExit", computeSystem=s, timeoutMs=2**32)
    pending = [c.send("HcsWaitForComputeSystemExit", computeSystem=s) for _ in range(10)]
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    for number in pending:
        assert c.wait(number)["result"]["ExitType"] == "ForcedExit"
    assert daemon.end() == 0


def test_measures_what_runs():
    daemon = Private()
    c = daemon.client
    s = c.start("a", memory=64)
    properties = c.call("HcsGetComputeSystemProperties", computeSystem=s,
                        propertyQuery={"PropertyTypes": ["Statistics", "Memory"]})["resultDocument"]
    assert properties["Statistics"]["Uptime100ns"] > 0
    assert properties["Memory"]["VirtualMachineMemory"]["AssignedMemory"] == 64 * 256
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    fails(HCS_E_SYSTEM_ALREADY_STOPPED, c, "HcsGetComputeSystemProperties", computeSystem=s,
          propertyQuery={"PropertyTypes": ["Statistics"]})
    assert daemon.end() == 0


def test_keeps_ids_unique_and_finds_them_without_case():
    daemon = Private()
    c = daemon.client
    s = c.create("Name")
    from rpc import document
    fails(HCS_E_SYSTEM_ALREADY_EXISTS, c, "HcsCreateComputeSystem", id="nAME",
          configuration=document())
    other = c.call("HcsOpenComputeSystem", id="NAME", requestedAccess=0x10000000)["computeSystem"]
    assert other != s
    assert [p["Id"] for p in c.call("HcsEnumerateComputeSystems",
                                    query={"Ids": ["name"]})["resultDocument"]] == ["Name"]
    assert c.call("HcsEnumerateComputeSystems", query={"Owners": ["x"]})["resultDocument"] == []
    c.call("HcsCloseComputeSystem", computeSystem=s)
    assert c.state(other) == "Created"
    fails(HR_INVALID_HANDLE, c, "HcsGetComputeSystemProperties", computeSystem=s)
    c.call("HcsCloseComputeSystem", computeSystem=other)
    for _ in range(500):  # its last handle was closed
        if not c.call("HcsEnumerateComputeSystems")["resultDocument"]:
            break
        time.sleep(0.01)
    fails(HCS_E_SYSTEM_NOT_FOUND, c, "HcsOpenComputeSystem", id="name")
    assert daemon.end() == 0


def test_keeps_a_system_that_is_to_outlive_its_handles():
    daemon = Shared()
    first, second = daemon.connect(), daemon.connect()
    first.start("keeps", keep=True)
    first.start("goes")
    first.close()
    for _ in range(500):
        found = second.call("HcsEnumerateComputeSystems")["resultDocument"]
        if len(found) == 1:
            break
        time.sleep(0.01)
    assert [(p["Id"], p["State"]) for p in found] == [("keeps", "Running")]
    s = second.call("HcsOpenComputeSystem", id="keeps")["computeSystem"]
    second.call("HcsTerminateComputeSystem", computeSystem=s)
    second.call("HcsCloseComputeSystem", computeSystem=s)
    assert second.call("HcsEnumerateComputeSystems")["resultDocument"] == []
    assert daemon.end() == 0


def test_gives_up_a_creation_whose_client_left():
    daemon = Shared()
    for _ in range(10):
        c = daemon.connect()
        from rpc import document
        c.send("HcsCreateComputeSystem", id="a", configuration=document())
        c.close()
    c = daemon.connect()
    s = c.create("a")
    assert c.state(s) == "Created"
    assert len(workers(daemon.process.pid)) == 1
    assert daemon.end() == 0


def test_terminates_what_starts():
    daemon = Private()
    c = daemon.client
    s = c.create("a", command="s")
    start = c.send("HcsStartComputeSystem", computeSystem=s)
    terminate = c.send("HcsTerminateComputeSystem", computeSystem=s)
    try:
        c.wait(start)
    except Failed as e:
        assert e.hresult == 0x80370100, hex(e.hresult)
    c.wait(terminate)
    assert c.state(s) == "Stopped"
    assert daemon.end() == 0
