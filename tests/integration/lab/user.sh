# SPDX-License-Identifier: MIT
# The same for a user who may open /dev/kvm and nothing else.
. tests/integration/lib.sh

ok "this is not root" test "$(id -u)" != 0
run "$bin/sandboxctl" run examples/hello.wsb
ok "an unprivileged user runs a sandbox" sh -c "test $status = 0 && grep -q '^hello from' $work/out"
wsb plain.wsb
"$bin/sandboxctl" run "$work/plain.wsb" -- sh -c 'echo up; sleep 600' >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 120); do
        has out up && break
        sleep 0.5
done
worker=$(pgrep -f "$bin/vmwp" | head -n 1)
ok "the worker is there" test -n "$worker"
ok "the worker filters its system calls" grep -q '^Seccomp:[[:space:]]*2' "/proc/$worker/status"
ok "the worker can gain no privileges" grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$worker/status"
ok "the worker has no capabilities" grep -q '^CapEff:[[:space:]]*0000000000000000' "/proc/$worker/status"
kill -INT $pid
wait $pid 2>/dev/null
ok "nothing is left behind" nothing_left
finish
