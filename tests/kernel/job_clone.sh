# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Reflink, dedupe and copy_file_range: what is shared, what is refused, who sees what; raw and compressed; all there after a mount.
for c in none lz4; do
	fresh --compress $c
	clones /mnt /tmp || fail "clones on $c"
	dd if=/dev/urandom of=/mnt/one bs=64k count=160 2>/dev/null; sync
	n=$(counter free_blocks); cp --reflink=always /mnt/one /mnt/two; sync; n=$((n - $(counter free_blocks)))
	[ $n -lt 100 ] || fail "a clone of 2560 blocks took $n"
	cmp /mnt/one /mnt/two || fail "a clone differs"
	[ $c != none ] || kfeat fiemap /mnt/two | grep -q shared || fail "fiemap: $(kfeat fiemap /mnt/two)"
	rm /mnt/one; (cd /mnt; md5sum small2 b r r2 m m2 d d2 c c2 w w2 two) >/tmp/s
	again; (cd /mnt; md5sum -c -s /tmp/s) || fail "content after a mount"; sound
done
# What stands before the range and is not written yet goes first: after a crash no size shows without it.
fresh; head -c 65536 /dev/urandom >/mnt/from; sync
head -c 65536 /dev/urandom >/tmp/want; cat /tmp/want >/mnt/to
clones append /mnt/from /mnt/to; kfeat fsyncs /mnt 1 1; kfeat shutdown /mnt 2; again
cat /mnt/from >>/tmp/want; cmp /tmp/want /mnt/to || fail "a clone behind what was not written"
sound
