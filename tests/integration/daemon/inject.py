# SPDX-License-Identifier: MIT
"""Makes a process call the kernel: ptrace on x86-64 without a debugger."""

import ctypes
import os
import signal

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS = 9, 12, 13
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()


class Regs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"ptrace {request}")


class Injector:
    """Stops a thread that waits in the kernel; `with Injector(pid) as call: call(nr, …)`."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        ptrace(PTRACE_ATTACH, self.pid)
        os.waitpid(self.pid, 0x40000000)  # __WALL
        self.saved = Regs()
        ptrace(PTRACE_GETREGS, self.pid, ctypes.addressof(self.saved))
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self.saved.rip - 2)
            assert memory.read(2) == b"\x0f\x05", "the thread does not wait in a system call"
            self.text = self.saved.rsp - 4096
            memory.seek(self.text)
            self.overwritten = memory.read(64)
        return self

    def string(self, text):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self.text)
            memory.write(text.encode() + b"\0")
        return self.text

    def __call__(self, number, *args):
        regs = Regs.from_buffer_copy(self.saved)
        regs.rip -= 2
        regs.rax = number
        regs.orig_rax = 2**64 - 1  # nothing to restart
        for name, value in zip(["rdi", "rsi", "rdx", "r10", "r8", "r9"], args):
            setattr(regs, name, value)
        ptrace(PTRACE_SETREGS, self.pid, ctypes.addressof(regs))
        ptrace(PTRACE_SINGLESTEP, self.pid)
        _, status = os.waitpid(self.pid, 0x40000000)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, hex(status)
        ptrace(PTRACE_GETREGS, self.pid, ctypes.addressof(regs))
        return ctypes.c_longlong(regs.rax).value

    def __exit__(self, *_):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self.text)
            memory.write(self.overwritten)
        ptrace(PTRACE_SETREGS, self.pid, ctypes.addressof(self.saved))
        ptrace(PTRACE_DETACH, self.pid)
