#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What an operator meets, of a directory (on a volume of tfs-fuse: full, read-only, gone) and of S3 (the stub: full, expired, deleted, its
# clock changed): each with the exit code and message that docs/BACKUP.md shows, nothing lost by it, and going on afterwards.
# Needs /dev/fuse; exits 77 without. usage: test_faults.sh
here=$(realpath "$(dirname "$0")")
. "$here/lib.sh"
i=$tmp/v.img s=$tmp/s pid= stub=
mkdir "$s" "$tmp/home"
cleanup() { set +e; fusermount3 -quz "$s" 2>/dev/null; [ -z "$stub" ] || kill $stub; wait; rm -rf "$tmp"; }
trap cleanup EXIT
up() { "$bin/tfs-fuse" -f "$@" "$tmp/s.img" "$s" 2>"$tmp/log" & pid=$!; until mountpoint -q "$s"; do kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done; }
down() { fusermount3 -u "$s" || fail "unmount"; wait $pid || fail "tfs-fuse ended with $?"; }
volume "$i" 32M; "$bin/bk-change" "$i" file big 1500; want=$(tree "$i")
echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own"; "$bin/mkfs.tfs" -q --manifest "$tmp/own" "$tmp/s.img" 24M
up || { echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/log")"; exit 77; }
R=$s/repo

# ---- a directory: full in the middle of a run, which is gone on with when there is room ----
expect 0 "$bk" init "$R" --grace 1h
head -c $(($(df --output=avail -B1 "$s" | tail -1) - 4500000)) /dev/urandom >"$s/filler"
expect 3 "$bk" run "$R" "$i" --pack-size 1M; says 'No space left on device; make room there \(prune, or a larger disk\) and run it again'
[ "$(find "$R/packs" -type f | wc -l)" -gt 0 ] || fail "it was full before the first pack: nothing is shown"
expect 0 "$bk" verify "$R"; expect 0 "$bk" list "$R"
rm "$s/filler"; expect 0 "$bk" run "$R" "$i" --pack-size 1M --json; grep -q '"resumed":true' "$tmp/o" || fail "what was put is put again"
expect 0 "$bk" verify "$R" --read-data; same latest "$i"
# forget and prune need next to no room
"$bin/bk-change" "$i" some 3 60; expect 0 "$bk" run "$R" "$i" --full; head -c $(($(df --output=avail -B1 "$s" | tail -1) - 800000)) /dev/urandom >"$s/filler"
"$bin/bk-change" "$i" pages big 700 5; expect 3 "$bk" run "$R" "$i"; expect 3 "$bk" run "$R" "$i" --full
expect 0 "$bk" forget "$R" 1; find "$R" -type f -exec touch -d '2 hours ago' {} +
expect 0 "$bk" prune "$R" --repack 0; has '[1-9][0-9]* \(.*\) condemned'; find "$R" -type f -exec touch -d '2 hours ago' {} +
expect 0 "$bk" prune "$R" --repack 0; has '^[1-9][0-9]* objects deleted'; rm "$s/filler"
expect 0 "$bk" run "$R" "$i" --json; [ "$(field base)" != 0 ] || fail "a run that failed lost the base"; same latest "$i"

# ---- read-only: what reads works, what writes says so ----
down; up -o ro
expect 3 "$bk" run "$R" "$i"; says 'Read-only file system; mount it read-write'
expect 3 "$bk" forget "$R" --keep-last 1; expect 0 "$bk" verify "$R" --read-data; same latest "$i"
down; up

# ---- the clock of the machine set back by two hours: nothing is too old, nothing is deleted; runs go on ----
find "$R" -type f -exec touch -d '2 hours' {} +
"$bin/bk-change" "$i" some 4 30; expect 0 "$bk" run "$R" "$i" --json; [ "$(field base)" != 0 ] || fail "a clock set back: a full backup"
expect 0 "$bk" forget "$R" --keep-last 1; before=$(find "$R/packs" -type f | wc -l)
expect 0 "$bk" prune "$R"; has '^0 objects deleted; 0 '; [ "$(find "$R/packs" -type f | wc -l)" = "$before" ] || fail "a clock set back: packs are gone"
expect 0 "$bk" verify "$R" --read-data; same latest "$i"

# ---- keys: damaged, another's, none ----
key=$(ls -d "$R"/keys/*); cp "$key" "$tmp/kept"; chmod u+w "$key"
printf x | dd of="$key" bs=1 seek=110 conv=notrunc status=none; expect 5 "$bk" list "$R"; says 'keys/.*; another key is tried'; says 'expected one of 0 key files'
cp "$tmp/kept" "$key"; head -c 64 /dev/urandom >"$tmp/other"; expect 5 "$bk" --key-file "$tmp/other" list "$R"; says 'this key file does not open it'
rm -f "$key"; expect 2 "$bk" list "$R"; says 'no objects below keys/: without one nothing can be read'; cp "$tmp/kept" "$key"; expect 0 "$bk" verify "$R"
# a second one, by which a damaged one is replaced
echo "correct horse" >"$tmp/pass"; echo "wrong horse" >"$tmp/wrong"; with=(env -u TFS_BACKUP_KEY_FILE "$bk" --passphrase-file "$tmp/pass")
expect 0 "$bk" key "$R" add --new-passphrase-file "$tmp/pass" --kdf-memory 8M
expect 5 env -u TFS_BACKUP_KEY_FILE "$bk" list "$R" --passphrase-file "$tmp/wrong"; says 'this passphrase does not open it: expected one of 1 passphrases'
expect 5 env -u TFS_BACKUP_KEY_FILE "$bk" list "$R" </dev/null; says 'no passphrase: give --passphrase-file, --key-file or TFS_BACKUP_PASSPHRASE, or a terminal to ask'
chmod u+w "$key"; printf x | dd of="$key" bs=1 seek=110 conv=notrunc status=none
expect 0 "${with[@]}" list "$R"; expect 2 "${with[@]}" verify "$R"; says 'keys/.*: is damaged: its checksum differs$'
whole=$(ls "$R/keys" | grep -v "$(basename "$key")"); expect 1 "${with[@]}" key "$R" remove "$whole"; says 'is the only key that is whole'; [ -e "$R/keys/$whole" ] || fail "the last whole key is removed"
expect 0 "${with[@]}" key "$R" remove "$(basename "$key")"; expect 0 "${with[@]}" key "$R" add --new-key-file "$tmp/key"; expect 0 "$bk" verify "$R"
# config: damaged, gone; nothing is made over it
cp "$R/config" "$tmp/kept"; chmod u+w "$R/config"; printf x | dd of="$R/config" bs=1 seek=40 conv=notrunc status=none
expect 2 "$bk" list "$R"; says 'config: is damaged: its checksum differs'; rm -f "$R/config"; expect 3 "$bk" list "$R"; says 'no repository here'
expect 2 "$bk" init "$R"; says 'there are backups without the object config: restore it'; cp "$tmp/kept" "$R/config"; expect 0 "$bk" verify "$R"

# ---- the folder is gone, the disk not mounted ----
down; expect 3 "$bk" run "$R" "$i"; says 'cannot open the folder: No such file or directory; is its disk mounted'

# ---- a bucket ----
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$tmp/home AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=SKTEST no_proxy='*'
"$here/stub.py" "$tmp/port" & stub=$!
until [ -s "$tmp/port" ]; do kill -0 $stub || fail "the stub ended"; sleep 0.05; done
S=http://127.0.0.1:$(cat "$tmp/port") R=s3://tfs/faults
set_() { curl -s "$S/_set?$1" >/dev/null; }
b() { expect "$1" "$bk" "${@:2}" -o endpoint="$S" -o patience=20; }
b 0 init "$R" --grace 1h
set_ full=1; b 3 run "$R" "$i"; says 'QuotaExceeded.*raise it, or forget backups and prune'; set_ full=
b 0 run "$R" "$i"; b 0 verify "$R" --read-data
set_ token=new; AWS_SESSION_TOKEN=old b 3 run "$R" "$i"; says 'ExpiredToken.*have expired: renew them.*from the environment'; set_ token=
AWS_ACCESS_KEY_ID=other b 3 list "$R"; says 'InvalidAccessKeyId'
set_ clock=7200; b 0 run "$R" "$i"; says "clock is 7[12]..* s ahead of this machine's"; set_ clock=0
set_ gone=1; b 3 run "$R" "$i"; says 'NoSuchBucket.*was it deleted'; b 3 restore "$R" latest --to "$tmp/none"; says 'NoSuchBucket.*was it deleted'; set_ gone=
b 0 verify "$R" --read-data; rm -f "$tmp/restored"; b 0 restore "$R" latest --to "$tmp/restored"; [ "$(tree "$tmp/restored")" = "$(tree "$i")" ] || fail "restored from the bucket, it differs"
kill $stub; wait $stub || true; stub=; expect 3 "$bk" list "$R" -o endpoint="$S" -o patience=1; says 'does not answer: is the endpoint right'
echo ok
