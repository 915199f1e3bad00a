# SPDX-License-Identifier: MIT
# Sentences for shell tests. Sourced with the tree as working directory.
#   ok "keeps the exit status" test "$status" = 3
# prints one TAP line; finish ends with the script's status.

bin=$PWD/build/bin
work=$(mktemp -d)
# What others leave in /tmp is not counted. Tests that act for other users get there, too.
mkdir "$work/tmp"
chmod 755 "$work" "$work/tmp"
export TMPDIR="$work/tmp"
failures=0
trap 'rm -rf "$work"' EXIT

ok() {
        sentence=$1
        shift
        if "$@"; then
                echo "ok - $sentence"
        else
                echo "not ok - $sentence"
                failures=$((failures + 1))
                for file in out err; do
                        [ -s "$work/$file" ] && sed "s/^/    $file: /" "$work/$file" | tail -n 15
                done
                echo "    status: ${status-}"
        fi
}

skip() { # sentence, reason
        echo "ok - $1 # skip $2"
}

# Runs a command; its streams go to $work/out and $work/err, its status to $status.
run() {
        status=0
        "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}

has() { # file text
        grep -qF -- "$2" "$work/$1"
}

is() { # file text: the whole content
        printf '%s\n' "$2" | cmp -s - "$work/$1"
}

wsb() { # file [LogonCommand]: a configuration without network
        {
                echo '<Configuration><Networking>Disable</Networking>'
                [ $# -lt 2 ] || printf '<LogonCommand><Command><![CDATA[%s]]></Command></LogonCommand>\n' "$2"
                echo '</Configuration>'
        } >"$work/$1"
}

# No process of ours, and no socket or state beside the caches.
left_behind() {
        pgrep -f "$bin/(vmcomputed|vmwp)" >"$work/left" || true
        find "${XDG_RUNTIME_DIR:-/run}/sandbar" "$TMPDIR" "${XDG_STATE_HOME:-$HOME/.local/state}/sandbar" \
                -mindepth 1 >>"$work/left" 2>/dev/null || true
        cat "$work/left"
}

nothing_left() {
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                [ -z "$(left_behind)" ] && return 0
                sleep 0.5
        done
        cp "$work/left" "$work/err"
        return 1
}

finish() {
        [ "$failures" = 0 ]
}
