# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What the tests of tfs-backup share. A test sources it first; then: $tmp, $bk, $R (a repository to be made), $bin.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
self=$0
bin=$(realpath "${BIN:-build/bin}")
tmp=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bk=$bin/tfs-backup
R=$tmp/repo
export XDG_STATE_HOME=$tmp/state TFS_BACKUP_KEY_FILE=$tmp/key
head -c 64 /dev/urandom >"$tmp/key"
fail() { echo "FAILED: $*; repeat: $self"; head -20 "$tmp/o" "$tmp/e" 2>/dev/null; exit 1; }
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	timeout 300 "$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || fail "expected exit $want, found $got: $*"
	[ "$want" = 0 ] || [ -s "$tmp/e" ] || fail "no message: $*"
}
has() { grep -qE -e "$1" "$tmp/o" || fail "expected '$1' in the output"; }
says() { grep -qE -e "$1" "$tmp/e" || fail "expected '$1' on standard error"; }
field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$tmp/o" | head -1; }
volume() { # IMAGE [SIZE]
	local dir=$tmp/source
	[ -d "$dir" ] || { mkdir -p "$dir/d"; seq 1 60000 >"$dir/numbers"; cp "$dir/numbers" "$dir/again"; echo small >"$dir/d/small"; ln -s small "$dir/d/link"; }
	"$bin/mkfs.tfs" -q --from "$dir" --size "${2:-16M}" "$1"
	"$bin/bk-change" "$1" some 7 60
}
tree() { "$bin/dump.tfs" tar "$@" | sha256sum; } # all names, attributes and contents
same() { # BACKUP IMAGE: restored, it is sound and holds what the image holds
	rm -f "$tmp/restored"
	expect 0 "$bk" restore "$R" "$1" --to "$tmp/restored"
	expect 0 "$bin/fsck.tfs" -fn --data "$tmp/restored"
	[ "$(tree "$tmp/restored")" = "$(tree "$2")" ] || fail "backup $1 differs from $2"
}
killed() { # AT COMMAND...: killed there; 1: it ended before
	local code=0
	{ DIE_AT=$1 LD_PRELOAD=$bin/die.so "${@:2}" >"$tmp/o" 2>"$tmp/e"; } 2>/dev/null || code=$?
	[ $code = 137 ] && return 0
	[ $code = 0 ] || fail "killed at $1: exit $code: ${*:2}"
	return 1
}
stopped() { # PID: waits until it has stopped itself (STOP_AT of die.c), however long that takes
	while :; do
		case $(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) in T) return 0 ;; Z | "") fail "it ended before it stopped" ;; esac
		sleep 0.02
	done
}
