# SPDX-License-Identifier: MIT
# What sandboxctl says and returns before any machine runs.
. tests/integration/lib.sh

run "$bin/sandboxctl" --version
ok "tells its version" has out "sandboxctl "
run "$bin/sandboxctl" --help
ok "lists its commands" has out "run "
run "$bin/sandboxctl"
ok "no command is wrong usage" test "$status" = 2
run "$bin/sandboxctl" nonsense
ok "an unknown command is wrong usage and names itself" sh -c "test $status = 2 && grep -q nonsense $work/err"

run "$bin/sandboxctl" check examples/hello.wsb
ok "check passes a good file" test "$status" = 0
printf '<Configuration>\n  <Networking>Disabled</Networking>\n</Configuration>\n' >"$work/bad.wsb"
run "$bin/sandboxctl" check "$work/bad.wsb"
ok "check fails a bad file" test "$status" = 1
ok "the refusal names file, line and column" has err "bad.wsb:2:"
ok "the refusal names the HRESULT" has err "0x80070057"
ok "the refusal says what would have been accepted" has err "Disable"
run "$bin/sandboxctl" check --json "$work/bad.wsb"
ok "check --json prints the error as an object" python3 -c "
import json; d = json.load(open('$work/out')); assert '80070057' in json.dumps(d).upper() or '2147024809' in json.dumps(d)"
run "$bin/sandboxctl" check --json examples/hello.wsb
ok "check --json prints the normalised settings" python3 -c "
import json; d = json.load(open('$work/out')); assert 'Disable' in json.dumps(d)"
run "$bin/sandboxctl" check "$work/absent.wsb"
ok "check of an unreadable file is status 2" test "$status" = 2
run "$bin/sandboxctl" check
ok "check without a file is status 2" test "$status" = 2
printf '<Configuration><MappedFolders><MappedFolder><HostFolder>/no/such/folder</HostFolder></MappedFolder></MappedFolders></Configuration>' >"$work/folder.wsb"
run "$bin/sandboxctl" check "$work/folder.wsb"
ok "a missing folder is a warning" sh -c "test $status = 0 && grep -q /no/such/folder $work/out $work/err"
run "$bin/sandboxctl" check --host "$work/folder.wsb"
ok "a missing folder is a failure with --host" test "$status" = 1

run "$bin/sandboxctl" run "$work/bad.wsb"
ok "run refuses a bad file with 125" test "$status" = 125
ok "run names the place in the file" has err "bad.wsb:2:"
run "$bin/sandboxctl" run "$work/folder.wsb" -- true
ok "run refuses a missing folder with 125" sh -c "test $status = 125 && grep -q /no/such/folder $work/err"
wsb plain.wsb
run "$bin/sandboxctl" run "$work/plain.wsb"
ok "no command and no terminal is 125, with the remedy" sh -c "test $status = 125 && grep -q -- -- $work/err"
run "$bin/sandboxctl" run --cpus 0 "$work/plain.wsb" -- true
ok "--cpus 0 is refused" sh -c "test $status = 125 && grep -q -- '--cpus 0' $work/err"
run "$bin/sandboxctl" run --memory 3 "$work/plain.wsb" -- true
ok "--memory 3 is refused" test "$status" = 125
run "$bin/sandboxctl" run --kernel /etc/passwd "$work/plain.wsb" -- true
ok "a kernel that is none is refused by name" sh -c "test $status = 125 && grep -q /etc/passwd $work/err"
run "$bin/sandboxctl" run --socket "$work/no.sock" "$work/plain.wsb" -- true
ok "a socket that is not there is named" sh -c "test $status = 125 && grep -q no.sock $work/err"

if grep -qwE 'vmx|svm' /proc/cpuinfo; then
        skip "a host without VT-x or AMD-V is refused at once" "this CPU has them"
else
        run "$bin/sandboxctl" run examples/hello.wsb
        ok "a host without VT-x or AMD-V is refused at once" sh -c "test $status = 125 && grep -q 0xC0351000 $work/err"
        ok "the refusal names the remedy" has err "tools/lab"
        ok "nothing is left behind" nothing_left
fi
finish
