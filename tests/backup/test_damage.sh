#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Whatever is changed in a repository is noticed: bytes of every object (STEP 1: each), objects cut, removed, swapped.
# usage: test_damage.sh [STEP]
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img
mkdir -p "$tmp/source/d"; seq 1 9000 >"$tmp/source/numbers"; echo small >"$tmp/source/d/small"; head -c 30000 /dev/urandom >"$tmp/source/random"
"$bin/mkfs.tfs" -q --from "$tmp/source" --size 16M "$i"
expect 0 "$bk" init "$R"
expect 0 "$bk" run "$R" "$i"
expect 0 "$bin/bk-flip" "$R" "${1:-101}" "$tmp/r.img"
has ' 0 not noticed$'; [ "$(awk 'END {print $1}' "$tmp/o")" -gt 300 ] || fail "only $(tail -1 "$tmp/o")"
tail -1 "$tmp/o"
