# SPDX-License-Identifier: MIT
"""A guest that restarts: in place without a leak, or to its end, as its document says."""

import os
import tempfile
import time

from rpc import Private, Shared, anonymous_kib, workers
from test_users import root

RESTARTS = 100
LOOKS = 20
# A look may find a guest further on its way, with up to four channels more, and the allocator in
# another mood. One of anything, or a page, for each restart is more than that.
SLACK = {"descriptors": 4, "mappings": 4, "threads": 0, "memory": 256}
LOG_LINES_MAX = 20


class Logged(Private):
    """Its log counts the restarts."""

    def __init__(self):
        self.log = tempfile.TemporaryFile()
        super().__init__("--verbose", stderr=self.log)

    def restarts(self):
        return os.pread(self.log.fileno(), 1 << 24, 0).count(b"the machine restarted")

    def await_restarts(self, n):
        for _ in range(3000):
            if self.restarts() >= n:
                return
            time.sleep(0.01)
        raise TimeoutError(f"{self.restarts()} restarts instead of {n}")


def look(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        mappings = sum(1 for _ in f)
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "mappings": mappings,
            "threads": len(os.listdir(f"/proc/{pid}/task")), "memory": anonymous_kib(pid)}


def most(c, system, pid):
    """The most that several looks find: the guest is anywhere on its way when it is paused."""
    looks = []
    for _ in range(LOOKS):
        c.call("HcsPauseComputeSystem", computeSystem=system)
        looks.append(look(pid))
        c.call("HcsResumeComputeSystem", computeSystem=system)
        time.sleep(0.01)
    return {what: max(one[what] for one in looks) for what in looks[0]}


@root  # the worker's descriptors are nobody's to see
def test_restarts_a_guest_a_hundred_times_in_place_without_a_leak():
    daemon = Logged()
    c = daemon.client
    system = c.start("a", "life", "r", stop_on_reset=False)
    pid = workers(daemon.process.pid)[0]
    daemon.await_restarts(10)
    before = most(c, system, pid)
    daemon.await_restarts(daemon.restarts() + RESTARTS)
    after = most(c, system, pid)
    assert workers(daemon.process.pid) == [pid] and c.state(system) == "Running"
    assert all(after[what] <= before[what] + SLACK[what] for what in SLACK), (before, after)
    assert daemon.end() == 0


def test_restarts_a_guest_that_faults_thrice():
    daemon = Logged()
    daemon.client.start("a", command="f", stop_on_reset=False)
    daemon.await_restarts(10)
    assert daemon.end() == 0


def test_ends_a_guest_that_restarts_where_its_document_says_so():
    daemon = Private()
    c = daemon.client
    for guest, command in [("life", "r"), ("platform", "9"), ("platform", "k")]:
        system = c.start("a", guest, command, stop_on_reset=True)
        result = c.call("HcsWaitForComputeSystemExit", computeSystem=system)["result"]
        assert result["ExitType"] == "GracefulExit" and result["Status"] == 0, result
        assert result["Attribution"][0]["WorkerExit"]["Detail"] == "Reset", result
        c.call("HcsCloseComputeSystem", computeSystem=system)
    assert daemon.end() == 0


def test_does_not_log_every_restart():
    with tempfile.TemporaryFile() as log:
        daemon = Shared(stderr=log)
        daemon.connect().start("a", "life", "r", stop_on_reset=False)
        time.sleep(2)
        assert daemon.end() == 0
        lines = os.pread(log.fileno(), 1 << 24, 0).splitlines()
        assert 1 < len(lines) < LOG_LINES_MAX, lines
