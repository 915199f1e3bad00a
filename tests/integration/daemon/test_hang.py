# SPDX-License-Identifier: MIT
"""Row 25 of the negative tests: guests that never come back on their own. The form that has to
exist on a KVM with hardware virtualization only, VMCALL, is the lab's."""

import time

from rpc import Private, Shared, workers

# In ring 3 for ever, on two processors as well; UD2 and its handler in turn; HLT with IF 0.
HANGS = [("s", 1), ("S", 2), ("u", 1), ("h", 1)]
END_SECONDS = 1


def test_ends_a_guest_that_hangs_within_a_second_while_others_go_on():
    daemon = Private()
    c = daemon.client
    other = c.start("other", "life", "g")  # two seconds by its own timer, then off
    hung = [c.start(f"hung{i}", "life", command, processors=processors)
            for i, (command, processors) in enumerate(HANGS)]
    pids = workers(daemon.process.pid)
    assert len(pids) == len(HANGS) + 1
    time.sleep(0.5)
    for system in hung:
        assert c.state(system) == "Running"
        begin = time.monotonic()
        c.call("HcsTerminateComputeSystem", computeSystem=system)
        assert time.monotonic() - begin < END_SECONDS
        assert c.event("SystemExited")["EventData"]["ExitType"] == "ForcedExit"
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=other, timeoutMs=30000)
    assert result["result"]["ExitType"] == "GracefulExit", result
    assert daemon.end() == 0


def test_pauses_and_resumes_a_guest_that_hangs():
    daemon = Private()
    c = daemon.client
    for command, processors in HANGS:
        system = c.start("a", "life", command, processors=processors)
        for _ in range(10):
            begin = time.monotonic()
            c.call("HcsPauseComputeSystem", computeSystem=system)
            c.call("HcsResumeComputeSystem", computeSystem=system)
            assert time.monotonic() - begin < END_SECONDS
        c.call("HcsTerminateComputeSystem", computeSystem=system)
        c.call("HcsCloseComputeSystem", computeSystem=system)
    assert daemon.end() == 0


def test_ends_with_a_client_whose_guests_hang():
    daemon = Shared()
    c = daemon.connect()
    for i, (command, processors) in enumerate(HANGS):
        c.start(f"hung{i}", "life", command, processors=processors)
    assert len(workers(daemon.process.pid)) == len(HANGS)
    c.close()
    begin = time.monotonic()
    while workers(daemon.process.pid):
        assert time.monotonic() - begin < END_SECONDS * len(HANGS)
        time.sleep(0.01)
    assert daemon.end() == 0
