# SPDX-License-Identifier: MIT
"""Whatever dies, the rest lives or is cleaned up, and the cause is told."""

import os
import signal
import subprocess
import sys
import time

from rpc import HCS_E_UNEXPECTED_EXIT, Failed, Private, Shared, gone, workers


def test_survives_a_worker_and_names_its_cause():
    daemon = Private()
    c = daemon.client
    victim = c.start("victim")
    pid = workers(daemon.process.pid)[0]
    other = c.start("other")
    wait = c.send("HcsWaitForComputeSystemExit", computeSystem=victim)
    os.kill(pid, signal.SIGSEGV)
    result = c.wait(wait)
    assert result["result"]["ExitType"] == "UnexpectedExit"
    assert result["result"]["Status"] & 0xFFFFFFFF == HCS_E_UNEXPECTED_EXIT
    exit_ = result["result"]["Attribution"][0]["WorkerExit"]
    assert exit_["Detail"] == "ProcessUnexpectedExit" and exit_["Initiator"] == "Internal"
    assert "signal 11" in result["message"] and "Segmentation fault" in result["message"]
    assert c.event("SystemExited")["Message"] == result["message"]
    assert c.state(victim) == "Stopped" and c.state(other) == "Running"
    assert gone(pid)
    c.call("HcsPauseComputeSystem", computeSystem=other)
    c.call("HcsTerminateComputeSystem", computeSystem=other)
    assert daemon.end() == 0


def test_answers_calls_that_a_dead_worker_left_open():
    daemon = Private()
    c = daemon.client
    s = c.start("a")
    pid = workers(daemon.process.pid)[0]
    os.kill(pid, signal.SIGSTOP)
    pending = [c.send("HcsGetComputeSystemProperties", computeSystem=s,
                      propertyQuery={"PropertyTypes": ["Statistics"]}),
               c.send("HcsPauseComputeSystem", computeSystem=s)]
    c.call("HcsGetComputeSystemProperties", computeSystem=s)  # they have arrived
    os.kill(pid, signal.SIGKILL)
    for number in pending:
        try:
            c.wait(number)
            raise AssertionError("answered")
        except Failed as e:
            assert e.hresult == HCS_E_UNEXPECTED_EXIT and "signal 9" in e.text, e.text
    assert daemon.end() == 0


def test_kills_a_worker_that_does_not_end():
    daemon = Private()
    c = daemon.client
    s = c.start("a")
    pid = workers(daemon.process.pid)[0]
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    assert 4 < time.monotonic() - begin < 10
    assert c.event("SystemExited")["EventData"]["ExitType"] == "ForcedExit"
    assert gone(pid)
    assert daemon.end() == 0


def test_ends_with_its_client_and_takes_the_workers_along():
    daemon = Private()
    daemon.client.start("a", keep=True)
    daemon.client.create("b", keep=True)
    pids = workers(daemon.process.pid)
    assert len(pids) == 2
    assert daemon.end() == 0
    assert all(gone(pid) for pid in pids)


def test_ends_with_a_client_that_was_killed():
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from rpc import *\n"
              "d = Private(); d.client.start('a')\n"
              "print(d.process.pid, *workers(d.process.pid), flush=True); time.sleep(60)\n")
    here = os.path.dirname(os.path.realpath(__file__))
    with subprocess.Popen([sys.executable, "-c", script, here], stdout=subprocess.PIPE) as client:
        pids = [int(pid) for pid in client.stdout.readline().split()]
        assert len(pids) == 2
        client.kill()
        client.wait()
    assert all(gone(pid) for pid in pids)


def test_leaves_no_worker_when_it_is_killed():
    daemon = Shared()
    daemon.connect().start("a", keep=True)
    pids = workers(daemon.process.pid)
    assert len(pids) == 1
    daemon.process.kill()
    daemon.process.wait()
    assert all(gone(pid) for pid in pids)
    assert os.path.exists(daemon.path)
    daemon.start()  # replaces the socket of the dead one
    assert daemon.connect().call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_ends_on_a_signal_and_removes_its_socket():
    for number in [signal.SIGTERM, signal.SIGINT]:
        daemon = Shared()
        c = daemon.connect()
        c.start("a", keep=True)
        pids = workers(daemon.process.pid)
        daemon.process.send_signal(number)
        assert c.event("SystemExited")["EventData"]["ExitType"] == "ForcedExit"
        assert daemon.process.wait(10) == 0
        assert not os.path.exists(daemon.path)
        assert all(gone(pid) for pid in pids)
        daemon.end()


def test_refuses_a_second_daemon_on_its_socket():
    daemon = Shared()
    from rpc import DAEMON
    second = subprocess.run([DAEMON, "--socket", daemon.path], capture_output=True, timeout=20)
    assert second.returncode == 1 and b"another vmcomputed" in second.stderr, second.stderr
    assert daemon.connect().call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_ends_when_it_is_idle():
    daemon = Shared("--idle-timeout", "1")
    c = daemon.connect()
    s = c.start("a", keep=True)
    c.close()
    time.sleep(1.5)
    assert daemon.process.poll() is None  # a system runs
    c = daemon.connect()
    s = c.call("HcsOpenComputeSystem", id="a")["computeSystem"]
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    time.sleep(1.5)
    assert daemon.process.poll() is None  # a client is there
    c.close()
    assert daemon.process.wait(10) == 0
    assert not os.path.exists(daemon.path)
    daemon.end()
