# SPDX-License-Identifier: MIT
"""What the lab boots: a kernel ELF, an initramfs and an empty disk, cached by their inputs."""

import fcntl
import glob
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
INIT = os.path.join(HERE, "init")
BUSYBOX = "/bin/busybox"

# Loaded by the init script in this order, each after what it depends on. Everything else is loaded
# by the kernel when first needed: the host's /lib/modules and modprobe are there by then.
MODULES = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "9p",
    "9pnet_virtio",
    "ext4",
    "overlay",
    "kvm_amd",
    "fuse",
]

# kvm_amd is loaded by the init script with parameters of its own; /etc/modprobe.d has no say.
PARAMETERS = {"kvm-amd.ko": "nested=0 npt=1"}

DISK_SIZE = 64 << 30  # sparse: what a run does not write costs nothing
UNUSED_DAYS = 7  # older cache entries are removed when a new one is built


class Missing(Exception):
    """Something the lab needs is not on this machine; the text says what and how to get it."""


def newest_kernel():
    """The newest kernel that has its modules, as (version, path)."""
    found = []
    for path in glob.glob("/boot/vmlinuz-*"):
        version = path[len("/boot/vmlinuz-") :]
        if os.path.isfile(f"/lib/modules/{version}/modules.dep"):
            numbers = [int(n) for n in re.findall(r"\d+", version)]
            found.append((numbers, version, path))
    if not found:
        raise Missing(
            "no /boot/vmlinuz-VERSION with a /lib/modules/VERSION: apt-get install linux-image-amd64"
        )
    return max(found)[1:]


def identity(path):
    st = os.stat(path)
    return f"{path} {st.st_size} {st.st_mtime_ns}\n"


def cache_key(version, kernel):
    """Names the inputs; equal keys give equal artefacts."""
    if not os.path.isfile(BUSYBOX):
        raise Missing(f"no {BUSYBOX}: apt-get install busybox-static")
    text = "".join(
        identity(p) for p in (kernel, f"/lib/modules/{version}/modules.dep", BUSYBOX)
    ).encode()
    for path in (INIT, os.path.realpath(__file__)):
        with open(path, "rb") as f:
            text += f.read()
    return hashlib.sha256(text).hexdigest()[:16]


def tool(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"no {name}: apt-get install {package}")
    return path


def kernel_elf(bzimage):
    """The ELF inside a bzImage. It boots without being decompressed under emulation."""
    with open(bzimage, "rb") as f:
        image = f.read()
    if image[0x202:0x206] != b"HdrS":
        raise Missing(f"{bzimage} is not a bzImage")
    setup_sectors = image[0x1F1] or 4
    start = (setup_sectors + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    payload = image[start : start + int.from_bytes(image[0x24C:0x250], "little")]
    if payload.startswith(b"\xfd7zXZ\0"):
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b"\x1f\x8b"):
        elf = gzip.decompress(payload[:-4])  # the last word is the size that the kernel appends
    else:
        # QEMU boots the bzImage too; it only takes longer to unpack itself.
        return image
    return elf


def module_files(version):
    """(path, parameters) of every module to load, dependencies first, none twice."""
    modprobe = tool("modprobe", "kmod")
    files = {}
    for name in MODULES:
        run = subprocess.run(
            [modprobe, "-D", "-S", version, name], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise Missing(f"kernel {version} has no module {name}: {run.stderr.strip()}")
        for line in run.stdout.splitlines():
            if line.startswith("insmod "):
                path = line.split()[1]
                files[path] = PARAMETERS.get(os.path.basename(path), "")
    return list(files.items())


def without_signature(module):
    """Drops the appended signature: nothing demands it, and checking it is slow under emulation."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return module
    end = len(module) - len(magic)
    length = int.from_bytes(module[end - 4 : end], "big")
    return module[: end - 12 - length]


def cpio_entry(name, mode, data=b""):
    """One member of a newc archive."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initramfs(version):
    """An uncompressed archive: unpacking it costs more under emulation than reading it."""
    out = [cpio_entry(d, 0o040755) for d in ("bin", "modules", "proc", "sys", "dev", "disk", "host", "new")]
    with open(BUSYBOX, "rb") as f:
        out.append(cpio_entry("bin/busybox", 0o100755, f.read()))
    with open(INIT, "rb") as f:
        out.append(cpio_entry("init", 0o100755, f.read()))
    order = ""
    for path, parameters in module_files(version):
        with open(path, "rb") as f:
            data = f.read()
        name = os.path.basename(path)
        order += f"{name} {parameters}\n"
        out.append(cpio_entry("modules/" + name, 0o100644, without_signature(data)))
    out.append(cpio_entry("modules/order", 0o100644, order.encode()))
    out.append(cpio_entry("TRAILER!!!", 0))
    return b"".join(out)


def make_disk(path):
    """An empty ext4 without a journal; it lives for one run only."""
    with open(path, "wb") as f:
        f.truncate(DISK_SIZE)
    options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"
    run = subprocess.run(
        [tool("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-m0", "-O", "^has_journal,^metadata_csum"]
        + ["-E", options, path],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise Missing(f"mkfs.ext4 cannot make the lab's disk: {run.stderr.strip()}")


def build(target, version, kernel):
    with open(os.path.join(target, "vmlinux"), "wb") as f:
        f.write(kernel_elf(kernel))
    with open(os.path.join(target, "initramfs"), "wb") as f:
        f.write(initramfs(version))
    make_disk(os.path.join(target, "disk"))


def drop_unused(cache):
    for entry in os.scandir(cache):
        if entry.is_dir() and entry.stat().st_mtime < time.time() - UNUSED_DAYS * 86400:
            shutil.rmtree(entry.path, ignore_errors=True)


def ensure():
    """The directory that holds `vmlinux`, `initramfs` and `disk`, built when it is not there yet."""
    version, kernel = newest_kernel()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.path.join(home, "sandbar", "lab")
    target = os.path.join(cache, cache_key(version, kernel))
    if not os.path.isdir(target):
        os.makedirs(cache, mode=0o700, exist_ok=True)
        with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(target):
                drop_unused(cache)
                work = tempfile.mkdtemp(prefix="new-", dir=cache)
                try:
                    build(work, version, kernel)
                    os.rename(work, target)
                except BaseException:
                    shutil.rmtree(work, ignore_errors=True)
                    raise
    os.utime(target)
    return target
