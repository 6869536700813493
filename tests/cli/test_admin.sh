#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The tool tfs on volumes that are not mounted: what each command does and leaves, what is refused and how, retention of
# snapshot auto by names made beforehand, and that fsck.tfs finds nothing afterwards.
set -eu
export LC_ALL=C
bin=$(realpath "${BIN:-build/bin}")
dump=$bin/dump.tfs t=$bin/tfs
tmp=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")") # hundreds of flushes
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*; repeat: tests/cli/test_admin.sh"; head -20 "$tmp/o" "$tmp/e" 2>/dev/null; exit 1; }
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	timeout 60 "$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || fail "expected exit $want, found $got: $*"
	if [ "$want" = 0 ]; then [ ! -s "$tmp/e" ] || fail "a message without need: $*"; else [ -s "$tmp/e" ] || fail "no message: $*"; fi
}
has() { grep -qE -e "$1" "$tmp/o" || fail "expected '$1' in the output"; }
says() { grep -qE -e "$1" "$tmp/e" || fail "expected '$1' in the message"; }
lacks() { ! grep -qE -e "$1" "$tmp/o" || fail "expected no '$1' in the output"; }
names() { "$t" --json snapshot list "$1" | python3 -c 'import json,sys; print(" ".join(json.loads(l)["name"] for l in sys.stdin))'; }
field() { python3 -c 'import json,sys; print([l for l in map(json.loads, open(sys.argv[1])) if l.get("name", sys.argv[2]) == sys.argv[2]][0][sys.argv[3]])' "$tmp/o" "$1" "$2"; }

mkdir "$tmp/src"; for n in $(seq 300); do seq "$n" 900 >"$tmp/src/$n"; done; echo small >"$tmp/src/small"
i=$tmp/a.img
"$bin/mkfs.tfs" -q --size 32M --from "$tmp/src" "$i"

# snapshots: made, listed, renamed, held, deleted
expect 0 "$t" snapshot list "$i"; [ ! -s "$tmp/o" ] || fail "a volume without snapshots lists some"
expect 0 "$t" snapshot create "$i" one; [ ! -s "$tmp/o" ] || fail "create prints something"
expect 0 "$t" --json snapshot create "$i" two; has '^\{"what":"created","name":"two","epoch":[0-9]+\}$'
expect 1 "$t" snapshot create "$i" one; says 'one: there is a snapshot of that name'
for bad in "" . .. a/b; do expect 1 "$t" snapshot create "$i" "$bad"; says 'expected a name'; done
expect 1 "$t" snapshot create "$i" "$(printf '%0256d' 0)"; says 'at most 255'
expect 0 "$t" snapshot create "$i" "$(printf '%0255d' 0)"; expect 0 "$t" snapshot delete "$i" "$(printf '%0255d' 0)"
expect 0 "$t" snapshot rename "$i" two zwei; [ "$(names "$i")" = "one zwei" ] || fail "rename: $(names "$i")"
expect 1 "$t" snapshot rename "$i" two drei; says 'no such snapshot'; expect 1 "$t" snapshot rename "$i" one zwei
expect 0 "$t" snapshot hold "$i" zwei; expect 0 "$t" snapshot hold "$i" zwei
expect 3 "$t" snapshot delete "$i" zwei; says held; expect 0 "$t" snapshot release "$i" zwei
expect 3 "$t" snapshot delete "$i" zwei; expect 0 "$t" snapshot release "$i" zwei; expect 1 "$t" snapshot release "$i" zwei; says 'not held'
expect 0 "$t" snapshot list "$i"; has '^CREATED '; has '^20[0-9-]+T[0-9:]+Z +[0-9.]+ [KM]iB +0 B +0  one$'
expect 0 "$t" --json snapshot list "$i"; [ "$(field one holds)" = 0 ] && [ "$(field one inodes)" = 302 ] || fail "fields of a snapshot"
cp "$i" "$tmp/before.img"
expect 1 "$t" snapshot delete "$i" zwei none; says 'none: no such'; [ "$(names "$i")" = one ] || fail "of two names the good one was not deleted"
expect 0 "$bin/fsck.tfs" -fn --data "$i"
expect 0 "$dump" cat --snapshot one "$i" 17; cmp "$tmp/o" "$tmp/src/17" || fail "content of a snapshot"

# forwarding: rules on what is there and on what comes, by name; what nobody could send to is refused
s=$tmp/s.img; mkdir -p "$tmp/log/sub/deep" "$tmp/log/other"; for n in a.log sub/b.log sub/deep/c.log b.txt; do echo "a line of $n" >"$tmp/log/$n"; done
"$bin/mkfs.tfs" -q --size 32M --from "$tmp/log" "$s"
expect 0 "$t" ship list "$s"; [ ! -s "$tmp/o" ] || fail "a volume without rules lists some"
for bad in relp: relp://h:0 http://h "udp://h?x=1" ""; do expect 1 "$t" ship add "$s" "$bad"; says 'expected'; done
expect 1 "$t" ship add "$s" udp://h "$(printf '%0256d' 0)"; says 'at most 255'; expect 1 "$t" ship add "$s" udp://h --path none; says 'none: no such'
expect 0 "$t" --json ship add "$s" relp://10.0.0.2 '*.log'; has '^\{"what":"added","rule":[0-9]+,"files":3\}$'; rule=$(field - rule)
expect 0 "$t" ship add "$s" udp://h --path sub/deep/ --from-start; has '^added rule=[0-9]+ files=1$'
expect 0 "$t" --json ship list "$s"; has "\"rule\":$rule,\"on\":1,\"target\":\"relp://10.0.0.2\",\"pattern\":\"\*.log\",\"files\":3,\"behind\":0,\"pending\":0"
has '"target":"udp://h","pattern":"","files":1,"behind":1,"pending":25'
expect 0 "$t" ship list "$s"; has '^RULE '; has '^[0-9]+ +1 +1 +25 B +[0-9]+  udp://h$'; expect 0 "$bin/fsck.tfs" -fn "$s"
expect 1 "$t" ship remove "$s" x 99999; says 'expected a rule'; says '99999: no such rule'; expect 0 "$t" ship remove "$s" "$rule"
expect 0 "$t" ship list "$s"; lacks relp; expect 0 "$bin/fsck.tfs" -fn "$s"

# what one holds alone: all that was written again since, and deleting it frees that
f=$tmp/f.img; "$bin/mutate" make "$f"; "$bin/mutate" "$f" snapshots:4
expect 0 "$t" --json snapshot list "$f"; lacks two
"$dump" --json snapshots "$f" | grep -o '"name":"[a-z]*"\|"exclusive":[0-9]*' >"$tmp/d"; grep -o '"name":"[a-z]*"\|"exclusive":[0-9]*' "$tmp/o" | diff - "$tmp/d" || fail "exclusive bytes differ from dump.tfs"
one=$(field one exclusive); [ "$one" -gt 0 ] || fail "nothing is exclusive"
expect 0 "$t" --json df "$f"; free=$(field - free) held=$(field - by_snapshots); [ "$held" -ge "$one" ] || fail "held $held, exclusive $one"
expect 0 "$t" snapshot delete "$f" one; expect 0 "$t" --json df "$f"
[ $((held - $(field - by_snapshots))) -ge $((one - 4096)) ] && [ "$(field - free)" -gt "$free" ] || fail "deleting freed less than was exclusive"
expect 0 "$t" snapshot delete "$f" three four; expect 0 "$t" --json df "$f"; [ "$(field - by_snapshots)" = 0 ] || fail "without snapshots something is held"
expect 0 "$bin/fsck.tfs" -fn --data "$f"

# diff: as dump.tfs has it
f=$tmp/g.img; "$bin/mutate" make "$f"; "$bin/mutate" "$f" snapshots:4
for a in "one three" "three four" "four" "-i one three" "--json one four" "one one"; do
	"$dump" diff "$f" $a >"$tmp/want" 2>/dev/null; expect 0 "$t" snapshot diff "$f" $a; cmp "$tmp/o" "$tmp/want" || fail "diff $a differs from dump.tfs"
done
expect 1 "$t" snapshot diff "$f" four one; says 'older snapshot first'; expect 1 "$t" snapshot diff "$f" none

# df adds up
expect 0 "$t" --json df "$i"
python3 - "$tmp/o" <<'P' || fail "df does not add up"
import json, sys
l = [json.loads(x) for x in open(sys.argv[1])]
v, runs = l[0], l[1:]
assert v['used'] + v['free'] == v['size'] - 65536 - 32768 or v['used'] + v['free'] <= v['size'], v
assert sum(r['bytes'] for r in runs) == v['free'], (v['free'], runs)
assert all(r['from'] * r['runs'] <= r['bytes'] for r in runs)
P
expect 0 "$t" df "$i"; has '^  available '; has 'free_runs from='

# the compactor
expect 0 "$t" compact "$i"; has 'state +not mounted'; expect 1 "$t" compact "$i" auto; says 'not mounted'; expect 1 "$t" compact "$i" frob
expect 0 "$t" compact "$i" now; has '  whole +[0-9]'; expect 0 "$bin/fsck.tfs" -fn --data "$i"
expect 0 "$t" compact "$i" now -q; [ ! -s "$tmp/o" ] || fail "-q prints something"

# scattered content: counted, joined in one file or in all, read the same; what is no file is named
"$bin/mutate" "$i" scatter; "$bin/dump.tfs" cat "$i" scattered | md5sum >"$tmp/sum"
expect 0 "$t" defrag -n "$i"; has 'scattered +20$'; lacks joined; expect 0 "$t" defrag -n "$i"; has 'scattered +20$'
expect 0 "$t" defrag "$i" --path small; has 'scattered +0$'; expect 1 "$t" defrag "$i" --path none; says 'none: no such file'; expect 1 "$t" defrag "$i" --path .; says 'expected a regular file'
expect 0 "$t" defrag --json "$i" --path scattered; has '"scattered":20,"joined":20,"moved_bytes":1310720,"left":0'
expect 0 "$t" defrag "$i"; has 'scattered +0$'; "$bin/dump.tfs" cat "$i" scattered | md5sum | cmp -s - "$tmp/sum" || fail "content differs after defrag"
expect 0 "$bin/fsck.tfs" -fn --data "$i"; expect 0 "$t" defrag -q "$i"; [ ! -s "$tmp/o" ] || fail "-q prints something"

# retention: newest of each period, what is held and what has another name stays
for n in auto-20200101T0000Z auto-20240229T1200Z auto-20240302T0100Z auto-20240302T0159Z auto-20240302T0200Z auto-2024 auto-20240230T0000Z other-20200101T0000Z; do
	expect 0 "$t" snapshot create "$i" $n
done
expect 0 "$t" snapshot hold "$i" auto-20200101T0000Z
kept="auto-2024 auto-20200101T0000Z auto-20240230T0000Z one other-20200101T0000Z"
left() { names "$1" | tr ' ' '\n' | grep -vxF "$(printf '%s\n' $kept)" | sed -E "s/auto-$(date -u +%Y%m%d)T....Z/NOW/" | sort | tr '\n' ' '; }
expect 0 "$t" snapshot auto "$i" -n --keep-last 2; has "would_create name='auto-$(date -u +%Y)"; has "would_delete name='auto-20240302T0159Z'"; lacks "would_delete name='auto-2020"; lacks "would_delete name='auto-20240302T0200Z'"
[ "$(left "$i")" = "auto-20240229T1200Z auto-20240302T0100Z auto-20240302T0159Z auto-20240302T0200Z " ] || fail "a dry run did something: $(left "$i")"
cp "$i" "$tmp/b.img"
for c in "--keep-hourly 3:NOW auto-20240302T0159Z auto-20240302T0200Z " "--keep-daily 2:NOW auto-20240302T0200Z " "--keep-daily 9:NOW auto-20240229T1200Z auto-20240302T0200Z " \
	"--keep-weekly 9:NOW auto-20240302T0200Z " "--keep-monthly 9:NOW auto-20240229T1200Z auto-20240302T0200Z " "--keep-yearly 2:NOW auto-20240302T0200Z " "--keep-last 1:NOW " \
	"--keep-last 1 --keep-hourly 2:NOW auto-20240302T0200Z " ":NOW auto-20240229T1200Z auto-20240302T0100Z auto-20240302T0159Z auto-20240302T0200Z "; do
	cp "$tmp/b.img" "$i"; expect 0 "$t" snapshot auto "$i" ${c%%:*}
	[ "$(left "$i" | sed -z 's/^\(.*\)NOW \(.*\)$/NOW \1\2/')" = "${c#*:}" ] || fail "auto ${c%%:*}: kept $(left "$i")"
	for k in $kept; do [[ " $(names "$i") " = *" $k "* ]] || fail "auto ${c%%:*} deleted $k"; done
done
before=$(names "$i"); while [ "$(date +%S)" -ge 50 ]; do sleep 1; done # within one minute
expect 0 "$t" snapshot auto "$i" --prefix p-; one=$(names "$i"); expect 0 "$t" snapshot auto "$i" --prefix p-
[ "$(names "$i")" = "$one" ] && [ "$one" != "$before" ] || fail "two runs in a minute: $(names "$i")"
expect 1 "$t" snapshot auto "$i" --keep-last x; expect 1 "$t" snapshot auto "$i" --prefix "$(printf '%0250d' 0)"; expect 1 "$t" snapshot auto "$i" --prefix a/
expect 0 "$bin/fsck.tfs" -fn --data "$i"

# a full volume: no new one, and deleting works
f=$tmp/full.img; mkdir "$tmp/big"; head -c 13800000 /dev/urandom >"$tmp/big/f"; "$bin/mkfs.tfs" -q --size 16M --from "$tmp/big" "$f"
expect 0 "$t" snapshot create "$f" auto-20240301T0000Z; expect 3 "$t" snapshot create "$f" more; says 'no space left'
expect 3 "$t" snapshot auto "$f" --keep-last 1; [ "$(names "$f")" = auto-20240301T0000Z ] || fail "auto on a full volume: $(names "$f")"
expect 0 "$t" snapshot delete "$f" auto-20240301T0000Z; [ -z "$(names "$f")" ] || fail "delete on a full volume"; expect 0 "$bin/fsck.tfs" -fn "$f"

# what is wrong
expect 1 "$t" snapshot frob "$i"; expect 1 "$t" frob "$i"; expect 1 "$t"; expect 1 "$t" snapshot create "$i"; expect 1 "$t" df "$i" more
expect 1 "$t" df "$i" -n; expect 1 "$t" df "$i" --frob; expect 1 "$t" snapshot list "$tmp/none"; expect 1 "$t" df "$tmp"; says 'expected a directory of a mounted TFS volume'
head -c 20000000 /dev/zero >"$tmp/zero.img"; expect 2 "$t" df "$tmp/zero.img"; says 'expected a TFS superblock'; expect 1 "$t" df /dev/null
cp "$i" "$tmp/c.img"; sum=$(md5sum <"$tmp/c.img")
for c in "df" "snapshot list" "snapshot diff" "compact"; do expect 0 "$t" $c "$tmp/c.img" $([ "$c" != "snapshot diff" ] || echo one); done
[ "$(md5sum <"$tmp/c.img")" = "$sum" ] || fail "looking changes the image"
exec 8<"$tmp/c.img"; flock 8; expect 3 "$t" df "$tmp/c.img"; says 'in use'; expect 3 "$t" snapshot create "$tmp/c.img" x; says 'in use'; exec 8<&-
chmod 444 "$tmp/c.img"; expect 0 "$t" snapshot list "$tmp/c.img"
(head -c 1048576 /dev/zero; cat "$i") >"$tmp/in.img"
expect 0 "$t" snapshot list --offset 1M "$tmp/in.img"; has one; expect 2 "$t" df "$tmp/in.img"
if [ -w /dev/full ]; then got=0; "$t" df "$i" >/dev/full 2>"$tmp/e" || got=$?; [ $got = 3 ] || fail "output that could not be written: exit $got"; fi
echo "tfs: as expected"
