# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The jobs of flaky.sh: the volume lies on a device-mapper device whose table changes under it. SEED, ROUNDS, PANIC are set.
fail() { echo "FAILED: $*"; dmesg | tail -12; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
sectors=$(blockdev --getsz /dev/vda) dev=/dev/mapper/t
halt() { dmsetup suspend --nolockfs --noflush t || fail suspend; }
resume() { printf '%s\n' "$1" | dmsetup load t && dmsetup resume t || fail "table $1"; }
table() { halt; resume "$1"; }
whole="0 $sectors linear /dev/vda 0"
flaky="0 $sectors flakey /dev/vda 0 0 1" # always down; the features follow
fsck() { fsck.tfs -fn --data $dev >/tmp/fsck 2>&1 || { cat /tmp/fsck; fail "fsck $*"; }; }
fresh() { mkfs.tfs -q -f $dev || fail mkfs; mount -t tfs "$@" $dev /mnt || fail mount; }
acks() { wc -l </dev/ack; }
draw() { SEED=$(((SEED * 1103515245 + 12345) % 2147483648)); drawn=$((SEED / 65536 % $1)); }
until_() { # WHAT CONDITION...: within two minutes
	local what=$1 i=0; shift
	until "$@"; do i=$((i + 1)); [ $i -lt 1200 ] || fail "$what: not within two minutes"; sleep 0.1; done
}
enough() { [ $(acks) -ge $want ] || ! kill -0 $client 2>/dev/null; }
ended() { ! kill -0 $client 2>/dev/null; }
echo "$whole" | dmsetup create t || fail create
[ -e $dev ] || dmsetup mknodes
mount -t tracefs t /sys/kernel/tracing; echo 1 >/sys/kernel/tracing/events/tfs/tfs_log_write/enable

# Writing fails but where superblocks, anchors and the log are (the segment of 256 KiB, from 64 KiB on, that it wrote to last).
trace=/sys/kernel/tracing
data_table() {
	local last=$(sed -n 's/.*tfs_log_write: .* unit \([0-9]*\) .*/\1/p' $trace/trace | tail -1)
	[ -n "$last" ] || fail "no place of the log"
	local log=$(((last - 128) / 512 * 512 + 128)) tail=$((sectors - 128))
	[ $((log + 512)) -lt $tail ] || fail "the log is at the end: $last of $sectors"
	echo "0 128 linear /dev/vda 0"
	[ $log = 128 ] || echo "128 $((log - 128)) flakey /dev/vda 128 0 1 1 error_writes"
	echo "$log 512 linear /dev/vda $log"
	echo "$((log + 512)) $((tail - log - 512)) flakey /dev/vda $((log + 512)) 0 1 1 error_writes"
	echo "$tail 128 linear /dev/vda $tail"
}

# Journalled clients at work when the device turns bad.
under_load() { # FAULT POLICY HEALS
	local fault=$1 policy=$2 bad code
	draw 60; want=$((drawn + 20)); seed=$SEED
	at "$fault, errors=$policy$3: after $want acknowledgements, seed $seed"
	fresh -o errors=$policy; : >$trace/trace; : >/dev/ack; mkdir /mnt/r
	dd if=/dev/urandom of=/mnt/old bs=100k count=5 2>/dev/null; sync; md5sum /mnt/old >/tmp/old
	CLIENT_FAILING=1 client run /mnt/r $seed 3 2>/tmp/said & client=$!
	until_ "$want acknowledgements" enough
	halt; cp /dev/ack /tmp/acks
	case $fault in
	write) resume "$flaky 1 error_writes" ;;
	all) resume "0 $sectors error" ;;
	data) resume "$(data_table)" ;;
	drop) resume "$flaky 1 drop_writes" ;;
	esac
	if [ $fault = drop ]; then # the device lies: nobody is told
		want=$(($(acks) + 30)); until_ "acknowledgements that are lies" enough
		kill -9 $client 2>/dev/null; wait $client 2>/dev/null
	else
		until_ "the client told of a failure" ended
		wait $client; code=$?
		[ $code = 1 ] && grep -qE 'Input/output error|Read-only file system' /tmp/said || fail "client: $code $(cat /tmp/said)"
		cp /dev/ack /tmp/acks
	fi
	[ -z "$3" ] || { table "$whole"; }
	if [ $fault != drop ]; then # it stopped, and stays so
		! { touch /mnt/new && sync -f /mnt/new; } 2>/dev/null || fail "something new was made durable after a write failed"
		case $policy in
		remount-ro) grep -q '/mnt tfs ro' /proc/mounts || fail "errors=remount-ro went on" ;;
		continue) grep -q '/mnt tfs rw' /proc/mounts || fail "errors=continue turned read-only" ;;
		esac
	fi
	for i in 1 2; do
		client live /mnt/r $seed 3 /dev/ack >/tmp/found || { cat /tmp/found; fail "what is read while the device fails"; }
		md5sum -c -s /tmp/old 2>/dev/null || [ $fault = all ] || [ $fault = drop ] || fail "old data is not readable, though it could be"
		echo 3 >/proc/sys/vm/drop_caches
	done
	umount /mnt || fail umount
	[ -n "$3" ] || table "$whole"
	fsck "before recovery"
	mount -t tfs $dev /mnt || fail "mount of the whole device"
	md5sum -c -s /tmp/old || fail "old data is wrong after recovery"
	client check /mnt/r $seed 3 /tmp/acks >/tmp/found || { cat /tmp/found; fail "after recovery"; }
	rm -rf /mnt/r && mkdir /mnt/r && right make /mnt/r 0 10 && umount /mnt || fail "work after recovery"
	fsck "after recovery"
}

# Who has something unsynced when writing ends is told, whoever met the error.
told() {
	for policy in remount-ro continue; do
		at "told, errors=$policy"; fresh -o errors=$policy; sync
		table "$flaky 1 error_writes"; kfeat told /mnt || fail "a sync says that what is lost was made durable"
		umount /mnt || fail umount; table "$whole"; fsck told
	done
}

# Reads that fail or bring something else: refused, never wrong, and over when the device is whole again.
reading() {
	for how in "0 $sectors error" "$flaky 5 corrupt_bio_byte 33 r 171 0" "$flaky 5 corrupt_bio_byte 4001 r 90 0" "$flaky 1 error_reads"; do
		umount /mnt 2>/dev/null; table "$whole"; fresh -o noatime; mkdir /mnt/r; right make /mnt/r 0 60 || fail "right make"
		umount /mnt; mount -t tfs -o noatime,errors=continue $dev /mnt || fail mount
		right check /mnt/r 0 5 all >/dev/null || fail "before"
		echo 3 >/proc/sys/vm/drop_caches; ls /mnt/r >/dev/null
		halt; printf '%s\n' "$how" | dmsetup load t || { dmsetup resume t; at "this kernel's dm-flakey has not: $how"; continue; }
		dmsetup resume t; at "reading: $how"
		case $how in # up to 6.1 it lets what is read through as it is
		*corrupt*) [ "$(dd if=$dev bs=8k count=1 2>/dev/null | md5sum)" != "$(dd if=/dev/vda bs=8k count=1 2>/dev/null | md5sum)" ] ||
			{ at "this kernel's dm-flakey changes nothing that is read"; continue; } ;;
		esac
		right check /mnt/r 0 60 >/tmp/found || { cat /tmp/found; fail "wrong data"; }
		cat /tmp/found; grep -q ' 0 that are refused' /tmp/found && fail "nothing was refused: no fault was there"
		table "$whole"; right check /mnt/r 0 60 all >/tmp/found || { head -5 /tmp/found; fail "not all is back when the device is whole"; }
		echo x >/mnt/x && umount /mnt || fail "work after it"; fsck "after reading"
	done
}

# Writes that arrive changed, at any place: afterwards what is read is right, or refused, or the volume is.
changed() {
	local b=$1
	at "written with byte $b changed"; umount /mnt 2>/dev/null
	table "$whole"; fresh; mkdir /mnt/r; right make /mnt/r 0 20 || fail "right make"; umount /mnt
	mount -t tfs $dev /mnt || fail mount
	table "$flaky 5 corrupt_bio_byte $b w 77 0"
	right make /mnt/r 20 50; rm -f /mnt/r/3 /mnt/r/4; echo 3 >/proc/sys/vm/drop_caches
	right check /mnt/r 0 50 >/tmp/found || { cat /tmp/found; fail "wrong data"; }
	tail -1 /tmp/found
	umount /mnt || fail umount
	table "$whole"
	if mount -t tfs $dev /mnt; then
		right check /mnt/r 0 50 >/tmp/found || { cat /tmp/found; fail "wrong data after the mount"; }
		tail -1 /tmp/found; umount /mnt
	else
		dmesg | tail -1 | grep tfs || fail "no mount, and no word"
	fi
}

if [ -n "${PANIC:-}" ]; then # the machine is to stop with the first write that fails
	fresh -o errors=panic; echo before >/mnt/f; sync; table "$flaky 1 error_writes"
	echo after >/mnt/f; sync; echo "FAILED: errors=panic: still running"; exit 1
fi
told
round=0
while [ $round -lt $ROUNDS ]; do
	for fault in write all data drop; do
		case $((round % 2)) in 0) policy=remount-ro ;; *) policy=continue ;; esac
		draw 2; under_load $fault $policy $([ $drawn = 0 ] || [ $fault = drop ] || echo ,healed)
	done
	round=$((round + 1))
done
reading
for b in 40 600 3000 9000; do changed $b; done
dmsetup remove t || fail "the device is still held"
at end
