#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Hostile images, mounted read-write and used in every way there is (tests/kernel/hostile.c). Errors are right; complaints of the
# kernel are not, and it must not hang. Many small images travel in one file as what differs from a base (tests/kernel/pack.h):
#   the fuzzers' inputs  seeds, fuzz/corpus and what `make fuzz` found until now (build/fuzz/work), and N mutated ones of each of
#                        three targets, in a module that takes a constant for every checksum as the fuzzers do
#   mutated              a sound volume one item of which is changed, all checksums right (build/bin/mutate): N
#   flipped              a sound volume with bytes changed: N / 2
# usage: hostile.sh [-n N] [-s SEED] [-a] [KERNEL]...   (N: default 300; -a: all inputs of the fuzzers, default N of each target;
# `hostile.sh -n 3000 -a uml` is the full run)
n=300 seed=$RANDOM all=
while getopts n:s:a o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; a) all=1 ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
compiled hostile tests/kernel/hostile.c
gcc -O2 -I. -o "$tmp/pack" tests/kernel/pack.c || exit 1
export MAKEFLAGS=
make -s fuzz-replay || { echo "FAILED: make fuzz-replay"; exit 1; }

# ---- the fuzzers' ----
"$bin/fuzz-seeds" "$tmp/seeds" || exit 1
selection() { # FOLDER: some of its files, as many as an image run shall have, or the folder
	if [ -n "$all" ]; then echo "$1"; else find "$1" -type f | sort | shuf -n "$n" --random-source=<(yes "$seed"); fi
}
for t in image replay items; do
	inputs=()
	for d in "$tmp/seeds/$t" "build/fuzz/work/$t/corpus"; do
		[ ! -d "$d" ] || [ -z "$(ls "$d")" ] || while read -r f; do inputs+=("$f"); done < <(selection "$d")
	done
	for d in $t $([ $t != image ] || echo fsck); do [ ! -d "fuzz/corpus/$d" ] || inputs+=("fuzz/corpus/$d"); done
	echo "$t: $("$bin/fuzz-pack-$t" -m "$n" -s "$seed" "$tmp/fuzzed" "${inputs[@]}")" || { echo "FAILED: packing $t"; exit 1; }
done

# ---- mutated and flipped ----
"$bin/mutate" make "$tmp/base" || exit 1
mkdir "$tmp/images"
"$bin/mutate" list 2>/dev/null | cut -d' ' -f1 >"$tmp/list"
for m in $(cat "$tmp/list") $(seq "$seed" $((seed + n - 1))); do
	cp --sparse=always "$tmp/base" "$tmp/images/$m"
	case $m in [0-9]*) m=random:$m ;; esac
	"$bin/mutate" "$tmp/images/${m#random:}" "$m" >/dev/null 2>&1 || true # it did not open after the change: as good
done
"$tmp/pack" -f $((n / 2)) -s "$seed" "$tmp/mutated" "$tmp/base" "$tmp/images"/* || exit 1
rm -r "$tmp/images"

job <<'J'
hostile /dev/vda 2
J
for k in "${KERNELS[@]}"; do
	flock build kernel/linux/build.sh "$k" crc >"$tmp/build" 2>&1 || { cat "$tmp/build"; echo "FAILED: the module does not build for $k"; exit 1; }
	for what in fuzzed mutated; do
		variant=(); [ $what != fuzzed ] || variant=(-V crc)
		truncate -s %1M "$tmp/$what"
		LIMIT=${LIMIT:-$((600 + n * 5))} guest -m 1024 -o loop ${variant[@]+"${variant[@]}"} -p "$tmp/hostile" "$tmp/$what" ||
			bad "$what images of seed $seed (the last line 'hostile: ...' of the log names it): hostile.sh -n $n -s $seed"
		echo "$k: $what, seed $seed"
	done
done
finish
