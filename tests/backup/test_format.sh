#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Versions of the repository's format. What a program from before moved lists made is read, verified, gone on with and pruned, but not
# repacked, since such programs may work with it still; they refuse what is made now, and this one refuses features and versions
# that it does not know, each by name. (version1.tar.xz was made by the program of commit b94061b: two backups of a file of numbers.)
# usage: test_format.sh
here=$(realpath "$(dirname "$0")")
. "$here/lib.sh"
config() { # VERSION FEATURES: the repository says so, whole
	python3 - "$R/config" "$1" "$2" <<'P'
import hashlib, os, struct, sys
with open(sys.argv[1], "rb") as f:
    c = bytearray(f.read())
c[32:36] = struct.pack("<HH", int(sys.argv[2]), int(sys.argv[3]))
c[56:72] = hashlib.blake2b(c[:56], digest_size=16).digest()
os.remove(sys.argv[1])
with open(sys.argv[1], "wb") as f:
    f.write(c)
P
}

# ---- an old one ----
xz -dc "$here/version1.tar.xz" | tar -C "$tmp" -xf -
cp "$R/key" "$tmp/key"; rm "$R/key"
expect 0 "$bk" verify "$R" --read-data; has '2 backups are whole'
expect 0 "$bk" cat "$R" 1 numbers; seq 1 99 | cmp - "$tmp/o" || fail "the first backup differs"
expect 0 "$bk" ls "$R" 2; has more
expect 0 "$bk" restore "$R" 2 --to "$tmp/r.img"; expect 0 "$bin/fsck.tfs" -fn --data "$tmp/r.img"
"$bin/bk-change" "$tmp/r.img" file db 400
expect 0 "$bk" run "$R" "$tmp/r.img" --json; [ "$(field base)" = 2 ] || fail "what is restored is no base"
for seed in 1 2 3; do "$bin/bk-change" "$tmp/r.img" pages db 1500 $seed; done
expect 0 "$bk" run "$R" "$tmp/r.img"; expect 0 "$bk" forget "$R" --keep-last 1
find "$R" -type f -exec touch -d '2 hours ago' {} +
expect 0 "$bk" prune "$R" --repack 100% --json; [ "$(field repacked)" = 0 ] || fail "repacked, where programs are that know nothing of it"
says 'nothing is repacked'; [ ! -d "$R/moved" ] || fail "a moved list"
expect 0 "$bk" verify "$R" --read-data; same latest "$tmp/r.img"

# ---- what others made ----
mv "$R" "$tmp/old"; expect 0 "$bk" init "$R"
[ "$(od -An -tu4 -j32 -N4 "$R/config" | tr -d ' ')" != 1 ] || fail "programs that know no moved lists would take it for theirs"
config 1 32769; expect 3 "$bk" list "$R"; says 'config: .*features 0x8001, expected .*a newer tfs-backup'
expect 3 "$bk" prune "$R"; expect 3 "$bk" verify "$R"; expect 1 "$bk" init "$R"; says 'already'
config 2 1; expect 3 "$bk" list "$R"; says 'config: .*format 2 .*expected format 1'
config 1 0; expect 5 "$bk" list "$R" # a store that hides a feature: keys authenticate it
config 1 1; expect 0 "$bk" list "$R"
echo ok
