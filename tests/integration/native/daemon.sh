# SPDX-License-Identifier: MIT
# vmcomputed with real workers and synthetic guests, as root and as an unprivileged user; 2,000 life
# cycles; and the same with a leak built in, which has to be found.
. tests/integration/lib.sh

guests='tests/guest/guest-hello tests/guest/guest-life tests/guest/guest-platform tests/guest/guest-hvsocket'
# shellcheck disable=SC2086
ninja --quiet -C build/gcc $guests >/dev/null || failures=1
tests/integration/daemon/run || failures=1
tests/integration/daemon/cycles 2000 || failures=1

# The user can read neither this tree, perhaps, nor what root made.
if [ "$(id -u)" = 0 ]; then
        chmod 755 "$work"
        mkdir -p "$work/user/guests" "$work/user/home"
        cp -r build/bin tests/integration/daemon "$work/user"
        for guest in $guests; do cp "build/gcc/$guest" "$work/user/guests"; done
        chown -R 65534:65534 "$work/user"
        as_user() {
                setpriv --reuid 65534 --regid 65534 --groups "$(stat -c %g /dev/kvm)" --inh-caps=-all \
                        env -i PATH="$PATH" HOME="$work/user/home" SANDBAR_AS_USER=1 \
                        SANDBAR_BIN="$work/user/bin" SANDBAR_GUESTS="$work/user/guests" "$@"
        }
        (cd "$work/user" && as_user daemon/run) || failures=1
fi

if [ ! -f build/leak/build.ninja ]; then
        meson setup -Dleak=true build/leak >"$work/out" 2>"$work/err"
fi
ninja --quiet -C build/leak src/vmcompute/vmcomputed >"$work/out" 2>"$work/err" || failures=1
mkdir "$work/leak"
cp build/leak/src/vmcompute/vmcomputed build/bin/vmwp "$work/leak"
run env SANDBAR_BIN="$work/leak" tests/integration/daemon/cycles 50
ok "a descriptor that leaks with each life cycle is found" sh -c "test $status = 1 && grep -q descriptors $work/out"
finish
