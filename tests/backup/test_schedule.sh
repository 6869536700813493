#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Jobs, hooks, states and the daemon, with real backups of an image into a directory.
set -u
cd "$(dirname "$0")/../.."
BIN=$PWD/${BIN:-build/bin}
[ -x "$BIN/tfs-backup" ] || { echo "tfs-backup is not built"; exit 77; }
T=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill $daemon 2>/dev/null; wait 2>/dev/null; rm -rf "$T"' EXIT
fail() { echo "test_schedule: $*"; tail -20 "$T"/{out,daemon.log} 2>/dev/null; exit 1; }
export TFS_BACKUP_KEY_FILE=$T/key XDG_STATE_HOME=$T/seen
head -c 64 /dev/urandom >"$T/key"
"$BIN/mkfs.tfs" -q --from tests/backup --size 32M "$T/a.img" >"$T/out" 2>&1 || fail mkfs
cp "$T/a.img" "$T/b.img"
"$BIN/tfs-backup" init "$T/repo" >"$T/out" 2>&1 || fail init

conf() { # the head, and a job's further lines from standard input
	{ printf 'state = %s/state\nmetrics = %s/tfs.prom\nstore = %s/repo\nhook-timeout = 1h\n[job a]\nvolume = %s/a.img\n' "$T" "$T" "$T" "$T"; cat; } >"$T/conf"
}
job() { local want=$1 code=0; shift; "$BIN/tfs-backup" job "${1:-a}" --config "$T/conf" >"$T/out" 2>&1 || code=$?
	[ $code = "$want" ] || fail "job: expected exit $want, got $code"; }
says() { grep -q -- "$1" "$T/${2:-out}" || fail "expected '$1' in ${2:-out}: $(cat "$T/${2:-out}")"; }
jobs_() { local want=$1 code=0; shift; "$BIN/tfs-backup" jobs --config "$T/conf" "$@" >"$T/out" 2>&1 || code=$?
	[ $code = "$want" ] || fail "jobs: expected exit $want, got $code"; }
refuse() { # PATTERN: the file on standard input is not taken
	local code=0
	cat >"$T/bad"; "$BIN/tfs-backup" daemon --check --config "$T/bad" >"$T/out" 2>&1 || code=$?
	[ $code = 1 ] || fail "a wrong file was taken: $(cat "$T/bad")"
	says "$1"
}

# ---- the file ----
refuse 'no job: expected' <<<''
refuse 'line 2: schedule: expected every 15m' <<<$'[job x]\nschedule = sometimes'
refuse 'line 2: colour: expected a key' <<<$'[job x]\ncolour = red'
refuse 'job x: has no line volume' <<<$'[job x]\nstore = /x'
refuse 'line 2: .*there is no such option of a store' <<<$'[job x]\noption = speed=fast'
refuse 'line 1: ../x: expected a name' <<<$'[job ../x]'
refuse 'line 3: x: expected another name' <<<$'[job x]\n\n[job x]'
refuse 'line 2: state: expected an absolute path, before' <<<$'[job x]\nstate = /x'
refuse 'line 2: keep-last: expected a number' <<<$'[job x]\nkeep-last = many'

# ---- one run: hooks, forget, prune, state, Prometheus ----
conf <<C
schedule = every 1h
pre = echo "pre \$TFS_BACKUP_JOB \$TFS_BACKUP_RESULT" >>$T/hooks
post = echo "post \$TFS_BACKUP_JOB \$TFS_BACKUP_RESULT" >>$T/hooks
keep-last = 2
prune = every 1h
on-failure = echo "\$TFS_BACKUP_JOB \$TFS_BACKUP_RESULT \$TFS_BACKUP_MESSAGE" >>$T/told
option = parallel=2
C
jobs_ 0; says 'a  *never run .* now'
job 0; job 0; job 0
[ "$(cat "$T/hooks")" = "$(for _ in 1 2 3; do echo "pre a 0"; echo "post a 0"; done)" ] || fail "hooks: $(cat "$T/hooks")"
[ "$("$BIN/tfs-backup" list "$T/repo" --json | wc -l)" = 2 ] || fail "keep-last = 2 keeps $("$BIN/tfs-backup" list "$T/repo" --json | wc -l)"
jobs_ 0; says '^a  *ok '
jobs_ 0 --json; says '"standing": *"ok"'; says '"result": *0'
says 'tfs_backup_last_exit_code{job="a"} 0' tfs.prom
grep -qE 'tfs_backup_last_success_timestamp_seconds{job="a"} 1[0-9]{9}$' "$T/tfs.prom" || fail "no time of the last success"
[ ! -e "$T/told" ] || fail "told of a failure that was none"

# ---- failures: each with its code, told, and written down; post always runs ----
mv "$T/a.img" "$T/away"; : >"$T/hooks"; job 4; mv "$T/away" "$T/a.img"
[ "$(cat "$T/hooks")" = $'pre a 0\npost a 4' ] || fail "hooks of a failed run: $(cat "$T/hooks")"
grep -q '^a 4 the run failed with exit code 4: ' "$T/told" || fail "not told: $(cat "$T/told")"
jobs_ 13; says '^a  *FAILED .*exit code 4'
says 'tfs_backup_failures_since_success{job="a"} 1' tfs.prom
job 0; jobs_ 0

conf <<<$'pre = echo no >&2; exit 3\npost = echo "post $TFS_BACKUP_RESULT" >>'"$T/post"
before=$("$BIN/tfs-backup" list "$T/repo" --json | wc -l); job 11; says 'the pre hook failed with exit code 3'
[ "$(cat "$T/post")" = "post 11" ] || fail "post after a failed pre"
[ "$("$BIN/tfs-backup" list "$T/repo" --json | wc -l)" = "$before" ] || fail "a backup was made though pre failed"
conf <<<'post = exit 1'; job 10; says 'the post hook failed'; jobs_ 0; says '^a  *partial'
conf <<<$'hook-timeout = 1s\npre = sleep 100 & sleep 100'; job 11; says 'took longer than 1 s'
conf <<<$'timeout = 1s\npre = true\nkey-file = '"$T/fifo"; mkfifo "$T/fifo"; job 12; says 'took longer than 1 s and was ended'; rm "$T/fifo"
conf <<<''; job 1 nobody; says 'has no job nobody'

# ---- no overlap; TERM undoes the hooks ----
conf <<C
pre = touch $T/held; sleep 3000
post = sleep 1; rm $T/held; touch $T/undone
C
"$BIN/tfs-backup" job a --config "$T/conf" >"$T/out2" 2>&1 & first=$!
until [ -e "$T/held" ]; do kill -0 $first || fail "a job ended before its pre hook"; sleep .05; done
job 9; says 'an earlier run is still under way'
kill $first; code=0; wait $first || code=$?
[ $code = 11 ] && [ -e "$T/undone" ] && [ ! -e "$T/held" ] || fail "a job that was ended: exit $code, post hook not run"

# ---- the daemon: runs what was missed once, on time again and again, reads its file again, ends ----
conf <<C
schedule = every 1s
[job never]
volume = $T/b.img
schedule = never
C
rm -rf "$T/state"
"$BIN/tfs-backup" daemon --config "$T/conf" >"$T/daemon.log" 2>&1 & daemon=$!
until_() { for _ in $(seq 6000); do "$@" && return; sleep .1; done; fail "waited in vain: $*"; }
some() { [ "$(grep -c 'a: backed up' "$T/daemon.log")" -ge "$1" ]; }
until_ some 3
code=0; "$BIN/tfs-backup" daemon --config "$T/conf" >"$T/out" 2>&1 || code=$?; [ $code = 9 ] || fail "a second daemon: exit $code"
echo 'nonsense' >>"$T/conf"; kill -HUP $daemon; until_ grep -q 'old configuration stays' "$T/daemon.log"
conf <<<$'schedule = never\n[job b]\nvolume = '"$T/b.img"$'\nschedule = daily '"$(date -d '12 hours' +%H:%M)"
# due at some other time of day: a job that has run before only runs when it was missed
mkdir -p "$T/state"; printf '{"last_start": %d, "last_success": 1, "result": 0}' $(($(date +%s) - 3 * 86400)) >"$T/state/b.json"
kill -HUP $daemon; until_ grep -q 'b: backed up' "$T/daemon.log"
jobs_ 0; says '^b  *ok'
sleep 1; [ "$(grep -c 'b: backed up' "$T/daemon.log")" = 1 ] || fail "three missed days were made up more than once"
[ -e "$T/state/never.json" ] && fail "a job that is never due was run"
kill $daemon; code=0; wait $daemon || code=$?; daemon=
[ $code = 0 ] || fail "the daemon ended with $code"
"$BIN/tfs-backup" verify "$T/repo" >"$T/out" 2>&1 || fail "verify after all this"
echo ok
