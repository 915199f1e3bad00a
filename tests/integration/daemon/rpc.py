# SPDX-License-Identifier: MIT
"""A client of vmcomputed for tests, and the daemons that they talk to."""

import array
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
BIN = os.environ.get("SANDBAR_BIN", os.path.join(ROOT, "build", "bin"))
GUESTS = os.environ.get("SANDBAR_GUESTS", os.path.join(ROOT, "build", "gcc", "tests", "guest"))
DAEMON = os.path.join(BIN, "vmcomputed")

E_INVALIDARG = 0x80070057
HR_FILE_NOT_FOUND = 0x80070002
HR_ACCESS_DENIED = 0x80070005
HR_INVALID_HANDLE = 0x80070006
HR_OUTOFMEMORY = 0x8007000E
HR_NOT_SUPPORTED = 0x80070032
HCS_E_TERMINATED_DURING_START = 0x80370100
HCS_E_INVALID_STATE = 0x80370105
HCS_E_UNEXPECTED_EXIT = 0x80370106
HCS_E_TERMINATED = 0x80370107
HCS_E_INVALID_JSON = 0x8037010D
HCS_E_SYSTEM_NOT_FOUND = 0x8037010E
HCS_E_SYSTEM_ALREADY_EXISTS = 0x8037010F
HCS_E_SYSTEM_ALREADY_STOPPED = 0x80370110
HCS_E_OPERATION_PENDING = 0x80370117
HCS_E_OPERATION_TIMEOUT = 0x80370118


class Failed(Exception):
    """An error answer: its HRESULT (unsigned), JSON-RPC code and message."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.hresult = error.get("data", {}).get("Error", 0) & 0xFFFFFFFF
        self.text = error["message"]


class Client:
    """One connection. Events gather in self.events."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(60)
        self.buffer = b""
        self.last = 0
        self.events = []
        self.answers = {}
        self.fds = []

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)

    def send(self, method, **params):
        self.last += 1
        self.raw({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        return self.last

    def raw(self, message):
        if not isinstance(message, bytes):
            message = json.dumps(message).encode()
        self.sock.sendall(message + b"\n")

    def receive(self):
        while b"\n" not in self.buffer:
            data, control, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(32))
            for _, _, fds in control:
                self.fds += array.array("i", fds)
            if not data:
                raise EOFError("vmcomputed closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def wait(self, number):
        while number not in self.answers:
            message = self.receive()
            if "method" in message:
                self.events.append(message["params"])
            else:
                self.answers[message["id"]] = message
        message = self.answers.pop(number)
        if "error" in message:
            raise Failed(message["error"])
        return message["result"]

    def call(self, method, **params):
        return self.wait(self.send(method, **params))

    def event(self, kind):
        """The next event of that type."""
        while True:
            for i, event in enumerate(self.events):
                if event["Type"] == kind:
                    return self.events.pop(i)
            message = self.receive()
            if "method" in message:
                self.events.append(message["params"])
            else:
                self.answers[message["id"]] = message

    # What most tests need of a system.

    def create(self, name, guest="platform", command="e", **kwargs):
        return self.call("HcsCreateComputeSystem", id=name,
                         configuration=document(guest, command, **kwargs))["computeSystem"]

    def start(self, name, guest="platform", command="e", **kwargs):
        system = self.create(name, guest, command, **kwargs)
        self.call("HcsSetComputeSystemCallback", computeSystem=system)
        self.call("HcsStartComputeSystem", computeSystem=system)
        return system

    def state(self, system):
        return self.call("HcsGetComputeSystemProperties",
                         computeSystem=system)["resultDocument"]["State"]


def document(guest="platform", command="e", memory=64, keep=False, kernel=None, initrd=None,
             processors=1, stop_on_reset=True):
    """A system whose kernel is one of the synthetic guests. `keep`: outlives its last handle."""
    boot = {"KernelFilePath": kernel or os.path.join(GUESTS, "guest-" + guest),
            "KernelCmdLine": command}
    if initrd:
        boot["InitRdPath"] = initrd
    return {"Owner": "tests", "SchemaVersion": {"Major": 2, "Minor": 1},
            "ShouldTerminateOnLastHandleClosed": not keep,
            "VirtualMachine": {"StopOnReset": stop_on_reset, "Chipset": {"LinuxKernelDirect": boot},
                               "ComputeTopology": {"Memory": {"SizeInMB": memory},
                                                   "Processor": {"Count": processors}}}}


started = []


def end_all():
    """After a test that failed half-way."""
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    started.clear()


class Private:
    """A vmcomputed for one connection."""

    def __init__(self, *options, stderr=None):
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen([DAEMON, "--fd", str(theirs.fileno()), *options],
                                            pass_fds=[theirs.fileno()], stderr=stderr)
        started.append(self.process)
        self.client = Client(ours)

    def end(self):
        self.client.close()
        return self.process.wait(20)


class Shared:
    """A vmcomputed on a socket."""

    def __init__(self, *options, stderr=subprocess.DEVNULL):
        self.directory = tempfile.mkdtemp(prefix="sandbar-test-")
        os.chmod(self.directory, 0o755)
        self.path = os.path.join(self.directory, "socket")
        self.options = options
        self.stderr = stderr
        self.clients = []
        self.start()

    def start(self):
        self.process = subprocess.Popen([DAEMON, "--socket", self.path, *self.options],
                                        stderr=self.stderr)
        started.append(self.process)
        for _ in range(500):
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.01)
        raise TimeoutError("vmcomputed does not answer")

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        client = Client(sock)
        self.clients.append(client)
        return client

    def end(self):
        for client in self.clients:
            client.sock.close()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        subprocess.run(["rm", "-rf", self.directory], check=True)
        return status


def children(pid):
    """Process ids whose parent is pid."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


def workers(pid):
    found = []
    for child in children(pid):
        try:
            with open(f"/proc/{child}/comm") as f:
                if f.read().strip() == "vmwp":
                    found.append(child)
        except FileNotFoundError:
            pass
    return found


def gone(pid, seconds=10):
    """True when no such process is left, a zombie included."""
    for _ in range(seconds * 100):
        if not os.path.exists(f"/proc/{pid}"):
            return True
        time.sleep(0.01)
    return False


def anonymous_kib(pid):
    """Memory of a process that is no file's and not shared; anybody may know."""
    with open(f"/proc/{pid}/status") as f:
        return [int(line.split()[1]) for line in f if line.startswith("RssAnon:")][0]
