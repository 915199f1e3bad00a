# SPDX-License-Identifier: MIT
"""Whose rights count: the worker's jail, and callers of several users."""

import errno
import os
import socket
import tempfile

from inject import Injector
from rpc import (GUESTS, HCS_E_SYSTEM_NOT_FOUND, HR_ACCESS_DENIED, Client, Private, Shared, document,
                 workers)
from test_protocol import fails

NOBODY = 65534


def root(test):
    test.root = True
    return test


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_jails_every_thread_of_a_live_worker():
    daemon = Private()
    daemon.client.start("a")
    pid = workers(daemon.process.pid)[0]
    tasks = os.listdir(f"/proc/{pid}/task")
    assert len(tasks) >= 2
    for task in tasks:
        s = status(f"{pid}/task/{task}")
        assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1", s
        assert s["CapEff"] == s["CapPrm"] == "0" * 16, s
    assert daemon.end() == 0


def refuses_all(pid):
    """What a worker may not do, asked for from inside."""
    with Injector(pid) as call:
        path = call.string("/etc/passwd")
        for name, number, args in [
                ("open", 2, (path, 0)), ("openat", 257, (2**64 - 100, path, 0)),
                ("openat2", 437, (2**64 - 100, path, path, 24)), ("creat", 85, (path, 0o600)),
                ("socket", 41, (1, 1, 0)), ("socket", 41, (2, 1, 0)), ("connect", 42, (0, path, 16)),
                ("execve", 59, (path, 0, 0)), ("execveat", 322, (2**64 - 100, path, 0, 0, 0)),
                ("fork", 57, ()), ("ptrace", 101, (16, 1, 0, 0)), ("io_uring_setup", 425, (1, path)),
                ("kill", 62, (1, 0)), ("unlink", 87, (path,)), ("mount", 165, (path, path, 0, 0, 0)),
                ("ioctl TIOCSTI", 16, (2, 0x5412, path))]:
            result = call(number, *args)
            assert result == -errno.EPERM, f"{name}: {result}"
        assert call(39) > 0  # getpid still works: the way of asking does


@root
def test_refuses_a_live_worker_paths_sockets_and_programs():
    daemon = Private()
    c = daemon.client
    s = c.start("a")
    refuses_all(workers(daemon.process.pid)[0])
    c.call("HcsPauseComputeSystem", computeSystem=s)  # and the worker lives
    assert daemon.end() == 0


def as_nobody(daemon):
    """A connection of nobody's: the credentials are those at the time of connect()."""
    os.chmod(daemon.path, 0o666)
    sock = socket.socket(socket.AF_UNIX)
    groups = os.getgroups()
    kvm = os.stat("/dev/kvm").st_gid
    os.setgroups([kvm])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        sock.connect(daemon.path)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    client = Client(sock)
    daemon.clients.append(client)
    return client


class Kernel:
    """A guest where everybody may read it, and a private copy."""

    def __init__(self, guest="platform"):
        self.guest = guest

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sandbar-test-")
        os.chmod(self.directory.name, 0o755)
        self.public = os.path.join(self.directory.name, "public")
        self.secret = os.path.join(self.directory.name, "secret")
        with open(os.path.join(GUESTS, "guest-" + self.guest), "rb") as f:
            image = f.read()
        for path, mode in [(self.public, 0o644), (self.secret, 0o600)]:
            with open(path, "wb") as f:
                f.write(image)
            os.chmod(path, mode)
        return self

    def __exit__(self, *_):
        self.directory.cleanup()


@root
def test_acts_with_the_rights_of_its_caller():
    daemon = Shared()
    with Kernel() as kernel:
        nobody = as_nobody(daemon)
        text = fails(HR_ACCESS_DENIED, nobody, "HcsCreateComputeSystem", id="a",
                     configuration=document(kernel=kernel.secret))
        assert kernel.secret in text
        fails(HR_ACCESS_DENIED, nobody, "HcsCreateComputeSystem", id="a",
              configuration=document(kernel=kernel.public, initrd=kernel.secret))
        nobody.start("a", kernel=kernel.public)
        pid = workers(daemon.process.pid)[0]
        s = status(pid)
        assert s["Uid"].split() == [str(NOBODY)] * 4, s["Uid"]
        assert s["Gid"].split() == [str(NOBODY)] * 4, s["Gid"]
        assert s["CapEff"] == s["CapBnd"] == "0" * 16
    assert daemon.end() == 0


@root
def test_refuses_the_same_to_the_worker_of_an_unprivileged_caller():
    daemon = Shared()
    with Kernel() as kernel:
        nobody = as_nobody(daemon)
        system = nobody.start("a", kernel=kernel.public)
        pid = workers(daemon.process.pid)[0]
        assert status(pid)["Uid"].split()[0] == str(NOBODY)
        refuses_all(pid)
        nobody.call("HcsPauseComputeSystem", computeSystem=system)
    assert daemon.end() == 0


@root
def test_shows_a_user_its_own_systems_and_root_all():
    daemon = Shared()
    with Kernel() as kernel:
        nobody, roots = as_nobody(daemon), daemon.connect()
        theirs = nobody.start("same", kernel=kernel.public)
        ours = roots.start("same", kernel=kernel.public)
        roots.start("other", kernel=kernel.public)
        assert [p["Id"] for p in nobody.call("HcsEnumerateComputeSystems")["resultDocument"]] == [
            "same"]
        assert len(roots.call("HcsEnumerateComputeSystems")["resultDocument"]) == 3
        fails(HCS_E_SYSTEM_NOT_FOUND, nobody, "HcsOpenComputeSystem", id="other")
        again = nobody.call("HcsOpenComputeSystem", id="same")["computeSystem"]
        nobody.call("HcsTerminateComputeSystem", computeSystem=again)
        assert nobody.state(theirs) == "Stopped"
        assert roots.state(ours) == "Running"
    assert daemon.end() == 0


@root
def test_refuses_strangers_when_it_is_a_users_own():
    directory = tempfile.mkdtemp(prefix="sandbar-test-")
    os.chmod(directory, 0o777)
    from rpc import DAEMON
    import subprocess
    import time
    path = os.path.join(directory, "socket")
    with open(DAEMON, "rb") as f:
        image = f.read()
    program = os.path.join(directory, "vmcomputed")
    with open(program, "wb") as f:
        f.write(image)
    os.chmod(program, 0o755)
    process = subprocess.Popen([program, "--worker", "/bin/false", "--socket", path],
                               user=1234, group=1234, extra_groups=[])
    for _ in range(500):
        if os.path.exists(path):
            break
        time.sleep(0.01)
    time.sleep(0.1)
    daemon = type("Daemon", (), {"path": path, "clients": []})
    stranger = as_nobody(daemon)
    assert stranger.sock.recv(1) == b""
    sock = socket.socket(socket.AF_UNIX)  # root may
    sock.connect(path)
    assert Client(sock).call("HcsEnumerateComputeSystems") == {"resultDocument": []}
    process.terminate()
    assert process.wait(10) == 0
    subprocess.run(["rm", "-r", directory], check=True)
