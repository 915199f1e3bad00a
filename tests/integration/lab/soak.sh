# SPDX-License-Identifier: MIT
# Two hundred sandboxes, one after another.
. tests/integration/lib.sh
wsb plain.wsb
for i in $(seq 200); do
        run "$bin/sandboxctl" run --cpus 1 "$work/plain.wsb" -- echo "round $i"
        ok "sandbox $i of 200" is out "round $i"
done
ok "nothing is left behind" nothing_left
finish
