#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Whatever is changed in a repository is noticed by verify --read-data and by restore: bytes of every object (STEP 1: each), objects
# cut, removed, swapped. In one of a single run, and in one where prune has moved what is needed into other packs, twice, and the
# old ones are gone. usage: test_damage.sh [STEP [plain|moved]]
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img step=${1:-101}
flips() { # AT LEAST
	"$bin/bk-flip" "$R" "$step" "$tmp/r.img" >"$tmp/o" 2>"$tmp/e" || fail "bk-flip ends with $?" # with STEP 1 it takes many minutes
	has ' 0 not noticed$'; [ "$(awk 'END {print $1}' "$tmp/o")" -gt "$1" ] || fail "only $(tail -1 "$tmp/o")"
	tail -1 "$tmp/o"
}
if [ "${2:-plain}" = plain ]; then
	mkdir -p "$tmp/source/d"; seq 1 9000 >"$tmp/source/numbers"; echo small >"$tmp/source/d/small"; head -c 30000 /dev/urandom >"$tmp/source/random"
	"$bin/mkfs.tfs" -q --from "$tmp/source" --size 16M "$i"
	expect 0 "$bk" init "$R"
	expect 0 "$bk" run "$R" "$i"
	flips $((20000 / step))
fi

# ---- with moved lists ----
[ "${2:-moved}" = moved ] || exit 0
rm -rf "$R" "$i"; "$bin/mkfs.tfs" -q --compress none --size 16M "$i"
expect 0 "$bk" init "$R" --grace 1h
for f in 1 2 3 4 5 6; do "$bin/bk-change" "$i" file f$f 1; done
expect 0 "$bk" run "$R" "$i"
round() { # FILES: these are changed; what is needed of the packs before is moved, and they go
	for f in "$@"; do "$bin/bk-change" "$i" pages f"$f" 1 "$f"; done
	expect 0 "$bk" run "$R" "$i"; expect 0 "$bk" forget "$R" --keep-last 1
	find "$R" -type f -exec touch -d '2 hours ago' {} +
	expect 0 "$bk" prune "$R" --repack 80% --json; [ "$(field repacked)" -gt 0 ] || fail "nothing is repacked"
	find "$R" -type f -exec touch -d '2 hours ago' {} +
	expect 0 "$bk" prune "$R" --repack 0 --json; [ "$(field deleted)" -gt 0 ] || fail "the old packs are still there"
}
round 3 4 5 6; round 2 5 6; round 6
[ "$(find "$R/moved" -type f | wc -l)" -ge 2 ] || fail "no chain of moves"
flips $((20000 / step))
