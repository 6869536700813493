#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-backup on a directory: what is restored is what was backed up, byte for byte, in full and incrementally; sizes;
# looking into backups; keys; forget and prune; a store that was set back; two writers; a base that is gone.
# usage: test_backup.sh
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img
volume "$i"

# ---- one after the other ----
expect 0 "$bk" init "$R" --grace 1h
expect 1 "$bk" init "$R"; says 'already'
expect 0 "$bk" list "$R"
expect 0 "$bk" run "$R" "$i" --json; cp "$i" "$tmp/1.img"
[ "$(field base)" = 0 ] || fail "the first backup is not full"
for n in 2 3 4; do
	"$bin/bk-change" "$i" some $n 40
	expect 0 "$bk" run "$R" "$i" --json; cp "$i" "$tmp/$n.img"
	[ "$(field base)" = $((n - 1)) ] || fail "backup $n does not build on the one before"
done
expect 0 "$bk" verify "$R" --read-data; has '4 backups are whole'
for n in 1 2 3 4; do same $n "$tmp/$n.img"; done
[ "$("$bin/dump.tfs" snapshots "$i" | grep -c tfs-backup)" = 1 ] || fail "more than the base is held"

# ---- what an interrupted init left goes, and nothing that is another's, or that opens a repository which lost its config ----
L=$tmp/left; expect 0 "$bk" init "$L"; mv "$L"/keys/* "$tmp/left.key"; rm -r "$L"; mkdir -p "$L/keys"; cp "$tmp/left.key" "$L/keys/00112233445566778899aabbccddeeff"
echo mine >"$L/keys/server.pem"; echo mine >"$L/keys/ffeeddccbbaa99887766554433221100"
expect 0 "$bk" init "$L"; has 'interrupted init'
[ "$(ls "$L/keys" | wc -l)" = 3 ] && [ ! -e "$L/keys/00112233445566778899aabbccddeeff" ] && grep -q mine "$L/keys/server.pem" "$L/keys/ffeeddccbbaa99887766554433221100" || fail "keys: $(ls "$L/keys")"
mkdir -p "$L/packs"; echo x >"$L/packs/0"; rm "$L/config"; expect 0 "$bk" init "$L"; [ "$(ls "$L/keys" | wc -l)" = 4 ] || fail "a key of a repository that was used went: $(ls "$L/keys")"

# ---- from what was restored the next run is incremental, onto a larger file in place of a device, too ----
truncate -s 20M "$tmp/large"; expect 1 "$bk" restore "$R" latest --to "$tmp/large"; says 'exists'
rm -f "$tmp/r.img"; expect 0 "$bk" restore "$R" latest --to "$tmp/r.img"
"$bin/bk-change" "$tmp/r.img" some 9 20
expect 0 "$bk" run "$R" "$tmp/r.img" --json; [ "$(field base)" = 4 ] || fail "a restored volume is no base"
same 5 "$tmp/r.img"

# ---- raw blocks that files share go once, and come back shared: after some were written over, too ----
C=$tmp/clones; expect 0 "$bk" init "$C"
"$bin/mkfs.tfs" -q "$tmp/c.img" 24M; "$bin/bk-change" "$tmp/c.img" file original 640; "$bin/bk-change" "$tmp/c.img" clone original copy 640
expect 0 "$bk" run "$C" "$tmp/c.img" --json; [ "$(field added)" -lt 2900000 ] || fail "2.6 MB are shared by three, $(field added) sent"
R=$C same latest "$tmp/c.img"
for f in original copy part; do "$bin/bk-change" "$tmp/c.img" pages $f 30 7; done; "$bin/bk-change" "$tmp/c.img" clone copy fourth 200
expect 0 "$bk" run "$C" "$tmp/c.img" --json; [ "$(field base)" = 1 ] && [ "$(field added)" -lt 900000 ] || fail "after 90 pages: $(cat "$tmp/o")"
R=$C same latest "$tmp/c.img"; expect 0 "$bk" verify "$C" --read-data

# ---- looking ----
expect 0 "$bk" ls "$R" 4 -R; "$bin/dump.tfs" ls -R "$tmp/4.img" | cmp - "$tmp/o" || fail "ls"
expect 0 "$bk" cat "$R" 4 numbers; cmp "$tmp/o" "$tmp/source/numbers" || fail "cat"
expect 0 "$bk" tar "$R" 2; cmp "$tmp/o" <("$bin/dump.tfs" tar "$tmp/2.img") || fail "tar"
expect 0 "$bk" restore "$R" 1 --to "$tmp/out/"; cmp "$tmp/out/again" "$tmp/source/again" || fail "restore into a directory"
expect 0 "$bk" extract "$R" 1 "$tmp/out2" d; cmp "$tmp/out2/small" "$tmp/source/d/small" || fail "extract"
"$bin/bk-change" "$i" file fresh 3; expect 0 "$bk" run "$R" "$i"
expect 0 "$bk" diff "$R" 4 6; has "^created .*path='fresh'"; [ "$(grep -vc '^ *range' "$tmp/o")" = 2 ] || fail "diff: more than the file and its folder"
expect 1 "$bk" cat "$R" 4 nothing
expect 1 "$bk" show "$R" 99; says 'expected the number'
expect 0 "$bk" show "$R" latest; has '^base +4'
expect 0 "$bk" status "$R"; has '6 backups'

# ---- a snapshot that is there, of a volume that is only read; the base that is gone ----
"$bin/bk-change" "$i" snapshot mine; "$bin/bk-change" "$i" some 5 30; chmod a-w "$i"
expect 0 "$bk" run "$R" "$i" --snapshot mine --json; [ "$(field base)" = 6 ] || fail "a named snapshot: base"
expect 0 "$bk" tar "$R" mine; cmp "$tmp/o" <("$bin/dump.tfs" tar --snapshot mine "$i") || fail "a named snapshot: content"
chmod u+w "$i"; expect 1 "$bk" run "$R" "$i" --snapshot none
"$bin/bk-change" "$i" drop tfs-backup; "$bin/bk-change" "$i" drop mine
expect 0 "$bk" run "$R" "$i" --json; [ "$(field base)" = 0 ] || fail "a base that is gone is built on"
says 'holds no snapshot of an earlier backup'; cp "$i" "$tmp/8.img"; same 8 "$tmp/8.img"
# the same volume set back and changed: ids tell it from what the addresses say
cp "$tmp/1.img" "$tmp/back.img"; "$bin/bk-change" "$tmp/back.img" some 77 60
expect 0 "$bk" run "$R" "$tmp/back.img" --json; [ "$(field base)" = 1 ] || fail "a volume that was set back: base"
same 9 "$tmp/back.img"

# two copies that come to the same epochs with other content: each builds on its own
cp "$tmp/back.img" "$tmp/back9.img"; cp "$tmp/back.img" "$tmp/twin.img"; "$bin/bk-change" "$tmp/back.img" some 5 9; "$bin/bk-change" "$tmp/twin.img" some 6 9
expect 0 "$bk" run "$R" "$tmp/back.img" --json; a=$(field backup); expect 0 "$bk" run "$R" "$tmp/twin.img" --json; b=$(field backup)
expect 0 "$bk" show "$R" "$a" --json; e=$(field epoch); expect 0 "$bk" show "$R" "$b" --json; [ "$(field epoch)" = "$e" ] || fail "the copies are at other epochs: nothing is shown"
"$bin/bk-change" "$tmp/back.img" some 8 9; expect 0 "$bk" run "$R" "$tmp/back.img" --json
[ "$(field base)" = "$a" ] || fail "builds on $(field base), another copy's backup, and not on $a"; same latest "$tmp/back.img"

# ---- a mounted or damaged volume ----
cp "$i" "$tmp/bad.img"; "$bin/bk-change" "$tmp/bad.img" file victim 16
at=$("$bin/dump.tfs" object "$tmp/bad.img" "$("$bin/dump.tfs" ls -i "$tmp/bad.img" victim | awk '{print $1}')" | sed -n 's/.*extent.* addr=\([0-9]*\).*/\1/p' | head -1)
printf 'x' | dd of="$tmp/bad.img" bs=1 seek=$((at * 512 + 77)) conv=notrunc status=none
expect 4 "$bk" run "$R" "$tmp/bad.img"; says 'CRC'
expect 4 "$bk" run "$R" "$tmp/source/numbers"
(flock 9; expect 4 "$bk" run "$R" "$i"; says 'in use') 9<"$i"

# ---- keys ----
echo "correct horse" >"$tmp/pass"; echo "wrong horse" >"$tmp/wrong"
expect 0 "$bk" key "$R" add --new-passphrase-file "$tmp/pass" --kdf-memory 8M --label laptop
expect 0 env -u TFS_BACKUP_KEY_FILE "$bk" list "$R" --passphrase-file "$tmp/pass"
expect 0 env -u TFS_BACKUP_KEY_FILE TFS_BACKUP_PASSPHRASE="correct horse" "$bk" list "$R"
expect 5 env -u TFS_BACKUP_KEY_FILE "$bk" list "$R" --passphrase-file "$tmp/wrong"
head -c 64 /dev/urandom >"$tmp/key2"; expect 5 "$bk" list "$R" --key-file "$tmp/key2"
expect 0 "$bk" key "$R" list; has 'passphrase +laptop'; id=$(awk '/key file/ {print $1}' "$tmp/o")
expect 0 "$bk" key "$R" remove "$id"; expect 5 "$bk" list "$R"
last=$(env -u TFS_BACKUP_KEY_FILE "$bk" key "$R" list --passphrase-file "$tmp/pass" | awk '{print $1}')
expect 1 env -u TFS_BACKUP_KEY_FILE "$bk" key "$R" remove "$last" --passphrase-file "$tmp/pass"; says 'only key'
expect 0 env -u TFS_BACKUP_KEY_FILE "$bk" key "$R" add --passphrase-file "$tmp/pass" --new-key-file "$tmp/key"
expect 0 "$bk" verify "$R" --read-data

# ---- a store that is set back, or loses a manifest ----
cp -a "$R" "$tmp/older"; "$bin/bk-change" "$i" some 3 10; expect 0 "$bk" run "$R" "$i"
mv "$R" "$tmp/newer"; cp -a "$tmp/older" "$R"
expect 6 "$bk" list "$R"; says 'set back'
expect 6 "$bk" run "$R" "$i"
expect 6 env XDG_STATE_HOME="$tmp/fresh" "$bk" list "$R" --expect 13
expect 0 env XDG_STATE_HOME="$tmp/fresh" "$bk" list "$R"
rm -r "$R"; mv "$tmp/newer" "$R"
mkdir "$tmp/aside"; mv "$(find "$R" -name 0000000000000005)" "$tmp/aside/m"
expect 2 "$bk" list "$R"; says 'manifest 5 is missing'
mv "$tmp/aside/m" "$R/manifests/0000000000000005"
cp "$R/manifests/0000000000000004" "$tmp/aside/4"; cp "$R/manifests/0000000000000003" "$R/manifests/0000000000000004"
expect 2 "$bk" list "$R"; says 'was changed, or put in another'
cp "$tmp/aside/4" "$R/manifests/0000000000000004"; expect 0 "$bk" list "$R"

# a repository that went on in two ways: one's manifest in the other's chain
cp -a "$R" "$tmp/fork"; F=$tmp/fork; export XDG_STATE_HOME=$tmp/forked
cp "$i" "$tmp/f.img"; cp "$i" "$tmp/g.img"
expect 0 "$bk" run "$F" "$tmp/f.img"; expect 0 "$bk" run "$F" "$tmp/f.img"; n=$(ls "$F/manifests" | tail -2 | head -1)
cp -a "$R" "$tmp/fork2"; expect 0 "$bk" run "$tmp/fork2" "$tmp/g.img" --state "$tmp/s2"; cp "$tmp/fork2/manifests/$n" "$F/manifests/$n"
expect 2 "$bk" list "$F" --state "$tmp/s3"; says 'not the one that its successor names'
export XDG_STATE_HOME=$tmp/state; rm -rf "$tmp/fork" "$tmp/fork2"

# ---- a missing pack ----
pack=$(find "$R/packs" -type f -size +100k | head -1); mv "$pack" "$tmp/aside/p"
expect 2 "$bk" verify "$R"; says 'missing'
mv "$tmp/aside/p" "$pack"; mv "$R/packs" "$tmp/aside/packs"
expect 2 "$bk" prune "$R"; says 'not pruned'
mv "$tmp/aside/packs" "$R/packs"; expect 0 "$bk" verify "$R"

# ---- two writers at a time ----
cp "$i" "$tmp/w.img"; volume "$tmp/other.img"
for n in 1 2 3; do
	"$bin/bk-change" "$i" some $n 10; "$bin/bk-change" "$tmp/other.img" some $n 10
	"$bk" -q run "$R" "$i" 2>"$tmp/e1" & a=$!
	"$bk" -q run "$R" "$tmp/other.img" 2>"$tmp/e2" & b=$!
	wait $a || { cat "$tmp/e1"; fail "the first of two writers"; }
	wait $b || { cat "$tmp/e2"; fail "the second of two writers"; }
done
expect 0 "$bk" verify "$R" --read-data
expect 0 "$bk" list "$R" --json; [ "$(wc -l <"$tmp/o")" = 19 ] || fail "expected 19 backups"

# ---- verify reads as much as it is told ----
expect 0 "$bk" verify "$R" --json; [ "$(field packs_read)" = 0 ] && all=$(field packs)
expect 0 "$bk" verify "$R" --read-data --json; most=$(field packs_read); [ "$most" -gt 20 ] && [ "$most" -le "$all" ] || fail "$most of $all packs read"
expect 0 "$bk" verify "$R" --read-data=50% --json; [ "$(field packs_read)" -gt 0 ] && [ "$(field packs_read)" -lt "$most" ] || fail "$(field packs_read) of $most packs read, half wanted"

# ---- on a terminal one sees how far it is: what of what, packs, rate, time left; else nothing, nor with --quiet ----
P=$tmp/slow slow=(-o bandwidth=1M); "$bin/mkfs.tfs" -q --compress none "$tmp/p.img" 24M; "$bin/bk-change" "$tmp/p.img" file big 900; expect 0 "$bk" init "$P"
seen() { # REGEX COMMAND...
	local want=$1; shift
	script -qec "$(printf '%q ' "$bk" "$@" "${slow[@]}")" /dev/null </dev/null >"$tmp/o" 2>&1 || fail "on a terminal: $*"
	tr '\r' '\n' <"$tmp/o" | grep -qE "$want" || { tr '\r' '\n' <"$tmp/o" | tail -5; fail "not seen on a terminal: $want"; }
}
bytes='[0-9.]+ ([KM]i)?B' clock='[0-9]+:[0-9][0-9]'
seen "^\[1/1\] everything, $bytes/3\.[0-9] MiB, [1-9] packs sent, $bytes/s, $clock, $clock left" run "$P" "$tmp/p.img" --pack-size 1M
seen "^\[1/1\] read, $bytes/3\.[0-9] MiB, [1-9] packs, $bytes/s, $clock" verify "$P" --read-data
seen "^\[2/3\] contents, $bytes/3\.[0-9] MiB, [1-9] packs read, $bytes/s, $clock, $clock left" restore "$P" latest --to "$tmp/p2.img"
"$bin/bk-change" "$tmp/p.img" pages big 700 3; seen "^\[1/1\] what changed, $bytes, [1-9] packs sent, $bytes/s, $clock" run "$P" "$tmp/p.img" --pack-size 1M
script -qec "$(printf '%q ' "$bk" verify "$P" --quiet)" /dev/null </dev/null >"$tmp/o" 2>&1; [ ! -s "$tmp/o" ] || fail "not quiet"
expect 0 "$bk" verify "$P"; [ ! -s "$tmp/e" ] || fail "progress into a file"

# ---- forget and prune ----
expect 1 "$bk" forget "$R"
expect 1 "$bk" forget "$R" 77
expect 0 "$bk" forget "$R" --keep-last 2 --dry-run; expect 0 "$bk" list "$R"; [ "$(wc -l <"$tmp/o")" = 19 ] || fail "a dry run forgets"
expect 0 "$bk" forget "$R" 2 3
expect 0 "$bk" list "$R"; [ "$(wc -l <"$tmp/o")" = 17 ] || fail "expected 17 backups"
same 4 "$tmp/4.img"; same 9 "$tmp/back9.img"

# ---- what another program forgets between the list of backups and their manifests is left out, and no damage; the rest is looked at ----
victim=9 left=17
for command in list verify prune "forget --keep-last 9"; do
	victim=$((victim + 1)) left=$((left - 1))
	read -r verb args <<<"$command"
	# shellcheck disable=SC2086
	STOP_READ=manifests/0000000000000004 LD_PRELOAD=$bin/die.so "$bk" $verb "$R" $args >"$tmp/o" 2>"$tmp/e" & pid=$!
	stopped $pid; "$bk" -q forget "$R" $victim || fail "forget beside $verb"; kill -CONT $pid; wait $pid || fail "$verb beside a forget: exit $?"
	says "backup $victim was forgotten by another program meanwhile"
	! grep -q missing "$tmp/e" || fail "$verb: what was forgotten is called missing"
	case $verb in list) [ "$(wc -l <"$tmp/o")" = $left ] ;; verify) has "^$left backups are whole" ;; esac || fail "$verb: not $left backups"
done
expect 0 "$bk" forget "$R" --keep-last 1
expect 0 "$bk" list "$R"; [ "$(wc -l <"$tmp/o")" = 2 ] || fail "expected 2 backups"
expect 0 "$bk" prune "$R"; has '^0 objects deleted; 0 .* condemned'
expect 0 "$bk" verify "$R" --read-data
echo ok
