#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A stock Debian kernel behind vmcomputed's own interface, run inside the lab: shutdown through the
integration service, restarts in place, a guest without an agent, and a terminal that is resized."""

import fcntl
import glob
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "daemon"))

import rpc  # noqa: E402

CACHE = os.path.expanduser("~/.cache/sandbar")
CMDLINE = "console=ttyS0 quiet panic=-1 rdinit=/init"


def newest(pattern):
    return max(glob.glob(pattern), key=os.path.getmtime)


def stock(cmdline=CMDLINE, processors=1):
    document = rpc.document(kernel=newest("/boot/vmlinuz-*"), initrd=newest(CACHE + "/initramfs-*"),
                            command=cmdline, memory=512, processors=processors,
                            stop_on_reset=False)
    document["VirtualMachine"]["Devices"] = {"HvSocket": {}}
    document["VirtualMachine"]["GuestConnection"] = {}
    return document


def boot(client, name, **kwargs):
    system = client.call("HcsCreateComputeSystem", id=name,
                         configuration=stock(**kwargs))["computeSystem"]
    client.call("HcsSetComputeSystemCallback", computeSystem=system)
    client.call("HcsStartComputeSystem", computeSystem=system)
    return system


def process(client, system, *args):
    """A process and its standard output."""
    before = len(client.fds)
    result = client.call("HcsCreateProcess", computeSystem=system, processParameters={
        "CommandArgs": list(args), "CreateStdOutPipe": True})
    return result["process"], client.fds[before]


def read_until(fd, text, seconds=60):
    data = b""
    deadline = time.monotonic() + seconds
    while text not in data and time.monotonic() < deadline:
        if select.select([fd], [], [], 1)[0]:
            piece = os.read(fd, 65536)
            if not piece:
                break
            data += piece
    return data


def shuts_down_through_the_integration_service():
    daemon = rpc.Private()
    client = daemon.client
    client.sock.settimeout(200)
    system = boot(client, "shutdown")
    _, log = process(client, system, "cat", "/dev/kmsg")
    assert b"hv_utils" in read_until(log, b"hv_utils"), "the guest's log is read"
    client.call("HcsShutDownComputeSystem", computeSystem=system,
                options={"Mechanism": "IntegrationService"})
    assert b"Shutdown request received" in read_until(log, b"Shutdown request received"), \
        "the shutdown driver said nothing"
    exited = client.event("SystemExited")["EventData"]
    assert exited["ExitType"] == "GracefulExit", exited
    assert daemon.end() == 0


def a_reboot_restarts_the_machine_in_place():
    daemon = rpc.Private()
    client = daemon.client
    client.sock.settimeout(200)
    system = boot(client, "reboot", processors=2)
    worker = rpc.workers(daemon.process.pid)
    fds = None
    for round_ in range(3):
        _, out = process(client, system, "sh", "-c", "echo alive; reboot; sleep 100")
        # The end of the stream is the end of the old guest.
        assert read_until(out, b"never", 120) == b"alive\n", f"round {round_}: no answer"
        deadline = time.monotonic() + 120
        while True:
            try:
                process(client, system, "true")
                break
            except rpc.Failed:
                assert time.monotonic() < deadline, f"round {round_}: not back"
                time.sleep(1)
        assert rpc.workers(daemon.process.pid) == worker, "another worker"
        count = len(os.listdir(f"/proc/{worker[0]}/fd"))
        assert fds is None or count <= fds + 4, f"{fds} descriptors became {count}"
        fds = fds or count
    daemon.end()


def a_guest_without_an_agent_is_given_up_in_time():
    daemon = rpc.Private("--connect-timeout", "15")
    daemon.client.sock.settimeout(100)
    start = time.monotonic()
    try:
        boot(daemon.client, "mute", cmdline=CMDLINE.replace("/init", "/bin/sh"))
        raise AssertionError("it started")
    except rpc.Failed as failed:
        assert failed.hresult == 0x800705B4, hex(failed.hresult)
        assert "console" in failed.text, failed.text
    assert time.monotonic() - start < 60
    daemon.end()


def a_terminal_follows_the_window():
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "window.wsb")
    with open(path, "w") as f:
        f.write("<Configuration><Networking>Disable</Networking></Configuration>")
    pid, master = pty.fork()
    if pid == 0:
        os.execv(os.path.join(rpc.BIN, "sandboxctl"), [
            "sandboxctl", "run", path, "--", "sh", "-c",
            "trap 'stty size' WINCH; stty size; while :; do sleep 1; done"])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    first = read_until(master, b"40 100", 100)
    assert b"40 100" in first, first
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    second = read_until(master, b"50 120")
    assert b"50 120" in second, second
    os.write(master, b"\x03")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130, status


def a_guest_that_only_makes_hypercalls_is_ended():
    test = os.path.join(rpc.ROOT, "build", "gcc", "tests", "guest", "guest-test-vmcall")
    env = dict(os.environ, CK_FORK="no", SANDBAR_SOURCE_ROOT=rpc.ROOT,
               SANDBAR_BUILD_ROOT=os.path.join(rpc.ROOT, "build", "gcc"))
    result = subprocess.run([test], env=env, timeout=200, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def main():
    failed = 0
    for test in (shuts_down_through_the_integration_service, a_reboot_restarts_the_machine_in_place,
                 a_guest_without_an_agent_is_given_up_in_time, a_terminal_follows_the_window,
                 a_guest_that_only_makes_hypercalls_is_ended):
        sentence = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok - {sentence}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok - {sentence}", flush=True)
            print("".join("    " + line for line in traceback.format_exc().splitlines(True)),
                  flush=True)
            rpc.end_all()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
