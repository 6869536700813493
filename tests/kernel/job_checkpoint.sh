# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A checkpoint that is due is taken by the thread, in steps, long before its 30 seconds are over: a nearly full volume, where
# little may wait for one, and more fsyncs than that. Operations make it only when the thread is late, so hardly any are forced.
mkfs.tfs -q -f /dev/vda 64M; mount -t tfs /dev/vda /mnt; kfeat fsyncs /mnt 1 200
dd if=/dev/urandom of=/mnt/fill bs=64k count=$(($(df -k /mnt | tail -1 | awk '{print $4}') / 64 - 16)) 2>/dev/null; sync
before=$(counter checkpoints); forced=$(counter checkpoints_forced)
for i in 1 2 3 4 5; do kfeat fsyncs /mnt 1 200; done
taken=$(($(counter checkpoints) - before)); forced=$(($(counter checkpoints_forced) - forced))
echo "$taken checkpoints, $forced of them forced"
[ $taken -ge 3 ] || fail "1000 fsyncs on a full volume: expected 3 checkpoints at least, found $taken"
[ $forced -lt $taken ] || fail "each of $taken checkpoints was made by an operation: the thread was never called"
sound
