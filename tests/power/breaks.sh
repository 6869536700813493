#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Breaks a promise on purpose in a copy of the tree, one at a time, and expects the crash simulator to notice.
# usage: breaks.sh [NAME]   Run from the top of the tree. Prints which change made it fail; ends 'N passed, N failed'.
set -u
only=${1:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# try NAME FILE SED [MODE]: the change must apply, build, and be noticed (by the crash states, or by --MODE)
try() {
	local mode=${4:---histories 9 --length 300}
	[ -z "$only" ] || [ "$only" = "$1" ] || return 0
	rm -rf "$tmp/t"; mkdir "$tmp/t"; cp -r tfs tests "$tmp/t/"
	sed -i -E "$3" "$tmp/t/$2"
	if cmp -s "$2" "$tmp/t/$2"; then
		echo "FAILED $1: the change does not apply to $2"; failed=$((failed + 1)); return
	fi
	if ! (cd "$tmp/t" && ${CC:-gcc} -O2 -std=gnu11 -w -I. -Itfs/user tests/power/*.c tfs/*.c tfs/user/port.c -llz4 -lz -o power); then
		echo "FAILED $1: does not build"; failed=$((failed + 1)); return
	fi
	if (cd "$tmp/t" && ulimit -t 60 && ./power $mode --jobs 2 >out 2>&1); then
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
try shared-extent-freed-with-its-first-owner tfs/refs.c 's/\*shared = count > 1;/*shared = false;/'
try shared-extent-counted-twice tfs/refs.c 's/: 1\) \+ 1\)/: 1) + 2)/'
try window-counted-for-each-piece tfs/data_apply.c 's/if \(!tfs_window_uses\(w, e.ptr.addr\)\)/if (1)/'
try range-drops-a-shared-extent-once tfs/data_apply.c 's/for \(i = g->count; i-- && .*;\)$/for (i = g->count; i--;)/'
try dirty-tail-shared tfs/data_apply.c '/^static bool clone_ends_fit/,/^}/s/return false;/;/'
# The same live and replayed: only the independent model tells.
try link-leaves-ctime tfs/name_apply.c '/^static int link_apply/,/^}/s/inode.ctime = rec->time;//'
try exchange-miscounts-subdirectories tfs/name_apply.c 's/add32\(&to->nlink, \(dir \? 1 : 0\) - \(other \? 1 : 0\)\);//'
# A log that runs in circles within a generation: places, numbers and epochs of its heads overlap as checks, so all go.
try stale-log-writes-taken tfs/replay.c 's/if \(tfs_le32\(h->prev_crc\) == s->pos.prev_crc\)/if (1)/; s/return tfs_le64\(h->sequence\) == p->sequence && tfs_le64\(h->epoch\) >= s->epoch &&/return /'
# No crash leaves a write that fits all these and yet follows another: only an exchanged one does, see replay.c.
try log-chain-not-checked tfs/replay.c 's/if \(tfs_le32\(h->prev_crc\) == s->pos.prev_crc\)/if (1)/' --flip
try evidence-not-looked-for tfs/replay.c 's/tfs_le64\(h->durable\) > lost \|\| tfs_le64\(h->anchor\) > s->vol->anchor/0/' --flip
try node-crc-not-checked tfs/place.c 's/if \(found == ptr->crc\)/if (1)/' --flip
try raw-crc-not-checked tfs/read.c 's/if \(crc != tfs_le32\(p->e.crc\[i\]\)\)/if (0)/' --flip
try compressed-crc-not-checked tfs/read.c 's/if \(crc != ptr.crc\)/if (0)/' --flip
try want-of-memory-cuts-the-log tfs/replay.c 's/return err == -EUCLEAN \? -ENOENT : err;/return err ? -ENOENT : 0;/' --faults
try truncate-fails-after-its-record tfs/data.c '/^static int drain_and_tidy/,/^}/s/return 0;/return tfs_pending_drain(vol, ino);/; s/if \(!tfs_pending_drain\(vol, ino\)\)$/if (0)/' --faults
try failed-call-keeps-its-blocks tfs/op.c 's/^\ttfs_placed_forget\(vol\);//' --faults
try claims-not-resumed tfs/checkpoint.c 's/ck->cursor = n = n->next/n = n->next/' --faults
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
