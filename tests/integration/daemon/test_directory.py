# SPDX-License-Identifier: MIT
"""hvsockets as Unix sockets in the system's directory."""

import os
import socket
import stat
import struct
import threading
import time

import rpc
from rpc import Private, Shared, children, document, workers
from test_users import NOBODY, Kernel, as_nobody, root

PORT_ECHO, PORT_ANSWER, PORT_BANNER, PORT_CLOSED, PORT_GUEST = 1, 2, 3, 4, 22
BULK = 1 << 20


def service(port):
    return f"{port:08x}-facb-11e6-bd58-64006a7986d3"


def configuration(command, rows=None, guest="hvsocket", **kwargs):
    doc = document(guest, command, **kwargs)
    if rows is not None:
        doc["VirtualMachine"]["Devices"] = {"HvSocket": {"HvSocketConfig": {"ServiceTable": rows}}}
    return doc


def create(daemon, command, name="a", client=None, **kwargs):
    c = client or daemon.connect()
    s = c.call("HcsCreateComputeSystem", id=name,
               configuration=configuration(command, **kwargs))["computeSystem"]
    return c, s, os.path.join(os.path.dirname(daemon.path), "hvsocket", name)


def ends_well(c, s):
    result = c.call("HcsWaitForComputeSystemExit", computeSystem=s)
    assert result["result"]["ExitType"] == "GracefulExit", result


class Listener:
    """A host program; talk(socket) runs for each connection, one after another."""

    def __init__(self, path, talk):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(16)
        self.talk = talk
        self.served = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            with peer:
                self.talk(peer)
            self.served += 1

    def end(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.sock.close()
        return self.served


def read_all(sock):
    data = b""
    while piece := sock.recv(1 << 16):
        data += piece
    return data


def echo(sock):
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def dial(directory, line):
    """The first line that comes back, and the socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(directory, "connect"))
    sock.settimeout(30)
    sock.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        piece = sock.recv(1)
        if not piece:
            break
        answer += piece
    return answer, sock


def refused(directory, line):
    answer, sock = dial(directory, line)
    with sock:
        assert sock.recv(1) == b"", answer
    return answer


def fds(pid):
    """Descriptors of a process; of a worker, as another than root, the size of their table."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        with open(f"/proc/{pid}/status") as f:
            return [int(line.split()[1]) for line in f if line.startswith("FDSize")][0]


def settles(count, limit):
    for _ in range(500):
        if count() <= limit:
            return True
        time.sleep(0.01)
    return False


def test_makes_a_directory_of_the_owners_alone_and_removes_all_of_it():
    daemon = Shared()
    top = os.path.join(daemon.directory, "hvsocket")
    c, s, directory = create(daemon, "e")
    assert stat.S_IMODE(os.stat(top).st_mode) == 0o711
    for path, mode in [(directory, stat.S_IFDIR | 0o700),
                       (os.path.join(directory, "connect"), stat.S_IFSOCK | 0o600)]:
        st = os.stat(path)
        assert st.st_mode == mode and st.st_uid == os.geteuid(), oct(st.st_mode)
    os.makedirs(os.path.join(directory, "some/where"))
    for path in ["file", "some/file", "some/where/file"]:
        with open(os.path.join(directory, path), "wb"):
            pass
    outside = os.path.join(daemon.directory, "outside")
    os.mkdir(outside)
    with open(os.path.join(outside, "precious"), "wb"):
        pass
    os.symlink(outside, os.path.join(directory, "some/link"))
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    assert c.state(s) == "Stopped"
    assert not os.path.exists(top)  # before its last handle
    assert os.path.exists(os.path.join(outside, "precious"))
    assert daemon.end() == 0


def test_names_a_directory_by_the_runtime_id_when_the_id_is_no_file_name():
    daemon = Shared()
    for name in ["../a", ".a", "a b", "x" * 65, "é"]:
        c, s, _ = create(daemon, "e", name)
        runtime = c.call("HcsGetComputeSystemProperties",
                         computeSystem=s)["resultDocument"]["RuntimeId"]
        assert os.listdir(os.path.join(daemon.directory, "hvsocket")) == [runtime.lower()]
        c.call("HcsTerminateComputeSystem", computeSystem=s)
        c.call("HcsCloseComputeSystem", computeSystem=s)
    assert daemon.end() == 0


def test_removes_what_a_killed_daemon_left():
    daemon = Shared()
    create(daemon, "e")
    top = os.path.join(daemon.directory, "hvsocket")
    left = rpc.children(daemon.process.pid)
    daemon.process.kill()
    daemon.process.wait()
    assert all(rpc.gone(pid) for pid in left)  # a child of the daemon shares its locks
    assert os.listdir(top) == ["a"]
    daemon.start()
    assert not os.path.exists(top)
    assert daemon.end() == 0


def test_leaves_the_directory_of_a_daemon_that_lives():
    one = Shared()
    create(one, "e")
    two = Shared()
    two.process.terminate()
    two.process.wait()
    two.path = os.path.join(one.directory, "second")
    two.start()
    top = os.path.join(one.directory, "hvsocket")
    assert os.listdir(top) == ["a"]
    create(two, "e")  # the same id: the runtime id names it
    assert len(os.listdir(top)) == 2
    assert two.end() == 0
    assert os.listdir(top) == ["a"]
    assert one.end() == 0


def test_refuses_a_directory_that_others_may_write_to():
    daemon = Shared()
    top = os.path.join(daemon.directory, "hvsocket")
    os.mkdir(top)
    os.chmod(top, 0o777)
    try:
        create(daemon, "e")
        raise AssertionError("created")
    except Exception as e:  # pylint: disable=broad-except
        assert "only it can write" in str(e), e
    os.rmdir(top)
    create(daemon, "e")
    assert daemon.end() == 0


def test_carries_a_guests_bytes_to_a_unix_socket_and_back():
    daemon = Shared()
    c, s, directory = create(daemon, "e")
    got = []

    def talk(sock):
        n = 0
        while data := sock.recv(1 << 16):
            n += len(data)
            sock.sendall(data)
        got.append(n)

    program = Listener(os.path.join(directory, service(PORT_ECHO)), talk)
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)  # the guest compares what comes back
    program.end()
    assert got == [5 + BULK], got
    assert daemon.end() == 0


def test_half_closes_in_both_directions():
    daemon = Shared()
    c, s, directory = create(daemon, "h")
    texts = []

    def answer(sock):
        texts.append(read_all(sock))
        sock.sendall(b"answer to question")

    def banner(sock):
        sock.sendall(b"banner")
        sock.shutdown(socket.SHUT_WR)
        texts.append(read_all(sock))

    # One by its vsock port, one by its GUID.
    programs = [Listener(os.path.join(directory, str(PORT_ANSWER)), answer),
                Listener(os.path.join(directory, service(PORT_BANNER)), banner)]
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)
    for program in programs:
        program.end()
    assert sorted(texts) == [b"question", b"still here"], texts
    assert daemon.end() == 0


def refuses_the_guest(daemon, offer, rows=None):
    """`offer` puts something in the place of the service that must not be reached."""
    c, s, directory = create(daemon, "r", rows=rows)
    offer(os.path.join(directory, service(PORT_CLOSED)))
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)  # the guest was refused
    c.close()


def test_refuses_what_no_program_serves_or_only_seems_to():
    daemon = Shared()
    reached = []
    away = os.path.join(daemon.directory, "away")
    program = Listener(away, reached.append)

    def dead(path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)

    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for offer in [lambda path: None,
                  lambda path: os.symlink(away, path),
                  lambda path: os.symlink("connect", path),
                  lambda path: os.symlink("/dev/null", path),
                  lambda path: os.close(os.open(path, os.O_CREAT)),
                  os.mkdir, os.mkfifo, dead, datagrams.bind]:
        refuses_the_guest(daemon, offer)
    assert program.end() == 0 and not reached
    assert daemon.end() == 0


def test_refuses_what_the_service_table_refuses():
    daemon = Shared()
    reached = []
    denied, granted = "D:P(D;;FA;;;WD)", "D:P(A;;FA;;;WD)"
    for row in [{"BindSecurityDescriptor": denied},
                {"BindSecurityDescriptor": granted, "Disabled": True}]:
        refuses_the_guest(daemon, lambda path: Listener(path, reached.append),
                          {service(PORT_CLOSED): row})
    assert not reached
    c, s, directory = create(daemon, "l", rows={
        service(PORT_GUEST): {"ConnectSecurityDescriptor": denied}})
    c.call("HcsStartComputeSystem", computeSystem=s)
    assert refused(directory, b"CONNECT 22\n") == (
        b"ERROR the service table does not allow it\n")
    assert daemon.end() == 0


def test_connects_a_program_to_a_listener_in_the_guest():
    daemon = Shared()
    for name in [str(PORT_GUEST), service(PORT_GUEST), service(PORT_GUEST).upper()]:
        c, s, directory = create(daemon, "l")
        assert refused(directory, b"CONNECT 22\n") == b"ERROR the system is not running\n"
        c.call("HcsStartComputeSystem", computeSystem=s)
        line = f"CONNECT {name}\n".encode()
        answer, sock = dial(directory, line + b"hello ")  # what follows the line is the guest's
        assert answer == f"OK {name}\n".encode(), answer
        with sock:
            sock.sendall(b"guest")
            assert sock.recv(64) == b"hello host"
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(64) == b""
        ends_well(c, s)
        c.close()
    assert daemon.end() == 0


def test_says_why_a_program_is_not_connected():
    daemon = Shared()
    c, s, directory = create(daemon, "l")
    c.call("HcsStartComputeSystem", computeSystem=s)
    for line in [b"\n", b"CONNECT\n", b"CONNECT \n", b"connect 22\n", b"CONNECT 22 \n",
                 b"CONNECT -1\n", b"CONNECT 2147483648\n", b"CONNECT 22\0\n", b"CONNECT 22\r\n",
                 b"CONNECT {" + service(22).encode() + b"}\n", b"x" * 128 + b"\n",
                 b"OK 22\nCONNECT 22\n"]:
        assert refused(directory, line).startswith(b"ERROR expected: CONNECT"), line
    assert refused(directory, b"x" * 129) == b"ERROR a line has at most 128 bytes\n"
    assert refused(directory, b"x" * 50000) == b"ERROR a line has at most 128 bytes\n"
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(directory, "connect"))
    sock.sendall(b"CONNECT")
    sock.close()  # in the middle of its line
    c.call("HcsPauseComputeSystem", computeSystem=s)
    assert refused(directory, b"CONNECT 22\n") == b"ERROR the system is not running\n"
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    assert daemon.end() == 0


def test_a_program_whose_guest_does_not_listen_is_told():
    daemon = Shared()
    c, s, directory = create(daemon, "e", guest="platform")
    c.call("HcsStartComputeSystem", computeSystem=s)
    before = fds(daemon.process.pid)
    begin = time.monotonic()
    assert refused(directory, b"CONNECT 22\n") == (
        b"ERROR no program of the guest listened within 5 s\n")
    assert 4 < time.monotonic() - begin < 20
    assert fds(daemon.process.pid) == before
    # One that waits when its system ends is let go of.
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(directory, "connect"))
    sock.sendall(b"CONNECT 22\n")
    time.sleep(0.2)
    c.call("HcsTerminateComputeSystem", computeSystem=s)
    assert sock.recv(64) == b""
    assert daemon.end() == 0


def test_silent_programs_are_bounded_in_number_and_time():
    daemon = Shared()
    c, s, directory = create(daemon, "e", guest="platform")
    c.call("HcsStartComputeSystem", computeSystem=s)
    before = fds(daemon.process.pid)
    silent = []
    for _ in range(150):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(os.path.join(directory, "connect"))
        sock.settimeout(30)
        silent.append(sock)
    time.sleep(0.3)
    assert fds(daemon.process.pid) - before == 64
    assert c.state(s) == "Running"  # the daemon is not held up
    begin = time.monotonic()
    assert silent[0].recv(64) == b"ERROR no line within 10 s\n"
    assert 5 < time.monotonic() - begin < 20
    for sock in silent:
        sock.close()
    assert refused(directory, b"\n").startswith(b"ERROR expected")
    assert settles(lambda: fds(daemon.process.pid), before)
    assert daemon.end() == 0


def test_thousands_of_short_connections_of_a_guest_leave_no_descriptor():
    daemon = Shared()
    c, s, directory = create(daemon, "s")
    counts = []

    def talk(sock):
        echo(sock)
        if program.served in (100, 1000, 1900):
            counts.append((fds(daemon.process.pid), fds(workers(daemon.process.pid)[0])))

    program = Listener(os.path.join(directory, service(PORT_ECHO)), talk)
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)
    assert program.end() == 2000
    for i in range(2):
        assert max(n[i] for n in counts) - min(n[i] for n in counts) <= 2, counts
    assert daemon.end() == 0


def test_a_thousand_short_connections_to_a_guest_leave_no_descriptor():
    daemon = Shared()
    c, s, directory = create(daemon, "m")
    c.call("HcsStartComputeSystem", computeSystem=s)
    counts = []
    for i in range(1000):
        answer, sock = dial(directory, b"CONNECT 22\n")
        assert answer == b"OK 22\n", answer
        with sock:
            sock.sendall(b"hello guest")
            assert sock.recv(64) == b"hello host"
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(64) == b""
        if i in (10, 500, 990):
            counts.append((fds(daemon.process.pid), fds(workers(daemon.process.pid)[0])))
    ends_well(c, s)
    for i in range(2):
        assert max(n[i] for n in counts) - min(n[i] for n in counts) <= 2, counts
    assert daemon.end() == 0


def test_a_program_that_does_not_accept_costs_the_guest_its_connection_only():
    daemon = Shared()
    c, s, directory = create(daemon, "r")
    full = socket.socket(socket.AF_UNIX)
    full.bind(os.path.join(directory, service(PORT_CLOSED)))
    full.listen(0)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(full.getsockname())
    begin = time.monotonic()
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)
    assert 1.5 < time.monotonic() - begin < 30
    assert daemon.end() == 0


def test_a_private_daemon_has_no_directory():
    before = set(os.listdir("."))
    daemon = Private()
    c = daemon.client
    s = c.call("HcsCreateComputeSystem", id="a", configuration=configuration("r"))["computeSystem"]
    c.call("HcsStartComputeSystem", computeSystem=s)
    ends_well(c, s)
    assert set(os.listdir(".")) == before
    assert daemon.end() == 0


@root
def test_connects_with_the_rights_of_the_owner():
    daemon = Shared()
    with Kernel("hvsocket") as kernel:
        # A socket that only root could connect to, moved into the directory.
        nobody = as_nobody(daemon)
        c, s, directory = create(daemon, "r", client=nobody, kernel=kernel.public)
        st = os.stat(directory)
        assert st.st_uid == st.st_gid == NOBODY and stat.S_IMODE(st.st_mode) == 0o700
        assert os.stat(os.path.join(directory, "connect")).st_uid == NOBODY
        reached = []
        path = os.path.join(directory, service(PORT_CLOSED))
        program = Listener(path, reached.append)
        os.chmod(path, 0o600)
        c.call("HcsStartComputeSystem", computeSystem=s)
        ends_well(c, s)
        assert program.end() == 0 and not reached
        c.call("HcsCloseComputeSystem", computeSystem=s)
        assert not os.path.exists(directory)

        # And one of his own: he sees himself at the other end.
        c, s, directory = create(daemon, "e", client=nobody, kernel=kernel.public)
        peers = []

        def talk(sock):
            peers.append(struct.unpack("3i", sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:])
            echo(sock)

        path = os.path.join(directory, service(PORT_ECHO))
        program = Listener(path, talk)
        os.chown(path, NOBODY, NOBODY)
        c.call("HcsStartComputeSystem", computeSystem=s)
        ends_well(c, s)
        assert program.end() == 1 and peers == [(NOBODY, NOBODY)], peers
        assert children(daemon.process.pid) == []
    assert daemon.end() == 0


@root
def test_a_users_thousands_of_short_connections_leave_no_process():
    daemon = Shared()
    with Kernel("hvsocket") as kernel:
        c, s, directory = create(daemon, "s", client=as_nobody(daemon), kernel=kernel.public)
        path = os.path.join(directory, service(PORT_ECHO))
        program = Listener(path, echo)
        os.chown(path, NOBODY, NOBODY)
        before = fds(daemon.process.pid)
        c.call("HcsStartComputeSystem", computeSystem=s)
        ends_well(c, s)
        assert program.end() == 2000
        assert children(daemon.process.pid) == []
        assert fds(daemon.process.pid) <= before
    assert daemon.end() == 0


@root
def test_two_users_may_use_the_same_id():
    daemon = Shared()
    with Kernel("hvsocket") as kernel:
        create(daemon, "r", client=as_nobody(daemon), kernel=kernel.public)
        create(daemon, "r", kernel=kernel.public)
        top = os.path.join(daemon.directory, "hvsocket")
        names = os.listdir(top)
        assert len(names) == 2 and "a" in names
        assert sorted(os.stat(os.path.join(top, name)).st_uid for name in names) == [0, NOBODY]
    assert daemon.end() == 0


@root
def test_removes_no_more_than_the_owner_could():
    daemon = Shared()
    with Kernel("hvsocket") as kernel:
        c, s, directory = create(daemon, "r", client=as_nobody(daemon), kernel=kernel.public)
        other = os.path.join(directory, "other")  # as if he had moved another's in
        os.mkdir(other)
        with open(os.path.join(other, "precious"), "wb"):
            pass
        c.call("HcsTerminateComputeSystem", computeSystem=s)
        assert os.path.exists(os.path.join(other, "precious"))
    assert daemon.end() == 0
