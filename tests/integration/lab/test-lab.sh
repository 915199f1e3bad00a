#!/bin/sh
# SPDX-License-Identifier: MIT
# What tools/lab promises, each promise a sentence. Prints `ok N - sentence` or `not ok N - …`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
lab=$root/tools/lab
work=$(mktemp -d "${TMPDIR:-/tmp}/test-lab.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
count=0
failures=0

result() {
        count=$((count + 1))
        [ "$1" = ok ] || failures=$((failures + 1))
        echo "$1 $count - $2"
}

# check SENTENCE CMD…: CMD tells whether the sentence is true.
check() {
        sentence=$1
        shift
        if why=$("$@" 2>&1); then
                result ok "$sentence"
        else
                result "not ok" "$sentence"
                echo "$why" | sed 's/^/# /'
        fi
}

is() {
        [ "$1" = "$2" ] || { echo "'$1', not '$2'"; return 1; }
}

contains() {
        case $1 in
        *"$2"*) ;;
        *) echo "'$1' has no '$2'"; return 1 ;;
        esac
}

seconds() { date +%s.%N; }

# less A B: A is the smaller number.
less() {
        awk "BEGIN { exit !($1 < $2) }" || { echo "$1 is not less than $2"; return 1; }
}

# A line `ok - sentence` or `not ok - sentence` from the inside counts as a test here.
adopt() {
        while read -r line; do
                case $line in
                "ok - "*) result ok "${line#ok - }" ;;
                "not ok - "*) result "not ok" "${line#not ok - }" ;;
                *) echo "$line" ;;
                esac
        done <"$1"
        grep -q "ok - " "$1" || result "not ok" "$2"
}

artefacts() {
        /usr/bin/python3 -B -c '
import sys
sys.path.insert(0, sys.argv[1])
import artefacts
print(artefacts.ensure())' "$@"
}

keeps_the_status() {
        "$lab" -- sh -c 'exit 7' </dev/null
        is $? 7
}

gives_the_signal() {
        "$lab" -- sh -c 'kill -9 $$' </dev/null
        is $? 137
}

names_a_missing_command() {
        text=$("$lab" -- no-such-command 2>&1 </dev/null)
        is $? 127 && contains "$text" "no-such-command: not found"
}

keeps_the_streams_apart() {
        head -c 1048576 /dev/urandom >"$work/one" && head -c 1048576 /dev/urandom >"$work/two"
        # shellcheck disable=SC2016
        "$lab" -- sh -c 'cat "$1" & cat "$2" >&2; wait' sh "$work/one" "$work/two" \
                >"$work/out" 2>"$work/err" </dev/null
        cmp "$work/one" "$work/out" && cmp "$work/two" "$work/err"
}

passes_standard_input() {
        head -c 1000000 /dev/urandom >"$work/in"
        cat "$work/in" | "$lab" -- cat >"$work/out" && cmp "$work/in" "$work/out"
}

shows_the_end_of_empty_input() {
        is "$("$lab" -- cat </dev/null 2>&1; echo $?)" 0
}

ignores_input_that_nobody_reads() {
        mkfifo "$work/silent"
        sleep 100 >"$work/silent" &
        "$lab" -- true <"$work/silent"
        status=$?
        kill $!
        is $status 0
}

keeps_arguments() {
        set -- 'two words' 'a
line' "it's" '"$HOME" `id` \' '' '*' '--' 'ü'
        printf '<%s>' "$@" >"$work/expected"
        # The shell's own printf, so that nothing but the lab handles the arguments.
        # shellcheck disable=SC2016
        "$lab" -- sh -c 'printf "<%s>" "$@"' sh "$@" >"$work/out" </dev/null
        cmp "$work/expected" "$work/out"
}

keeps_directory_and_variables() {
        mkdir "$work/a directory"
        cd "$work/a directory" || return
        # shellcheck disable=SC2016
        text=$(TERM=vt220 PASSED='by name' "$lab" --env PASSED --env "SET=to a value" -- \
                sh -c 'echo "$PWD|$TERM|$PASSED|$SET"' </dev/null)
        is "$text" "$work/a directory|vt220|by name|to a value"
}

shows_output_as_it_comes() {
        "$lab" -- sh -c 'echo first; sleep 2; echo second' </dev/null | {
                read -r _
                first=$(seconds)
                read -r _
                less 1 "$(awk "BEGIN { print $(seconds) - $first }")"
        }
}

leaves_nothing_behind_on_the_host() {
        cd "$work" || return
        "$lab" -- sh -c 'echo changed >one; touch new; sleep 1000 & ls new' </dev/null &&
                [ ! -e new ] && less 1000 "$(stat -c %s one)"
}

times_out() {
        text=$("$lab" --timeout 8 -- sleep 1000 2>&1 </dev/null)
        is $? 124 && contains "$text" "ended after 8 s while this command was running: sleep 1000"
}

names_a_hung_boot() {
        text=$("$lab" --timeout 0.2 -- true 2>&1 </dev/null)
        is $? 124 && contains "$text" "ended after 0.2 s while the software host was booting"
}

shows_the_console_of_a_crash() {
        text=$("$lab" -- sh -c 'echo c >/proc/sysrq-trigger' 2>&1 </dev/null)
        is $? 125 && contains "$text" "sysrq triggered crash" &&
                contains "$text" "the machine ended while this command was running"
}

emulator_of() {
        for _ in $(seq 100); do
                pgrep -P "$1" qemu && return
                sleep 0.1
        done
}

# ends_by SIGNAL STATUS: the signal ends the lab with that status, and its emulator with it.
ends_by() {
        "$lab" -- sleep 1000 </dev/null >/dev/null 2>&1 &
        process=$!
        emulator=$(emulator_of $process)
        kill -s "$1" $process
        wait $process
        is $? "$2" || return
        for _ in $(seq 50); do
                kill -0 "$emulator" || return 0
                sleep 0.1
        done 2>/dev/null
        echo "the emulator lives on"
        return 1
}

ends_with_its_reader() {
        # shellcheck disable=SC2216
        is "$(timeout 60 "$lab" -- yes </dev/null | head -n 1)" y
}

builds_once_for_all() {
        XDG_CACHE_HOME=$work/cache artefacts "$root/tools/lab.d" >"$work/first" &
        second=$(XDG_CACHE_HOME=$work/cache artefacts "$root/tools/lab.d")
        wait $!
        is "$second" "$(cat "$work/first")" && is "$(ls "$work/cache/sandbar/lab" | grep -vc lock)" 1
}

builds_anew_for_new_inputs() {
        cp -r "$root/tools/lab.d" "$work/lab.d"
        echo "# changed" >>"$work/lab.d/init"
        other=$(XDG_CACHE_HOME=$work/cache artefacts "$work/lab.d")
        [ -s "$other/initramfs" ] && [ "$other" != "$(cat "$work/first")" ]
}

begins_soon() {
        best=1000
        for _ in 1 2; do
                begin=$(seconds)
                "$lab" -- true </dev/null || return
                best=$(awk "BEGIN { t = $(seconds) - $begin; print t < $best ? t : $best }")
        done
        echo "# $best s" >&3
        less "$best" 10
}

guest_initramfs() {
        /usr/bin/python3 -B -c '
import sys
sys.path.insert(0, sys.argv[1])
from artefacts import BUSYBOX, cpio_entry
script = b"#!/busybox sh\necho hello from the guest\n/busybox poweroff -f\n"
with open(BUSYBOX, "rb") as f:
    busybox = f.read()
with open(sys.argv[2], "wb") as f:
    f.write(cpio_entry("busybox", 0o100755, busybox) + cpio_entry("init", 0o100755, script))
    f.write(cpio_entry("TRAILER!!!", 0))' "$root/tools/lab.d" "$1"
}

begin=$(seconds)
exec 3>&1
kernel=$(artefacts "$root/tools/lab.d")/vmlinux || exit 1
check "keeps the exit status" keeps_the_status
check "gives 128 plus the number of the signal that ended the command" gives_the_signal
check "gives 127 for a command that is not there, and names it" names_a_missing_command
check "keeps a MiB of output and a MiB of errors apart, byte for byte" keeps_the_streams_apart
check "passes standard input on, byte for byte, to its end" passes_standard_input
check "shows the command the end of an empty input" shows_the_end_of_empty_input
check "does not wait for input that nobody reads" ignores_input_that_nobody_reads
check "keeps arguments with spaces, quotes, newlines and nothing in them" keeps_arguments
check "keeps the directory, TERM and the variables that are asked for" keeps_directory_and_variables
check "shows output as it comes" shows_output_as_it_comes
check "keeps what the command writes and starts off the host" leaves_nothing_behind_on_the_host
check "ends a command that takes too long with 124 and names it" times_out
check "names the boot when that takes too long" names_a_hung_boot
check "shows the console when the machine crashes" shows_the_console_of_a_crash
check "ends its emulator on SIGTERM" ends_by TERM 143
check "takes its emulator along on SIGKILL" ends_by KILL 137
check "ends when nobody reads the output any more" ends_with_its_reader
check "builds its artefacts once when two begin together" builds_once_for_all
check "builds its artefacts anew when an input changes" builds_anew_for_new_inputs
check "reaches the command within 10 seconds" begins_soon
guest_initramfs "$work/guest"
"$lab" -- "$here/inside.sh" root "$kernel" "$work/guest" >"$work/root" </dev/null
adopt "$work/root" "inside.sh runs as root"
"$lab" --user -- "$here/inside.sh" user >"$work/user" </dev/null
adopt "$work/user" "inside.sh runs as a user"
awk "BEGIN { printf \"%d tests, %d failed, %.0f s\n\", $count, $failures, $(seconds) - $begin }"
[ $failures -eq 0 ]
