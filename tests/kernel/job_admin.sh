# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The tool tfs on a mounted volume (snapshots: snapshots.sh): it grows onto a device made larger, beside a writer; scrub says nothing of
# what is sound and finds a damaged block, also on a mount for reading; once a volume is read-only nothing works on it in the
# background, and once it is writable again what a deleted snapshot held is freed.
blocks() { df -k /mnt | tail -1 | awk '{print $2}'; }
echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
mkfs.tfs -q -f /dev/vda 64M; mount -t tfs /dev/vda /mnt
dd if=/dev/urandom of=/mnt/before bs=1M count=20 2>/dev/null; n=$(blocks)
! tfs grow /mnt 32M 2>/dev/null && ! tfs grow /mnt 1G 2>/dev/null || fail "sizes that are none"
! su nobody -s /bin/sh -c 'tfs grow /mnt' 2>/dev/null && [ $(blocks) = $n ] || fail "not root, and grown"
rm -f /tmp/stop; ( i=0; while [ ! -e /tmp/stop ]; do i=$((i + 1)); dd if=/dev/urandom of=/mnt/noise$((i % 3)) bs=50k count=20 conv=fsync 2>/dev/null; done ) & writer=$!
tfs grow /mnt 100M >/dev/null || fail "grow to 100M"; [ $(blocks) -gt $((n * 4 / 3)) ] || fail "not grown: $n, $(blocks)"
tfs grow /mnt >/dev/null || fail "grow to the device's end"; [ $(blocks) -gt $((n * 9 / 4)) ] || fail "not all of the device: $n, $(blocks)"
touch /tmp/stop; wait $writer; tfs grow /mnt >/dev/null || fail "grown already"
dd if=/dev/urandom of=/mnt/after bs=1M count=90 2>/dev/null && sync || fail "no room behind the old end"
(cd /mnt; md5sum *) >/tmp/s; kfeat shutdown /mnt 2; again; (cd /mnt; md5sum -c -s /tmp/s) || fail "content after growing and a crash"
sound

fresh --compress none; dd if=/dev/urandom of=/mnt/data bs=64k count=30 2>/dev/null; cp -r /bin /mnt/; tfs snapshot create /mnt s
dd if=/dev/urandom of=/mnt/data bs=64k count=3 conv=notrunc 2>/dev/null; sync; ino=$(stat -c %i /mnt/data)
tfs scrub /mnt >/tmp/o || fail "scrub of a sound volume: $(cat /tmp/o)"; grep -q damaged=0 /tmp/o || fail "scrub said: $(cat /tmp/o)"
umount /mnt; data=$(dump.tfs -q object /dev/vda $ino | sed -n 's/.*extent.* addr=\([0-9]*\) .*/\1/p' | tail -1)
printf '\377\000\377\000' | dd of=/dev/vda bs=1 seek=$((data * 512 + 100)) conv=notrunc 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches
mount -t tfs /dev/vda /mnt
for how in rw ro; do
	mount -o remount,$how /mnt; if tfs scrub /mnt >/tmp/o 2>&1; then fail "$how: damage was not found"; fi
	grep -q "unit $data" /tmp/o && grep -q damaged=1 /tmp/o || fail "$how: scrub said: $(cat /tmp/o)"
done
! tfs snapshot delete /mnt s 2>/dev/null || fail "a mount for reading was changed"; umount /mnt

mkfs.tfs -q -f --compress none /dev/vda 64M; mount -t tfs /dev/vda /mnt
i=0; while [ $i -lt 560 ]; do dd if=/dev/urandom of=/mnt/c$i bs=80k count=1 2>/dev/null; i=$((i + 1)); done; sync
i=0; while [ $i -lt 560 ]; do rm /mnt/c$i; i=$((i + 2)); done; sync; (cd /mnt; md5sum *) >/tmp/s; busy=0
for i in 1 2 3 4 5 6 7 8; do
	sleep 2; o=$(counter operations); sleep 0.2; [ $(counter operations) = $o ] || busy=$((busy + 1)) # the compactor is at it
	mount -o remount,ro /mnt; o=$(counter operations); w=$(awk '{print $7}' /sys/block/vda/stat); sleep 0.5
	[ $(counter operations) = $o ] && [ $(awk '{print $7}' /sys/block/vda/stat) = $w ] || fail "worked on while read-only, round $i"
	mount -o remount,rw /mnt
done
echo "read-only under the compactor $busy times of 8"; [ $busy -gt 0 ] || fail "the compactor had nothing to do"
(cd /mnt; md5sum -c -s /tmp/s) || fail "content under the compactor"; sound

# A file written block by block in no order, read and written meanwhile: joined, the same, and read by fewer requests
reads() { awk '{print $1}' /sys/block/vda/stat; }
fresh --compress none; i=0; dd if=/dev/urandom of=/tmp/whole bs=4k count=640 2>/dev/null
while [ $i -lt 640 ]; do b=$((i * 263 % 640)); dd if=/tmp/whole of=/mnt/x bs=4k count=1 skip=$b seek=$b conv=notrunc,fsync 2>/dev/null; i=$((i + 1)); done
cp /tmp/whole /mnt/y; sync; echo 3 >/proc/sys/vm/drop_caches; n=$(reads); cmp /mnt/x /tmp/whole || fail "scattered content"; n=$(($(reads) - n))
tfs defrag -n /mnt >/tmp/o && grep -q 'scattered  *40$' /tmp/o || fail "expected 40 scattered windows: $(cat /tmp/o)"
( while [ ! -e /tmp/enough ]; do cmp /mnt/x /tmp/whole || { echo differs >/tmp/differs; break; }; echo 1 >/proc/sys/vm/drop_caches; done ) & reader=$!
( while [ ! -e /tmp/enough ]; do dd if=/tmp/whole of=/mnt/y bs=4k count=64 conv=notrunc,fsync 2>/dev/null; done ) & writer=$!
tfs defrag /mnt --path x >/tmp/o; c=$?; touch /tmp/enough; wait $reader $writer
[ $c = 0 ] && grep -q 'joined  *40$' /tmp/o || fail "defrag ended with $c: $(cat /tmp/o)"; [ ! -e /tmp/differs ] || fail "content while it was joined"
umount /mnt; mount -t tfs /dev/vda /mnt; a=$(reads); cmp /mnt/x /tmp/whole && cmp /mnt/y /tmp/whole || fail "joined content"
a=$(($(reads) - a)); echo "read by $n requests, then $a"; [ $a -lt $((n / 2)) ] || fail "expected fewer requests than half of $n, found $a"
# What is joined is also written, block by block, each time with another content; what was written last is there, also after a crash
mount -o remount,ro /mnt; tfs defrag -n /mnt >/tmp/o || fail "counting on a mount for reading"; ! tfs defrag /mnt 2>/dev/null || fail "joined on a mount for reading"
mount -o remount,rw /mnt; rm -f /tmp/enough; cp /tmp/whole /tmp/want
( n=0; while [ ! -e /tmp/enough ] || [ $n -lt 200 ]; do
	b=$((n * 263 % 640)); n=$((n + 1)); for f in /mnt/x /tmp/want; do dd if=/tmp/whole of=$f bs=4k count=1 skip=$(((b + n) % 640)) seek=$b conv=notrunc 2>/dev/null; done
	[ $((n % 7)) != 0 ] || sync /mnt/x
done; echo "$n blocks written meanwhile" ) & writer=$!
i=0; while [ $i -lt 12 ]; do tfs defrag -q /mnt --path x || fail "defrag beside a writer"; i=$((i + 1)); done
touch /tmp/enough; wait $writer; cmp /mnt/x /tmp/want || fail "content written while it was joined"; sync /mnt/x
tfs defrag -q /mnt --path x; kfeat shutdown /mnt 2; again; cmp /mnt/x /tmp/want || fail "content after a crash"; sound

fresh; dd if=/dev/urandom of=/mnt/a bs=1M count=10 2>/dev/null; tfs snapshot create /mnt s; rm /mnt/a; sync
tfs snapshot delete /mnt s; kfeat shutdown /mnt 2; again -o ro; [ $(counter snapshots_dying) = 1 ] || fail "freed by a crash"
mount -o remount,rw /mnt; i=0; while [ $(counter snapshots_dying) != 0 ]; do sleep 0.1; i=$((i + 1)); [ $i -lt 300 ] || fail "never freed"; done
sound
