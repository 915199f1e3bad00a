#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the lab, as `inside.sh root KERNEL INITRAMFS` or `inside.sh user`: prints `ok` or `not ok` with a
# sentence for each thing that a test in the lab relies on.

check() {
        sentence=$1
        shift
        if why=$("$@" 2>&1); then
                echo "ok - $sentence"
        else
                echo "not ok - $sentence"
                echo "$why" | sed 's/^/# /'
        fi
}

is() {
        [ "$1" = "$2" ] || { echo "'$1', not '$2'"; return 1; }
}

kvm_api_version() {
        is "$(/usr/bin/python3 -c '
import fcntl, os
print(fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), 0xAE00))')" 12
}

writable() {
        for directory in "$@"; do
                touch "$directory/written" || return
        done
}

extended_attributes() {
        /usr/bin/python3 -c '
import os, sys
for place in sys.argv[1:]:
    path = os.path.join(place, "attribute")
    open(path, "w").close()
    os.setxattr(path, "user.lab", b"value")
    assert os.getxattr(path, "user.lab") == b"value"' "$@"
}

direct_io() {
        dd if=/dev/zero of="$TMPDIR/direct" bs=4096 count=1 oflag=direct
}

overlay_on_tmpdir() {
        cd "$TMPDIR" && mkdir -p lower upper work merged || return
        unshare -Urm mount -t overlay overlay -o \
                lowerdir=lower,upperdir=upper,workdir=work,userxattr merged
}

reopens_output() {
        is "$(sh -c 'echo again >/dev/stdout')" again && echo again >/dev/stderr
}

default_signals() {
        is "$(sed -n 's/^SigIgn:\t//p' /proc/self/status)" 0000000000000000
}

loopback() {
        /usr/bin/python3 -c '
import socket
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), 5)'
}

mounts() {
        for line in "/proc proc" "/sys sysfs" "/dev devtmpfs" "/dev/pts devpts" "/run tmpfs" \
                "/dev/shm tmpfs" "/sys/fs/cgroup cgroup2"; do
                grep -q " $line " /proc/mounts || { echo "no $line"; return 1; }
        done
}

for_all() {
        is "$(stat -c %a /dev/kvm /dev/fuse | tr '\n' ' ')" "666 666 "
}

kvm_parameters() {
        cd /sys/module/kvm_amd/parameters && is "$(cat nested npt | tr '\n' ' ')" "0 Y "
}

opens() {
        /usr/bin/python3 -c '
import os, sys
for path in sys.argv[1:]:
    os.close(os.open(path, os.O_RDWR))' "$@"
}

# A guest of KVM here, with this kernel and nothing but busybox, that says hello and powers off.
boots_a_guest() {
        console=$(timeout 60 qemu-system-x86_64 -accel kvm -M microvm,isa-serial=on,rtc=on \
                -cpu host -m 512 -nodefaults -no-user-config -no-reboot -display none \
                -serial stdio -kernel "$1" -initrd "$2" \
                -append "console=ttyS0 quiet panic=-1" </dev/null 2>&1)
        case $console in
        *"hello from the guest"*) ;;
        *) echo "$console"; return 1 ;;
        esac
}

check "$1: is told that it runs in the lab" is "$SANDBAR_LAB" 1
check "$1: has a KVM that answers" kvm_api_version
check "$1: may write to its home, state, temporary and runtime directories" \
        writable "$HOME" "$XDG_STATE_HOME" "$TMPDIR" "$XDG_RUNTIME_DIR" /tmp
check "$1: has user xattrs in the temporary and state directories" \
        extended_attributes "$TMPDIR" "$XDG_STATE_HOME"
check "$1: has direct I/O in the temporary directory" direct_io
check "$1: may make a user namespace" unshare -Ur true
check "$1: may mount an overlay on the temporary directory" overlay_on_tmpdir
check "$1: may open its output anew" reopens_output
check "$1: finds no signal ignored" default_signals
check "$1: reaches itself by loopback" loopback
check "$1: may open KVM, FUSE and TUN" opens /dev/kvm /dev/fuse /dev/net/tun

if [ "$1" = root ]; then
        check "root: is root" is "$(id -u)" 0
        check "root: has the mounts of a normal host" mounts
        check "root: has KVM and FUSE for everybody" for_all
        check "root: has KVM with nested paging and without nesting" kvm_parameters
        check "root: is on a host named lab" is "$(hostname)" lab
        check "root: has the host's limit of descriptors" is "$(ulimit -Hn)" 524288
        check "root: loads cifs when asked" modprobe cifs
        check "root: loads vhost_vsock when its device is opened" opens /dev/vhost-vsock
        check "root: boots a stock kernel as a guest of KVM" boots_a_guest "$2" "$3"
else
        check "user: is not root" test "$(id -u)" -ge 1000
        check "user: has no capability" \
                is "$(sed -n 's/^CapEff:\t//p' /proc/self/status)" 0000000000000000
        check "user: has a private runtime directory" \
                is "$(stat -c %a "$XDG_RUNTIME_DIR")" 700
fi
