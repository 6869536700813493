#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Breaks a promise on purpose in a copy of the tree, one at a time, and expects the crash simulator to notice.
# usage: breaks.sh [NAME]   Run from the top of the tree. Prints which change made it fail; ends 'N passed, N failed'.
set -u
only=${1:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# try NAME FILE SED: the change must apply, build, and be noticed
try() {
	[ -z "$only" ] || [ "$only" = "$1" ] || return 0
	rm -rf "$tmp/t"; mkdir "$tmp/t"; cp -r tfs tests "$tmp/t/"
	sed -i -E "$3" "$tmp/t/$2"
	if cmp -s "$2" "$tmp/t/$2"; then
		echo "FAILED $1: the change does not apply to $2"; failed=$((failed + 1)); return
	fi
	if ! (cd "$tmp/t" && ${CC:-gcc} -O2 -std=gnu11 -w -I. -Itfs/user tests/power/*.c tfs/*.c tfs/user/port.c -llz4 -lz -o power); then
		echo "FAILED $1: does not build"; failed=$((failed + 1)); return
	fi
	if (cd "$tmp/t" && ulimit -t 25 && ./power --histories 9 --length 300 --jobs 2 >out 2>&1); then
		echo "FAILED $1: not noticed; repeat: tests/power/breaks.sh $1"; failed=$((failed + 1))
	else
		echo "noticed $1: $(grep -m1 FAILED "$tmp/t/out" | cut -c1-110)"; passed=$((passed + 1))
	fi
}

try sync-without-flush tfs/log.c 's/int err = vol->dev->ops->flush\(vol->dev\);/int err = 0;/'
try log-not-written-at-sync tfs/log.c 's/^\treturn tfs_flush\(vol\);/\tif (vol->env.durable) vol->env.durable(vol->env.ctx, vol->log.next + 1);\n\treturn tfs_flush(vol);/'
try data-not-verified-in-replay tfs/replay.c 's/f->next >= f->durable \? data_verify\(vol, rec\) : 0/0/'
try dropped-blocks-reused-at-once tfs/space.c 's/tfs_pin_set\(vol, tfs_epoch_pin\(vol->epoch\), block, 1\);//'
try anchor-before-flush tfs/checkpoint.c '/^static int anchor_step/,/^}/s/err = tfs_flush\(vol\);/err = 0;/'
try log-runs-released-early tfs/log.c 's/^\twhile \(\*p && \(\*p\)->addr != keep->run\)$/\twhile (0)/'
try node-places-not-listed tfs/checkpoint.c 's/err = list_node\(&b, &n->ptr\);/err = 0;/'
try tail-not-rewritten tfs/data.c 's/if \(!\(tfs_le32\(inode->flags\) \& TFS_INODE_TAIL\) \|\| size % TFS_BLOCK == 0\)/if (1)/'
try compressed-extent-dropped-early tfs/window.c 's/if \(err \|\| \(old.e.codec \&\& addr_used\(w, old.e.ptr.addr\)\)\)/if (err)/'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
