# SPDX-License-Identifier: MIT
"""hvsockets between host programs and a guest."""

import socket
import threading
import time

from rpc import E_INVALIDARG, HCS_E_INVALID_STATE, Private, document
from test_protocol import fails

HR_ALREADY_EXISTS = 0x800700B7


def service(port):
    return f"{port:08x}-facb-11e6-bd58-64006a7986d3"


def allowed(guest, command):
    """Everything may be bound and connected."""
    doc = document(guest, command)
    doc["VirtualMachine"]["Devices"] = {"HvSocket": {"HvSocketConfig": {
        "DefaultBindSecurityDescriptor": "D:P(A;;FA;;;WD)",
        "DefaultConnectSecurityDescriptor": "D:P(A;;FA;;;WD)"}}}
    return doc


def accept(c):
    """The next connection of the guest."""
    while True:
        message = c.receive()
        if message.get("method") == "SandbarHvSocketAccept":
            return message["params"], socket.socket(fileno=c.fds.pop())


def echo(sock, counts):
    n = 0
    with sock:
        while data := sock.recv(1 << 16):
            n += len(data)
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    counts.append(n)


def test_gives_a_guests_connections_to_the_program_that_bound_the_service():
    daemon = Private()
    c = daemon.client
    s = c.call("HcsCreateComputeSystem", id="a",
               configuration=allowed("hvsocket", "e"))["computeSystem"]
    c.call("SandbarHvSocketBind", computeSystem=s, serviceId=service(1))
    fails(HR_ALREADY_EXISTS, c, "SandbarHvSocketBind", computeSystem=s, serviceId=service(1))
    fails(E_INVALIDARG, c, "SandbarHvSocketBind", computeSystem=s, serviceId="1")
    c.call("HcsStartComputeSystem", computeSystem=s)
    params, sock = accept(c)
    assert params["serviceId"] == service(1) and params["computeSystem"] == s
    counts = []
    thread = threading.Thread(target=echo, args=(sock, counts))
    thread.start()  # the guest checks what comes back
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    thread.join(10)
    assert counts == [5 + (1 << 20)], counts  # it went on to the end
    assert result["result"]["ExitType"] == "GracefulExit", result
    assert daemon.end() == 0


def test_connects_a_program_to_a_service_in_the_guest():
    daemon = Private()
    c = daemon.client
    s = c.call("HcsCreateComputeSystem", id="a",
               configuration=allowed("hvsocket", "l"))["computeSystem"]
    fails(HCS_E_INVALID_STATE, c, "SandbarHvSocketConnect", computeSystem=s, serviceId=service(22))
    c.call("HcsStartComputeSystem", computeSystem=s)
    time.sleep(1)  # this guest does not bear an offer before it listens
    result = c.call("SandbarHvSocketConnect", computeSystem=s, serviceId=service(22), timeoutMs=5000)
    assert result == {"socket": 0}
    with socket.socket(fileno=c.fds.pop()) as sock:
        sock.sendall(b"hello guest")
        assert sock.recv(64) == b"hello host"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(64) == b""
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    assert result["result"]["ExitType"] == "GracefulExit", result
    assert daemon.end() == 0


def test_refuses_a_guest_what_no_program_serves():
    daemon = Private()
    c = daemon.client
    s = c.call("HcsCreateComputeSystem", id="a",
               configuration=allowed("hvsocket", "r"))["computeSystem"]
    c.call("HcsStartComputeSystem", computeSystem=s)
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    assert result["result"]["ExitType"] == "GracefulExit", result
    assert daemon.end() == 0


def test_a_closed_handle_serves_nothing():
    daemon = Private()
    c = daemon.client
    s = c.call("HcsCreateComputeSystem", id="a", configuration=allowed("hvsocket", "r"))[
        "computeSystem"]
    other = c.call("HcsOpenComputeSystem", id="a")["computeSystem"]
    c.call("SandbarHvSocketBind", computeSystem=other, serviceId=service(4))
    c.call("HcsCloseComputeSystem", computeSystem=other)
    c.call("HcsStartComputeSystem", computeSystem=s)
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    assert result["result"]["ExitType"] == "GracefulExit", result
    assert daemon.end() == 0
