#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Breaks the module on purpose in a copy of the tree, one change at a time, where memory is short or the device fails, and
# expects nomem.sh on user-mode Linux (make debug-kernel) to fail and to say where; without a change it passes. Then log forwarding over
# TLS, of the module and of tfs, the same with tls.sh in one of Debian's kernels, and the sender with torture.sh.
# usage: breaks.sh [NAME]...   Prints what noticed each, and 'N passed, N failed'; hours on a busy machine.
# Seen to be noticed so far: failed-mount-keeps-pages, those of TLS and those of torture. The others build on what nomem.sh compares, and wait for their first run.
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -e build/uml-kernel/version ] || [[ "$*" == *-t[lo]* || "$*" == *-ship ]] || { echo "SKIPPED: tests/kernel/breaks.sh: no user-mode kernel: run make debug-kernel"; exit 77; }
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT; trap 'exit 130' INT TERM
t=$tmp/t wanted=" $* " passed=0 failed=0
mkdir -p "$t/build" && tar -c --exclude=./build --exclude=./.git . | tar -x -C "$t" || exit 2
for d in bin uml-kernel; do ln -s "$PWD/build/$d" "$t/build/$d"; done
kernel=$(ls /lib/modules 2>/dev/null | sort -V | tail -1)
bad() { echo "FAILED $1: $2; repeat: tests/kernel/breaks.sh $1"; failed=$((failed + 1)); }
run() { # [tls | torture | ship | OPTION...]
	(cd "$t" && case $1 in
		tls) make -s build/bin/tfs && tests/kernel/tls.sh "$kernel" ;;
		torture) make -s build/bin/tfs && tests/kernel/torture.sh -n 2 -s 1 "$kernel" ;;
		ship) make -s build/bin/tfs build/bin/tfs-logship && tests/kernel/ship.sh -n 0 "$kernel" ;;
		*) tests/kernel/nomem.sh -s 1 "$@" uml ;;
		esac) >"$tmp/out" 2>&1
}

try() { # NAME FILE SED [OPTION]...: the change must apply, build, and make nomem.sh fail with a message
	local name=$1 file=$2 change=$3 code=0 line; shift 3
	[ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || return 0
	cp "$t/$file" "$tmp/sound"; sed -i -E "$change" "$t/$file"
	if cmp -s "$tmp/sound" "$t/$file"; then
		bad "$name" "the change does not apply to $file"
	else
		run "$@" || code=$?
		line=$(grep -m1 -E 'FAILED: (memory|device|storm|not within|a stranger|tickets|after|missing|relp:|cycle [0-9]+,)|internal error|unreferenced object|page left behind|KASAN|BUG|blocked for more|no end within' "$tmp/out" | sed 's/^ *//' | cut -c1-140)
		if [ $code = 0 ]; then
			bad "$name" "not noticed"
		elif [ -z "$line" ]; then
			tail -5 "$tmp/out"; bad "$name" "ended with $code and no message"
		else
			echo "noticed $name: $line"; passed=$((passed + 1))
		fi
	fi
	cp "$tmp/sound" "$t/$file"
}

# Only a test that passes on the sound module proves anything.
[ -n "$*" ] || run -e 17 -r 4 || { tail -5 "$tmp/out"; bad sound-tree "nomem.sh fails without a change"; }

# What a failed call must give back
working=(-k memory -e 3)
try failed-mount-keeps-pages kernel/linux/bdev.c '/^int tfs_bdev_open/,/^}/s/^\t\tspares_free\(d\);//' -k memory -e 2 -m 80
try failed-mount-keeps-the-volume kernel/linux/super.c '/^static int fill_super/,/^}/s/^\t\ttfs_abandon\(s->vol\);/\t\t;/' -k memory -e 1 -m 600
try failed-mount-keeps-a-name kernel/linux/sysfs.c '/^int tfs_sysfs_add/,/^}/s/kobject_put\(&s->kobj\);/complete(\&s->kobj_gone);/' -k memory -e 1 -m 600
try write-keeps-its-promise kernel/linux/pages.c '/^static int write_begin/,/^}/s/^\t\ttfs_unreserve_blocks\(inode->i_sb, 1\);//' "${working[@]}"
try zeroing-keeps-its-promise kernel/linux/file.c '/if \(IS_ERR\(page\)\) \{/,/^\t\}/s/^\t\ttfs_unreserve_blocks\(inode->i_sb, 1\);//' "${working[@]}"
try symlink-keeps-its-target kernel/linux/inode.c '/^const char \*tfs_get_link/,/^}/s/^\t\tkfree\(target\);//' "${working[@]}"

# What want of memory must not lose or leave half done
try write-back-gives-up kernel/linux/writeback.c 's/while \(tfs_insist\(err, &tries\)\);/while (0);/' "${working[@]}"
try removed-file-stays kernel/linux/inode.c 's/ \|\| tfs_insist\(more, &tries\)\)/)/' "${working[@]}"
try refused-name-is-there kernel/linux/namei.c 's/^\t\tunmake\(.*/\t\t;/' "${working[@]}"
try refused-mode-shows kernel/linux/inode.c 's/^\t\ttfs_refresh\(inode\); .*$/\t\t;/' "${working[@]}"

# What a failed device must not let pass
try failed-write-forgotten kernel/linux/bdev.c '/^static void write_done/,/^}/s/if \(bio->bi_status\)/if (0)/' -k device -e 12
try failed-sync-acknowledged kernel/linux/sync.c '/^int tfs_sync_wait/,/^}/s/return tfs_user_err\(err\);/return 0 * err;/' -k device -e 12

# Over TLS: with a tfs of the copy's own
rm "$t/build/bin"; mkdir "$t/build/bin"; cp build/bin/mkfs.tfs build/bin/fsck.tfs "$t/build/bin/"
try anybody-is-trusted-tls admin/agent_tls.c '/gnutls_session_set_verify_cert/d' tls
try any-name-is-trusted-tls admin/agent_tls.c 's/(gnutls_session_set_verify_cert.session, )host/\1NULL/' tls
try ticket-ends-it-tls kernel/linux/sender_tls.c 's/!= HANDSHAKE_TICKET/== HANDSHAKE_TICKET/' tls

# Log forwarding while the network, the collector and the guest go: where a cursor may stand, and what goes twice
try cut-is-an-answer-torture kernel/linux/sender.c '/^static void failed\(/,/^}/s/^\tcommit\(t\);/\tarrived(t, t->flights); commit(t);/' torture
try sends-from-cursors-torture kernel/linux/sender.c 's/u64 from = p && p->sent > f->acked \? p->sent : f->acked;/u64 from = f->acked;/' torture
try first-namespace-ship kernel/linux/sender_link.c 's/__sock_create\(t->s->ship\.net,/__sock_create(\&init_net,/' ship

echo "$passed passed, $failed failed"
[ $failed = 0 ]
