#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Backups through the fault proxy (proxy.py), with each fault at each request of a run in turn: the run completes, or, where the fault
# is a refusal, ends with 3 and the next one completes; after every one the repository verifies (every tenth time with all its data,
# every twentieth restored and checked) and the newest backup is the volume. Volumes change by 24 pages, so a run puts a pack in parts. COMMANDS=1: forget,
# prune (two hours later by the clock of the proxy, so that it condemns, deletes and repacks) and restore are gone through the same way. STEP: every so many requests, begun at another one with each
# fault. Counts what was done.
# usage: run_faults.sh ENDPOINT [FAULT]...     bucket "tfs" there, credentials in the environment
here=$(realpath "$(dirname "$0")")
. "$here/lib.sh"
server=$1; shift
[ $# -gt 0 ] || set -- denied slowdown throttle error500 expired skewed reset-early reset-request error500-late lost reset-answer truncated slow other-range unsaid error200 error200-late etag stalled
i=$tmp/v.img R=s3://tfs/run-faults-$$ proxy= runs=0 refused=0 seed=0 did=0 faults=0 deleted=0 repacked=0 late= step=${STEP:-1}
cleanup() { [ -z "$proxy" ] || kill $proxy; wait; rm -rf "$tmp"; }
trap cleanup EXIT
"$here/proxy.py" "$tmp/port" "$server" & proxy=$!
until [ -s "$tmp/port" ]; do kill -0 $proxy || fail "the proxy ended"; sleep 0.05; done
P=http://127.0.0.1:$(cat "$tmp/port")
through=(-o "endpoint=$P" -o part-size=64K -o stall=1 -o patience=60 -o parallel=4) straight=(-o "endpoint=$server")
"$bin/mkfs.tfs" -q --compress none --size 32M "$i"; "$bin/bk-change" "$i" file db 300
expect 0 "$bk" init "$R" --grace 1h "${straight[@]}"
expect 0 "$bk" run "$R" "$i" "${straight[@]}"
whole() { # WHAT
	if [ $((runs % 10)) = 0 ]; then expect 0 "$bk" verify "$R" --read-data "${straight[@]}"; else expect 0 "$bk" verify "$R" "${straight[@]}"; fi
	[ "$("$bk" tar "$R" latest "${straight[@]}" | sha256sum)" = "$(tree "$i")" ] || fail "$1: the newest backup is not the volume"
	[ $((runs % 20)) = 0 ] || return 0
	rm -f "$tmp/r.img"; expect 0 "$bk" restore "$R" latest --to "$tmp/r.img" "${straight[@]}"; expect 0 "$bin/fsck.tfs" -fn --data "$tmp/r.img"
	[ "$(tree "$tmp/r.img")" = "$(tree "$i")" ] || fail "$1: restored, it is not the volume"
}
faulty() { # FAULT N COMMAND...: with the fault at the Nth request; sets code, count, done_
	local fault=$1 n=$2; shift 2
	curl -s "$P/_fault?$fault&$n"; code=0
	timeout 300 "$bk" "$@" "${through[@]}" >"$tmp/o" 2>"$tmp/e" || code=$?
	read -r count done_ _ < <(curl -s "$P/_count"); curl -s "$P/_fault?none&0"
	did=$((did + done_)) runs=$((runs + 1))
	case $code in
	0) ;;
	3) [ "$fault" = denied ] || fail "$fault at request $n of $1: not gone on after it"
		says 'AccessDenied'; refused=$((refused + 1)) ;;
	*) fail "$fault at request $n of $1: exit $code" ;;
	esac
}
pruned_add() { # objects deleted, and packs repacked
	deleted=$((deleted + $(field deleted))) repacked=$((repacked + $(field repacked)))
}
fresh() { # one backup in few packs again: fewer requests to go through
	expect 0 "$bk" run "$R" "$i" --full "${straight[@]}"; expect 0 "$bk" forget "$R" --keep-last 1 "${straight[@]}"
	curl -s "$P/_late?7200"; expect 0 "$bk" prune "$R" "${through[@]}"; expect 0 "$bk" prune "$R" "${through[@]}"; curl -s "$P/_late?0"
}
for fault in "$@"; do
	places=0 before=$did faults=$((faults + 1))
	for ((n = 1 + faults % step; ; n += step)); do
		seed=$((seed + 1)); "$bin/bk-change" "$i" pages db 24 $seed
		faulty "$fault" $n run "$R" "$i"
		[ $code = 0 ] || expect 0 "$bk" run "$R" "$i" "${straight[@]}"
		whole "$fault at request $n of run"
		[ $n -le "$count" ] || break
		places=$((places + 1))
		[ $((seed % 4)) != 0 ] || expect 0 "$bk" forget "$R" --keep-last 2 "${straight[@]}"
	done
	[ $did -gt $before ] || [ $step -gt 1 ] || fail "$fault was never done: nothing was tested"
	echo "$fault: done $((did - before)) times at $places requests of a run"
	[ -n "${COMMANDS:-}" ] || continue
	for command in forget prune restore; do
		fresh; places=0 before=$did
		for ((n = 1 + faults % step; ; n += step)); do
			rm -f "$tmp/r.img"
			if [ $command != restore ]; then # something to forget and to prune
				"$bin/bk-change" "$i" pages db 24 $((seed += 1)); expect 0 "$bk" run "$R" "$i" "${straight[@]}"
			fi
			case $command in
			forget) set -- "$R" --keep-last 1 ;;
			prune) expect 0 "$bk" forget "$R" --keep-last 1 "${straight[@]}"; set -- "$R" --repack 95% --json; late=7200 ;;
			restore) set -- "$R" latest --to "$tmp/r.img" ;;
			esac
			curl -s "$P/_late?${late:-0}"; faulty "$fault" $n $command "$@"
			[ $command != prune ] || [ $code != 0 ] || pruned_add
			[ $command != restore ] || set -- "$@" --force
			[ $code = 0 ] || expect 0 "$bk" $command "$@" "${through[@]}"
			curl -s "$P/_late?0"; late=
			if [ $command = restore ]; then
				expect 0 "$bin/fsck.tfs" -fn "$tmp/r.img"; [ "$(tree "$tmp/r.img")" = "$(tree "$i")" ] || fail "$fault at request $n of restore: it is not the volume"
			fi
			[ $command = restore ] || whole "$fault at request $n of $command"
			[ $n -le "$count" ] || break
			places=$((places + 1))
		done
		whole "$fault, after all of $command"
		echo "$fault: done $((did - before)) times at $places requests of $command"
	done
done
[ -z "${COMMANDS:-}" ] || [ $step -gt 1 ] || { [ $deleted -gt 0 ] && [ $repacked -gt 0 ]; } || fail "prune deleted $deleted objects and repacked $repacked packs: nothing was tested"
echo "ok: $runs commands, the fault done $did times, $refused refused${COMMANDS:+; prune deleted $deleted objects, repacked $repacked packs}"
