# SPDX-License-Identifier: MIT
# A stock Debian kernel in a sandbox, run inside the lab.
. tests/integration/lib.sh
sandboxctl=$bin/sandboxctl

run "$sandboxctl" run examples/hello.wsb
ok "runs the logon command of a file" sh -c "test $status = 0 && grep -q '^hello from' $work/out"
ok "nothing is left behind" nothing_left

wsb plain.wsb
wsb logon.wsb 'echo to-out; echo to-err >&2; exit 3'
run "$sandboxctl" run "$work/logon.wsb"
ok "exits with the command's status" test "$status" = 3
ok "keeps standard output and error apart" sh -c "grep -qx to-out $work/out && grep -qx to-err $work/err && ! grep -q to-err $work/out"

# One machine for many commands would hide what one start does; one start for many facts is enough.
# shellcheck disable=SC2016
probe='echo "cpus=$(nproc)"; echo "args=$#:$1:$2"
printf "sum="; md5sum
printf "hv="; cat /sys/bus/vmbus/devices/*/class_id | sort | tr "\n" " "; echo
dmesg -r >/tmp/log 2>/dev/null || cat /dev/kmsg >/tmp/log
echo "bad=$(grep -cE "^<[0-3]>" /tmp/log)"
grep -E "^<[0-3]>|WARNING:|BUG:|Oops|hung task" /tmp/log | sed "s/^/log: /"
cat /sys/devices/system/clocksource/clocksource0/current_clocksource | sed "s/^/clock=/"'
head -c 1000000 /dev/urandom >"$work/random"
for cpus in 1 4; do
        status=0
        "$sandboxctl" run --cpus $cpus "$work/plain.wsb" -- sh -c "$probe" sh 'a b' "c'd" \
                <"$work/random" >"$work/out" 2>"$work/err" || status=$?
        ok "a command runs on $cpus processors" sh -c "test $status = 0 && grep -qx cpus=$cpus $work/out"
        ok "arguments arrive as they are ($cpus)" has out "args=2:a b:c'd"
        ok "a megabyte of input arrives whole ($cpus)" has out "sum=$(md5sum <"$work/random")"
        ok "the guest's kernel log is clean ($cpus)" sh -c "grep -qx bad=0 $work/out && ! grep '^log: ' $work/out | grep -vFf tests/integration/lab/kernel-log-allowed.txt"
done
ok "the guest sees the integration services" has out "0e0b6031-5213-4934-818b-38d90ced39db"

# shellcheck disable=SC2016
run "$sandboxctl" run "$work/plain.wsb" -- sh -c 'kill -KILL $$'
ok "a signal is 128 and its number" test "$status" = 137
run "$sandboxctl" run "$work/plain.wsb" -- /no/such/program
ok "a program that is not there is 125 and named" sh -c "test $status = 125 && grep -q /no/such/program $work/err"

run timeout 60 script -qec "$sandboxctl run $work/plain.wsb -- sh -c 'tty; stty size'" /dev/null
ok "a terminal on both ends gets a pty" has out /dev/pts/

run "$sandboxctl" run "$work/plain.wsb" -- sh -c 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60'
ok "a crash of the guest's kernel is reported with its text" sh -c "test $status = 125 && grep -qi 'sysrq triggered crash' $work/err"
run "$sandboxctl" run "$work/plain.wsb" -- sh -c 'poweroff; sleep 60'
ok "a guest that powers off ends the sandbox" test "$status" != 0
ok "nothing is left behind after crashes and power off" nothing_left

for signal in INT KILL; do
        "$sandboxctl" run "$work/plain.wsb" -- sh -c 'echo up; sleep 600' >"$work/out" 2>"$work/err" &
        pid=$!
        for _ in $(seq 120); do
                has out up && break
                sleep 0.5
        done
        ok "a sandbox is up before SIG$signal" has out up
        kill -$signal $pid
        wait $pid 2>/dev/null
        ok "SIG$signal of the client leaves nothing behind" nothing_left
done

for i in 1 2 3 4 5 6 7 8 9 10; do
        run "$sandboxctl" run --cpus 1 "$work/plain.wsb" -- echo "round $i"
        ok "sandbox $i of ten in a row" is out "round $i"
done
ok "nothing is left behind in the end" nothing_left
finish
