#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The kernel's messages into a file of the volume (-o kmsg=PATH), numbered ones from /dev/kmsg: in order, each once, none missing, over remounts,
# freezes and unmounts under load; the ring's cap; the same lines at a collector; what may not be written is refused; more than the kernel's
# buffer holds, and a full volume, lose what is counted and nothing else; a crash loses nothing of before the last error.
# usage: kmsg.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
compiled kfeat tests/kernel/kfeat.c
job <<'J'
fail() { echo "FAILED: $*"; grep . /sys/fs/tfs/vda/kmsg_* /sys/fs/tfs/vda/ship_collectors 2>/dev/null; ls -l /mnt/log; dmesg | grep tfs | tail -5; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
counter() { cat /sys/fs/tfs/vda/$1; }
until_() { local i=0; until eval "$*"; do i=$((i+1)); [ $i -lt 600 ] || fail "not within a time: $*"; sleep 0.1; done; }
say() { # TAG FROM TO [BYTES]: a message each
	awk -v t=$1 -v i=$2 -v n=$3 -v b=${4:-20} 'BEGIN { for (; b > 0; b--) pad = pad "x"; for (; i < n; i++) { printf "<6>%s %d %s\n", t, i, pad >"/dev/kmsg"; fflush("/dev/kmsg") } }'
}
both() { cat /mnt/log/k.old /mnt/log/k 2>/dev/null; } # the older one first
numbers() { sed -n "s/^<14>\[ *[0-9.]*\] $1 \([0-9]*\) x*\$/\1/p"; }
arrived() { both | grep -q "\] $1 $2 "; }
each_once() { # TAG N: 0 to N - 1, in order, in both files
	both | numbers $1 | awk -v n=$2 '$1 != NR - 1 && !bad { bad = 1; print "expected " NR - 1 ", found " $1 } END { if (NR != n && !bad) print NR " of " n; exit bad || NR != n }' || fail "$1"
}
row() { # TAG LAST: what is there has no gap
	both | numbers $1 | awk 'NR > 1 && $1 != last + 1 { bad = 1; print last " then " $1 } { last = $1 } END { exit bad || last != n }' n=$2 || fail "a gap: $1"
}
thread() { ps | grep -q '[t]fs-kmsg'; }
mount -t tfs /dev/vda /mnt && mkdir /mnt/log || fail mount
at "inert without the option; options that are refused"
sleep 1.5; thread && fail "a thread without the option"; [ -z "$(ls /mnt/log)" ] || fail "a file without the option"
for o in kmsg= kmsg=/ kmsg=log/ kmsg=log/../k kmsg=./k kmsg=log//k kmsg=log/k,kmsg_max=511K kmsg=log/k,kmsg_max=2G kmsg=log/k,kmsg_max=1Mx; do
	! mount -o remount,$o /mnt 2>/dev/null || fail "taken: $o"
done
thread && fail "a thread after a refused remount"
at "in order, harmless, with a boot's line"
say a 0 50; mount -o remount,kmsg=/log/k,kmsg_max=512K /mnt || fail "remount,kmsg"; thread || fail "no thread"
grep -q 'tfs rw.*,kmsg=/log/k,kmsg_max=524288' /proc/mounts || fail "$(grep tfs /proc/mounts)"
say a 50 300; printf '<30>two\nlines \033[2J\\ \342\202\254\n' >/dev/kmsg; printf '<1019>far facility\n' >/dev/kmsg; printf '<12>tfs: kernel messages: forged\n' >/dev/kmsg; say a 300 301
until_ arrived a 300; each_once a 301; [ "$(stat -c %a:%u /mnt/log/k)" = 600:0 ] || fail "$(stat -c %a:%u /mnt/log/k)"
head -1 /mnt/log/k | grep -Eq '^<5>\[ *[0-9]+\.[0-9]{6}\] tfs: kernel messages: boot [0-9a-f]{32}, Linux [^ ]*, 20[0-9-]*T[0-9:.]*Z$' && head -1 /mnt/log/k | grep -qF "Linux $(uname -r)," || fail "$(head -1 /mnt/log/k)"
grep -q '] Linux version' /mnt/log/k || fail "nothing of the kernel's own start"
for l in '<30>.*] two$' '<30>.*] lines \\x1b\[2J\\x5c \\xe2\\x82\\xac$' '<11>.*] far facility$' '<12>.*] tfs: kernel messages: forged$'; do grep -Eq "^$l" /mnt/log/k || fail "no line $l"; done
! grep -vqE '^<[0-9]+>\[' /mnt/log/k && ! grep -q '[^ -~]' /mnt/log/k || fail "a line that is none"
[ "$(counter kmsg_lost)" = 0 ] && [ "$(counter kmsg_failures)" = 0 ] && [ "$(counter kmsg_messages)" -ge 301 ] || fail counters
at "remounts, a freeze, unmounts, while somebody speaks"
rm -f /tmp/stop; ( i=0; while [ ! -e /tmp/stop ]; do say b $i $((i + 5)); i=$((i + 5)); sleep 0.05; done; echo $i >/tmp/said ) & speaker=$!
for i in 1 2 3; do
	sleep 0.7; mount -o remount,ro /mnt || fail "remount,ro"; ! thread || fail "a thread when read-only"; sleep 0.3; mount -o remount,rw /mnt || fail "remount,rw"; thread || fail "none when written again"
	fsfreeze --freeze /mnt && s=$(stat -c %s /mnt/log/k) && sleep 1.3 && [ "$(stat -c %s /mnt/log/k)" = $s ] && fsfreeze --unfreeze /mnt || fail freeze
	dd if=/dev/zero of=/mnt/load$i bs=64k count=40 2>/dev/null; umount /mnt || fail umount; sleep 0.2; mount -t tfs -o kmsg=log/k,kmsg_max=512K /dev/vda /mnt || fail mount
done
mount -o remount,errors=continue /mnt && thread || fail "another option ended it"
touch /tmp/stop; wait $speaker; n=$(cat /tmp/said); until_ arrived b $((n - 1)); each_once b $n; each_once a 301
rm /mnt/load*; [ "$(counter kmsg_lost)" = 0 ] || fail "lost"
mount -o remount,nokmsg /mnt; ! thread && ! grep -q kmsg /proc/mounts || fail "nokmsg"; tail -1 /mnt/log/k | grep -q ', all before message [0-9]*$' || fail "no end: $(tail -1 /mnt/log/k)"
at "the ring, and a collector that gets all of it; what forwarding says of itself stays out"
tfs -q ship add /mnt/log 'relp://127.0.0.1:2514' 'k' || fail "ship add"; mv /mnt/log/k /mnt/before
mount -o remount,ship,kmsg=log/k,kmsg_max=512K /mnt || fail remount; until_ '[ -s /mnt/log/k ]'; until_ 'dmesg | grep -q "tfs: log forwarding: .*trying again"'
for r in 0 1 2 3 4 5 6 7 8 9; do
	say c $((r * 90)) $((r * 90 + 90)) 850; until_ arrived c $((r * 90 + 89))
	[ $r != 4 ] || { tfs-logship receive --relp 127.0.0.1:2514 --json -o /tmp/out 2>/tmp/heard & collector=$!; }
	s=$(cat /mnt/log/k* | wc -c); [ $s -le 524288 ] || fail "$s bytes"
done
[ -s /mnt/log/k.old ] && [ "$(ls /mnt/log | wc -l)" = 2 ] && [ $s -ge 200000 ] || fail "$(ls -l /mnt/log)"
row c 899
until_ 'grep -q "c 899 x" /tmp/out'; [ "$(counter kmsg_lost)" = 0 ] && [ "$(counter ship_lost_bytes)" = 0 ] || fail "lost"
grep -o '\] c [0-9]* x' /tmp/out | cut -d' ' -f3 | sort -n | uniq | awk '$1 != NR - 1 { bad = 1 } END { exit bad || NR != 900 }' || fail "at the collector: $(grep -o '\] c [0-9]* x' /tmp/out | cut -d' ' -f3 | sort -n | uniq | wc -l) of 900"
grep -q '"message":"<14>1 .*\] \[ *[0-9.]*\] c 0 x' /tmp/out && grep -q '"message":"<5>1 .*tfs: kernel messages: boot' /tmp/out || fail "levels: $(grep -m1 '] c 0 x' /tmp/out | head -c 300)"; ! cat /mnt/log/k* | grep -q '] tfs: ship: ' || fail "its own message is in the file"
kill $collector; wait $collector; mount -o remount,noship /mnt
at "more than the buffer holds"
lost=$(counter kmsg_lost); fsfreeze --freeze /mnt; say d 0 3000 100; fsfreeze --unfreeze /mnt; until_ arrived d 2999
have=$(both | numbers d | wc -l); lost=$(($(counter kmsg_lost) - lost)); row d 2999
[ $have -lt 3000 ] && [ $((have + lost)) -ge 3000 ] && [ $((have + lost)) -le 3020 ] || fail "$have there, $lost lost of 3000"
both | grep -q "^<4>.*tfs: kernel messages: $lost messages are missing here" || fail "$(both | grep missing)"; at "$have there, $lost lost"
at "a full volume"
say e 0 10; until_ arrived e 9; dd if=/dev/urandom of=/mnt/fill bs=64k 2>/dev/null; i=0; until ! dd if=/dev/urandom of=/mnt/fill2 bs=4k count=1 seek=$i conv=notrunc 2>/dev/null; do i=$((i+1)); done
f=$(counter kmsg_failures); until_ 'say e0 0 20 800; sleep 0.3; [ "$(counter kmsg_failures)" -gt $f ]'; say e 10 20; rm /mnt/fill /mnt/fill2; sync
until_ arrived e 19; each_once e 20; dmesg | grep -q 'tfs: kernel messages: vda: /log/k: error -28' || fail "nothing said"
at "a crash: what an error synced is there, and then all of the boot again"
say f 0 20; echo '<3>last words x' >/dev/kmsg; until_ 'grep -q "] last words x" /mnt/log/k'; sleep 0.5; kfeat shutdown /mnt 2; say f 20 30; sleep 1.2; umount /mnt
mount -t tfs /dev/vda /mnt && grep -q '] last words x' /mnt/log/k && arrived f 19 || fail "gone with the crash"
: >/mnt/log/k; mount -o remount,kmsg=log/k /mnt; until_ 'grep -q "] f 29 " /mnt/log/k'; numbers f </mnt/log/k | awk '$1 != NR - 1 { bad = 1 } END { exit bad || NR != 30 }' || fail "after the crash"
at "what may not be written"
mount -o remount,nokmsg /mnt; cd /mnt/log; mkdir d; ln -s /etc/passwd s; ln -s d sd; mknod n c 1 3; mkfifo p; echo >u; chown 5:5 u; echo >w; chmod 666 w; echo >h; ln h h2; tfs -q snapshot create /mnt snap
for p in d s sd/k n p u w h missing/k n/k; do
	before=$(dmesg | grep -c "tfs: kernel messages: vda: /log/$p: error"); mount -o remount,kmsg=log/$p /mnt || fail "remount $p"
	until_ '[ $(dmesg | grep -c "tfs: kernel messages: vda: /log/$p: error") -gt '$before' ]'; thread || fail "$p: no thread"
done
sleep 6; mount -o remount,kmsg=.snapshots/snap/log/k /mnt; # ten such messages in five seconds are all that the kernel lets through
 until_ 'dmesg | grep -q "/.snapshots/snap/log/k: error .*a snapshot cannot"'
for l in 'log/d: error.*regular file' 'log/s: error.*regular file' 'log/sd/k: error.*a directory' 'log/u: error.*of root' 'log/w: error.*of root' 'log/h: error.*one name' 'log/missing/k: error.*directory is missing'; do dmesg | grep -q "tfs: kernel messages: vda: /$l" || fail "no message $l"; done
[ "$(wc -c <u)$(wc -c <w)$(wc -c <h)" = 111 ] && [ "$(ls d | wc -l)" = 0 ] && [ -p p ] && [ -c n ] && [ -L s ] || fail "written all the same: $(ls -l)"
mount -o remount,kmsg=log/missing/k /mnt; mkdir missing; until_ '[ -s missing/k ]'; dmesg | grep -q 'missing/k: written again' || until_ 'dmesg | grep -q "missing/k: written again"'
mkdir missing/k.old; say g 0 40 850; sleep 1.5; cd /; umount /mnt || fail "umount"
! mount -t tfs -o ro,kmsg=log/k /dev/vda /mnt || { sleep 1.2; ! thread || fail "read-only, and a thread"; umount /mnt; }
at end
J
for k in "${KERNELS[@]}"; do
	echo "== $k"; volume 96M
	LIMIT=400 guest -p "$tmp/kfeat" -p "$bin/tfs" -p "$bin/tfs-logship" "$tmp/t" || bad "in the guest"
	sound "all of it"
done
finish
