# SPDX-License-Identifier: MIT
"""Row 24 of the negative tests (the control socket), and each limit of the daemon."""

import array
import os
import resource
import socket
import time

from rpc import (HCS_E_INVALID_JSON, HCS_E_OPERATION_PENDING, HR_OUTOFMEMORY, Client, Failed, Private,
                 Shared, document)
from test_protocol import fails

LINE_MAX = 1 << 20
FDS_MAX = 8
CALLS_MAX = 256
HANDLES_MAX = 1024
CONNECTIONS_UID_MAX = 128
SYSTEMS_UID_MAX = 128


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def still_serves(daemon):
    c = daemon.connect()
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    c.close()


def closes(client):
    """The daemon ends the connection."""
    try:
        while client.sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass


def test_takes_the_longest_line_and_no_longer():
    daemon = Shared()
    c = daemon.connect()
    head, tail = b'{"jsonrpc":"2.0","id":1,"method":"', b'"}'
    c.raw(head + b"x" * (LINE_MAX - len(head) - len(tail)) + tail)
    assert c.receive()["error"]["code"] == -32601
    try:
        c.sock.sendall(b"x" * (LINE_MAX + 1))
    except (BrokenPipeError, ConnectionResetError):
        pass
    closes(c)
    still_serves(daemon)
    assert daemon.end() == 0


def test_refuses_deep_nesting():
    daemon = Private()
    c = daemon.client
    for opening, closing in [(b"[", b"]"), (b'{"a":', b"}")]:
        n = (LINE_MAX - 64) // (len(opening) + len(closing))
        for line in [opening * n + b"1" + closing * n, opening * n,
                     b'{"jsonrpc":"2.0","id":1,"method":"HcsEnumerateComputeSystems","params":'
                     + opening * 10000 + b"1" + closing * 10000 + b"}"]:
            c.raw(line)
            assert c.receive()["error"]["code"] == -32700
        text = (opening * 10000 + b"1" + closing * 10000).decode()
        fails(HCS_E_INVALID_JSON, c, "HcsCreateComputeSystem", id="a", configuration=text)
    assert c.call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    assert daemon.end() == 0


def test_bounds_the_memory_that_lines_without_end_take():
    daemon = Shared()
    for _ in range(20):
        c = daemon.connect()
        try:
            for _ in range(8):
                c.sock.sendall(b"[" * (1 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
        closes(c)
    with open(f"/proc/{daemon.process.pid}/status") as f:
        rss = [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
    assert rss < 64 * 1024, rss
    still_serves(daemon)
    assert daemon.end() == 0


def test_closes_a_connection_that_floods_it_with_descriptors():
    daemon = Shared()
    before = open_fds(daemon.process.pid)
    null = os.open("/dev/null", os.O_RDONLY)

    def send(c, data, n):
        c.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                 array.array("i", [null] * n))])

    c = daemon.connect()
    for _ in range(100):  # what comes with a line is closed with it
        send(c, b'{"jsonrpc":"2.0","id":1,"method":"HcsEnumerateComputeSystems"}\n', FDS_MAX)
        assert c.receive()["result"] == {"resultDocument": []}
    send(c, b"x", FDS_MAX + 1)
    closes(c)
    c = daemon.connect()
    try:
        for _ in range(100):
            send(c, b"x", 250)
    except (BrokenPipeError, ConnectionResetError):
        pass
    closes(c)
    c = daemon.connect()
    try:
        for _ in range(100):
            send(c, b"x", 1)
    except (BrokenPipeError, ConnectionResetError):
        pass
    closes(c)
    os.close(null)
    still_serves(daemon)
    for _ in range(100):
        if open_fds(daemon.process.pid) <= before:
            break
        time.sleep(0.05)
    assert open_fds(daemon.process.pid) <= before
    assert daemon.end() == 0


def test_serves_while_ten_thousand_connections_say_nothing():
    daemon = Shared()
    patient = daemon.connect()
    patient.call("HcsEnumerateComputeSystems")
    silent = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for i in range(10000):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(daemon.path)
        silent.append(sock)
        if len(silent) > hard - 100:
            silent.pop(0).close()
        if i % 1000 == 999:
            still_serves(daemon)
            patient.call("HcsEnumerateComputeSystems")
    assert open_fds(daemon.process.pid) < CONNECTIONS_UID_MAX + 32
    for sock in silent:
        sock.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    still_serves(daemon)
    assert daemon.end() == 0


def test_takes_as_many_connections_as_it_says():
    daemon = Shared()
    time.sleep(0.1)
    clients = []
    for _ in range(CONNECTIONS_UID_MAX):
        c = daemon.connect()
        c.call("HcsEnumerateComputeSystems")
        clients.append(c)
    closes(daemon.connect())  # one more is turned away, for none of them is silent
    for c in clients:
        c.call("HcsEnumerateComputeSystems")
    clients.pop().close()
    time.sleep(0.1)
    still_serves(daemon)
    assert daemon.end() == 0


def test_drops_a_connection_that_never_finishes_a_line():
    daemon = Shared()
    c = daemon.connect()
    c.sock.sendall(b'{"jsonrpc"')
    begin = time.monotonic()
    closes(c)
    assert 9 < time.monotonic() - begin < 15
    assert daemon.end() == 0


def test_bounds_the_calls_of_a_connection():
    daemon = Private()
    c = daemon.client
    s = c.start("a")
    waits = [c.send("HcsWaitForComputeSystemExit", computeSystem=s) for _ in range(CALLS_MAX)]
    fails(HCS_E_OPERATION_PENDING, c, "HcsEnumerateComputeSystems")
    pid_dead = c.send("HcsTerminateComputeSystem", computeSystem=s)
    try:
        c.wait(pid_dead)
        raise AssertionError("accepted")
    except Failed as e:
        assert e.hresult == HCS_E_OPERATION_PENDING
    assert len(waits) == CALLS_MAX
    assert daemon.end() == 0


def test_forgets_the_calls_of_a_client_that_left():
    daemon = Shared()
    keeper = daemon.connect()
    keeper.start("a", keep=True)
    before = memory(daemon.process.pid)
    for _ in range(50):
        c = daemon.connect()
        s = c.call("HcsOpenComputeSystem", id="a")["computeSystem"]
        for _ in range(200):
            c.send("HcsWaitForComputeSystemExit", computeSystem=s, timeoutMs=3600000)
        c.call("HcsGetComputeSystemProperties", computeSystem=s)
        c.close()
    keeper.call("HcsEnumerateComputeSystems")
    assert memory(daemon.process.pid) - before < 2048
    assert daemon.end() == 0


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return [int(line.split()[1]) for line in f if line.startswith("Pss:")][0]


def test_bounds_the_handles_of_a_connection():
    daemon = Private()
    c = daemon.client
    first = c.create("a")
    handles = [c.call("HcsOpenComputeSystem", id="a")["computeSystem"]
               for _ in range(HANDLES_MAX - 1)]
    fails(HR_OUTOFMEMORY, c, "HcsOpenComputeSystem", id="a")
    fails(HR_OUTOFMEMORY, c, "HcsCreateComputeSystem", id="b", configuration=document())
    assert len(c.call("HcsEnumerateComputeSystems")["resultDocument"]) == 1
    c.call("HcsCloseComputeSystem", computeSystem=handles.pop())
    again = c.call("HcsOpenComputeSystem", id="a")["computeSystem"]
    assert again not in handles and again != first  # a number is not used twice
    assert daemon.end() == 0


def test_bounds_the_systems_of_a_user():
    daemon = Shared()
    c = daemon.connect()
    for i in range(SYSTEMS_UID_MAX):
        c.create(f"s{i}")
    text = fails(HR_OUTOFMEMORY, c, "HcsCreateComputeSystem", id="more", configuration=document())
    assert str(SYSTEMS_UID_MAX) in text
    assert daemon.end() == 0


def test_drops_a_client_that_does_not_read():
    daemon = Shared()
    c = daemon.connect()
    c.sock.settimeout(20)
    line = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100000 + b'"}\n'
    try:
        for _ in range(2000):
            c.sock.sendall(line)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        pass
    c.close()
    assert memory(daemon.process.pid) < 64 * 1024
    still_serves(daemon)
    assert daemon.end() == 0


def test_half_a_client_is_no_client():
    daemon = Shared()
    for _ in range(100):
        Client(daemon.connect().sock).sock.shutdown(socket.SHUT_WR)
    still_serves(daemon)
    assert daemon.end() == 0
