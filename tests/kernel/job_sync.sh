# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Group commit: writers that sync in parallel share flushes; each sync's data is there after a shutdown without a sync.
fresh --compress none
f=$(counter flushes); kfeat fsyncs /mnt 1 50; one=$(($(counter flushes) - f))
f=$(counter flushes); kfeat fsyncs /mnt 8 50; eight=$(($(counter flushes) - f))
echo "50 syncs of one writer: $one flushes; 400 of eight: $eight, $(counter syncs_joined) joined"
[ $one -ge 50 ] && [ $one -le 55 ] || fail "one writer"
[ $eight -lt 300 ] || fail "no sharing"
[ $(($(counter syncs) + $(counter syncs_joined))) -ge 450 ]
kfeat shutdown /mnt 2; again
for i in 0 1 2 3 4 5 6 7; do [ $(stat -c %s /mnt/sync$i) = 204800 ] || fail "sync$i lost"; done
sound
