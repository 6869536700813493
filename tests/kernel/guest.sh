#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Boots a kernel in QEMU (TCG) with busybox, the module, given programs and disks, and runs a script in it as root.
# What holds: it ends, within its time limit, whatever the guest does; the disks are as the guest left them.
set -u
usage() {
	cat >&2 <<'U'
usage: tests/kernel/guest.sh [OPTION]... KERNEL SCRIPT [DISK]...
KERNEL is a version: /boot/vmlinuz-KERNEL, its modules and build/KERNEL/tfs.ko (make module K=KERNEL); or `debug` or `uml`, what
make debug-kernel built: the second is user-mode Linux, without QEMU, and knows of the options -p -f -m -t -l -w -V only. SCRIPT runs in busybox's sh; the disks (raw images) are /dev/vda, /dev/vdb, ... in their order.
  -p PROGRAM  put this program with its libraries into the guest's /bin (again for more)
  -f PATH     put this file or folder, with the libraries of what it holds, into the guest at the same path (again for more)
  -M MACHINE  q35 (default) or microvm
  -m MIB      memory (default 1024)         -c CPUS  (default 2)
  -t SECONDS  time limit (default 300), not counting what it waits for a processor; 30 s before it, blocked tasks go to the log
  -l FILE     keep the kernel's log here; without it, it is kept in build/guest-log only when the run fails
  -o MODULE   load this module of the kernel too (again for more)
  -n          without tfs.ko
  -a FILE     what the script writes to /dev/ack goes here at once
  -k SECONDS  kill QEMU this long (decimals allowed) after the first byte of -a: the run is then as it should be
  -w REGEX    lines of the log that match are not held against the run (a test that provokes them says why)
  -d OPTIONS  of the disks, for QEMU (logical_block_size=4096)     -r  the disks are read-only
  -V VARIANT  the module of build/KERNEL-VARIANT (see kernel/linux/build.sh)
  -T IOPS,BPS each disk takes this many requests and bytes a second at most, as a cloud's disks do
  -R FILE     one more disk, the last, read-only and as fast as it can
  -i          one CPU of a billion instructions a second, whatever the host does meanwhile: CPU times in the guest count instructions
  -N          two network cards on one hub, eth0 and eth1: what one sends the other receives
  -L FILE     the first disk's writes and flushes are recorded here, as dm-log-writes does (see tests/kernel/power.sh)
CHECKS=1 in the environment: slab and page poisoning, red zones and KFENCE, as far as the kernel has them.
Standard output is the script's. Exit code: the script's; 124: the time limit was reached; 125: the guest broke: it ended without
a code, or its log has a panic, an oops, a warning, a hung task, or a report of lockdep, KASAN, kmemleak or of pages left behind; 2: usage.
U
	exit 2
}
programs=() folders=() modules=() machine=q35 mem=1024 cpus=2 limit=300 log= module=1 ack= kill= allowed='^$' record= disk= ro=off variant= throttle= tools= cards=(-nic none) tcg=tcg,thread=multi count=()
while getopts p:f:M:m:c:t:l:o:na:k:w:L:d:rV:T:R:iN o; do
	case $o in
	p) programs+=("$OPTARG") ;; f) folders+=("$OPTARG") ;; M) machine=$OPTARG ;; m) mem=$OPTARG ;; c) cpus=$OPTARG ;;
	t) limit=$OPTARG ;; l) log=$OPTARG ;; o) modules+=("$OPTARG") ;; n) module= ;; a) ack=$OPTARG ;; k) kill=$OPTARG ;;
	w) allowed=$OPTARG ;; L) record=$OPTARG ;; d) disk=,$OPTARG ;; r) ro=on ;; V) variant=-$OPTARG ;; T) throttle=$OPTARG ;; R) tools=$OPTARG ;;
	N) modules+=(e1000); cards=(-netdev hubport,hubid=1,id=one -device e1000,netdev=one -netdev hubport,hubid=1,id=two -device e1000,netdev=two) ;;
	i) tcg=tcg,thread=single cpus=1 count=(-icount shift=0) ;; *) usage ;;
	esac
done
shift $((OPTIND - 1)); [ $# -ge 2 ] || usage
k=$1 script=$2; shift 2
die() { echo "guest.sh: $*" >&2; exit 2; }
top=$(realpath "$(dirname "$0")/../..")
if [ "$k" = debug ]; then
	[ -e "$top/build/debug-kernel/version" ] || die "no debugging kernel: run make debug-kernel"
	image=$top/build/debug-kernel/source/arch/x86/boot/bzImage k=$(cat "$top/build/debug-kernel/version")
elif [ "$k" = uml ]; then
	[ -e "$top/build/uml-kernel/version" ] || die "no user-mode kernel: run make debug-kernel"
	image=$top/build/uml-kernel/source/linux k=$(cat "$top/build/uml-kernel/version") machine=uml
else
	image=/boot/vmlinuz-$k
fi
[ -e "$image" ] || die "no kernel $image: as root, apt-get install linux-image-$k"
[ -e "$script" ] || die "no script $script"
[ -z "$module" ] || [ -e "$top/build/$k$variant/tfs.ko" ] || die "no module build/$k$variant/tfs.ko: run make module K=$k"
[ -z "$kill" ] || [ -n "$ack" ] || die "-k counts from the first byte of -a FILE"
for d in "$@" ${tools:+"$tools"}; do [ -e "$d" ] || die "no disk image $d"; done
for p in qemu-system-x86_64 busybox cpio modprobe; do
	command -v $p >/dev/null || die "$p is missing: as root, apt-get install qemu-system-x86 busybox-static cpio kmod"
done
case $machine in q35 | microvm | uml) ;; *) die "machine $machine: q35 or microvm" ;; esac

tmp=$(mktemp -d) qemu=
trap '[ -z "$qemu" ] || end_now; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# ---- the guest's root ----
root=$tmp/root
mkdir -p "$root"/{bin,sbin,lib/tfs,lib64,usr,proc,sys,dev,mnt,tmp,job,root,run,etc,var/tmp}
cp "$(command -v busybox)" "$root/bin/busybox"; cp "$script" "$root/job/run.sh"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"; echo 'root:x:0:' >"$root/etc/group"
libraries() { # FILE...: what they link to, at the same path in the guest
	ldd "$@" 2>/dev/null | grep -oE '/[^ ]+' | grep -v ':$' | sort -u | while read -r l; do
		[ -e "$root$l" ] || { mkdir -p "$root$(dirname "$l")"; cp -L "$l" "$root$l"; }
	done
}
for p in ${programs[@]+"${programs[@]}"}; do
	f=$(command -v "$p") || die "no program $p"
	cp -L "$f" "$root/bin/"; libraries "$f"
done
for f in ${folders[@]+"${folders[@]}"}; do
	[ -e "$f" ] || die "no file or folder $f"
	mkdir -p "$root$(dirname "$f")"; cp -aL "$f" "$root$(dirname "$f")/"
	find "$f" -type f \( -perm /111 -o -name '*.so*' \) -print0 | xargs -0r ldd 2>/dev/null | grep -oE '/[^ ]+' | grep -v ':$' | sort -u |
		while read -r l; do [ -e "$root$l" ] || [ ! -f "$l" ] || { mkdir -p "$root$(dirname "$l")"; cp -L "$l" "$root$l"; }; done
done
: >"$root/lib/tfs/order"
for m in virtio_pci virtio_mmio virtio_blk virtio_console libcrc32c crc32c_generic lz4_compress lz4_decompress zlib_deflate ext4 ${modules[@]+"${modules[@]}"}; do
	modprobe -S "$k" --show-depends "$m" 2>/dev/null | awk '/^insmod/{print $2}' | while read -r f; do
		b=$(basename "$f" .xz); [ -e "$root/lib/tfs/$b" ] && continue
		case $f in *.xz) xz -dc "$f" >"$root/lib/tfs/$b" ;; *) cp "$f" "$root/lib/tfs/$b" ;; esac
		echo "$b" >>"$root/lib/tfs/order"
	done
done
[ -z "$module" ] || strip --strip-debug -o "$root/lib/tfs.ko" "$top/build/$k$variant/tfs.ko"
cat >"$root/init" <<I
#!/bin/busybox sh
/bin/busybox --install -s /bin; export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs t /tmp; mount -t tmpfs r /run
echo GUEST-START >/dev/kmsg; mkdir -p /dev/shm /dev/pts; mount -t tmpfs t /dev/shm; mount -t devpts d /dev/pts 2>/dev/null; mount -t debugfs d /sys/kernel/debug 2>/dev/null
for m in \$(cat /lib/tfs/order); do insmod /lib/tfs/\$m 2>/dev/null; done
for s in /proc/sys/kernel/hung_task_timeout_secs; do [ ! -e \$s ] || echo 100 >\$s; done
for p in /sys/class/virtio-ports/*; do [ ! -e \$p ] || ln -s \$(basename \$p) /dev/\$(cat \$p/name); done
[ $machine != uml ] || { ln -s ttyS0 /dev/out; ln -s ttyS1 /dev/code; for d in /dev/ubd?; do ln -s \$d /dev/vd\${d#/dev/ubd}; done; }
ip link set lo up 2>/dev/null
i=0; while [ $# -gt 0 ] && [ ! -b /dev/vda ] && [ \$i -lt 100 ]; do sleep 0.1; i=\$((i+1)); done
( sleep $((limit > 60 ? limit - 30 : limit / 2)); echo GUEST-LATE >/dev/kmsg; echo 8 >/proc/sysrq-trigger; echo w >/proc/sysrq-trigger; echo l >/proc/sysrq-trigger; echo m >/proc/sysrq-trigger ) >/dev/null 2>&1 &
code=99
if [ -e /lib/tfs.ko ] && ! insmod /lib/tfs.ko; then echo "tfs.ko does not load" >/dev/out; else
	( cd /tmp; exec sh /job/run.sh ) >/dev/out 2>&1 </dev/null; code=\$?
fi
cd /; grep ' tfs ' /proc/mounts | cut -d' ' -f2 | tac | while read -r m; do umount \$m || umount -l \$m; done
[ ! -e /sys/kernel/debug/kmemleak ] || echo "tfs.ko was at \$(cat /sys/module/tfs/sections/.text 2>/dev/null)" >/dev/kmsg # its names go with it
[ ! -e /lib/tfs.ko ] || rmmod tfs 2>/dev/null || [ \$code != 0 ] || { echo "tfs.ko is still in use at the end" >/dev/out; code=98; }
[ ! -e /sys/kernel/debug/kmemleak ] || { echo scan >/sys/kernel/debug/kmemleak; sleep 6; echo scan >/sys/kernel/debug/kmemleak; head -100 /sys/kernel/debug/kmemleak | while read -r l; do echo "\$l" >/dev/kmsg; done; }
# pages are no objects of kmemleak's: whose stack names a module that went, and are no slab or page table of others' (nor page_owner's own,
# which have a dummy for a stack), are left behind
[ ! -e /sys/kernel/debug/page_owner ] || dd if=/sys/kernel/debug/page_owner bs=64k 2>/dev/null | awk 'BEGIN { RS = "" } /\n 0x/ && !/[(]swapper|slab/ && !/depot|register_dummy_stack|pcpu_|kasan_|_alloc_kernel|p[tmu]d_alloc|pte_alloc/ { print "page left behind:"; print }' | head -100 | while read -r l; do echo "\$l" >/dev/kmsg; done # a read gives a record, or fails where one does not fit
echo \$code >/dev/code; sync; poweroff -f
I
chmod +x "$root/init"; (cd "$root" && find . | cpio -o -H newc --quiet) >"$tmp/initrd"; rm -rf "$root"

# ---- the machine ----
bus=pci; options=$machine
extra=
# a microvm has no PIT that calibrates, and no clock but the TSC, which runs at 1 GHz
[ $machine = q35 ] || { bus=device options=microvm,acpi=on,rtc=on extra="tsc_early_khz=1000000 tsc=reliable"; }
[ -z "${CHECKS-}" ] || extra+=" slub_debug=FZP page_poison=1 kfence.sample_interval=1"
# without what TCG emulates a bit or a byte at a time: `rep stosb`, by which pages are cleared, and crc32q (32 us a block; tables: 4 us)
# and without cmpxchg16b, after which QEMU 7.2 has lost the flags (it works them out of what an earlier instruction left behind): an
# interrupt that comes right then saves garbage as RFLAGS, VM among it, and the kernel's allocator dies of a double fault
args=(-machine "$options" -accel $tcg ${count[@]+"${count[@]}"} -cpu max,-erms,-sse4.2,-cx16 -m "$mem" -smp "$cpus" -display none -monitor none -no-reboot "${cards[@]}" -nodefaults
	-serial "file:$tmp/log" -kernel "$image" -initrd "$tmp/initrd" -device "virtio-serial-$bus"
	-append "console=ttyS0 loglevel=6 panic=-1 oops=panic mitigations=off no_timer_check nosoftlockup rcupdate.rcu_cpu_stall_timeout=120 printk.devkmsg=on $extra")
port() { args+=(-chardev "$2" -device "virtserialport,chardev=$1,name=$1"); }
: >"$tmp/code"; mkfifo "$tmp/out"; port out "file,id=out,path=$tmp/out"; port code "file,id=code,path=$tmp/code"
[ -z "$ack" ] || { : >"$ack"; port ack "file,id=ack,path=$ack"; }
n=0
for d in "$@"; do
	if [ $n = 0 ] && [ -n "$record" ]; then
		: >"$record"
		args+=(-blockdev "driver=blklogwrites,node-name=d0,file.driver=file,file.filename=$d,log.driver=file,log.filename=$record")
	else
		args+=(-blockdev "driver=raw,node-name=d$n,file.driver=file,file.filename=$d,file.locking=off,cache.no-flush=on,discard=unmap,file.discard=unmap,read-only=$ro")
	fi
	top_node=d$n
	if [ -n "$throttle" ]; then
		args+=(-object "throttle-group,id=g$n,x-iops-total=${throttle%,*},x-bps-total=${throttle#*,}"
			-blockdev "driver=throttle,node-name=t$n,throttle-group=g$n,file=d$n"); top_node=t$n
	fi
	args+=(-device "virtio-blk-$bus,drive=$top_node$disk"); n=$((n + 1))
done
[ -z "$tools" ] || args+=(-blockdev "driver=raw,node-name=tools,read-only=on,file.driver=file,file.filename=$tools,file.locking=off" -device "virtio-blk-$bus,drive=tools")
if [ $machine = uml ]; then # the console is its stderr, its serial lines are descriptors of ours
	: >"$tmp/said"; args=("$image" "mem=${mem}M" "initrd=$tmp/initrd" stderr=1 ssl=null ssl0=null,fd:3 ssl1=null,fd:4
		loglevel=6 panic=-1 oops=panic printk.devkmsg=on page_owner=on
		GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load); n=0 # see build_debug.sh
	for d in "$@"; do args+=("ubd$n=$d"); n=$((n + 1)); done
fi
# kills the machine, a user-mode one with the processes that are its tasks
end_now() { if [ $machine = uml ]; then kill -9 -- "-$qemu"; else kill -9 "$qemu"; fi 2>/dev/null; }
# Sets had: the seconds since it began, without those in which its threads stood in line for a processor (emulated ones wait for
# each other: each one's counts; a thread that has ended takes its count along, so the most that was seen does): a limit is the
# machine's own, whatever else runs beside it, up to ten times as long.
time_had() {
	local t delay sum=0
	for t in /proc/$qemu/task/*/schedstat; do
		read -r _ delay _ 2>/dev/null <"$t" || continue
		sum=$((sum + delay))
	done 2>/dev/null
	[ $sum -le $waited ] || waited=$sum
	had=$((SECONDS - began - waited / 1000000000))
	[ $had -ge $(((SECONDS - began) / 10)) ] || had=$(((SECONDS - began) / 10))
}
# Where many guests share few processors a kernel may find no timer that works while it boots: nothing has been done then, and it
# boots again.
boot() {
	if [ $machine = uml ]; then
		setsid setarch -R "${args[@]}" </dev/null >"$tmp/log" 2>&1 3>"$tmp/said" 4>"$tmp/code" & qemu=$! cat=
	else
		cat "$tmp/out" & cat=$!
		qemu-system-x86_64 "${args[@]}" </dev/null >"$tmp/qemu" 2>&1 & qemu=$!
	fi
	killed= since=
	local began=$SECONDS started= waited=0
	while kill -0 $qemu 2>/dev/null; do
		time_had
		[ $((before + had)) -lt "$limit" ] || { killed=late; break; }
		[ -n "$started" ] || [ $had -lt $booting ] || grep -q GUEST-START "$tmp/log" || { killed=boot; break; }
		[ $had -lt $booting ] || started=1
		if [ -n "$kill" ] && [ -z "$since" ] && [ -s "$ack" ]; then since=1; sleep "$kill"; killed=asked; break; fi
		sleep 0.1
	done
	before=$((before + had))
	[ -z "$killed" ] || end_now
	wait $qemu 2>/dev/null; qemu=
	[ -s "$tmp/log" ] || { cat "$tmp/qemu" >&2; [ -z "$cat" ] || kill $cat 2>/dev/null; } # nobody may have opened $tmp/out to write
	if [ -n "$cat" ]; then wait $cat; else tr -d '\r' <"$tmp/said"; fi
	[ "$killed" = late ] || grep -q GUEST-START "$tmp/log" || [ ! -s "$tmp/log" ]
}
before=0 had=0 booting=60
[ "${k%-debug}" = "$k" ] && [ -z "${count[*]-}" ] || booting=300
boot || { echo "guest.sh: the kernel did not get as far as its init; booting it again" >&2; boot || boot; }

# ---- the verdict ----
bad='Kernel panic|Oops|WARNING:|BUG:|BUG |blocked for more than|circular locking|inconsistent lock|recursive locking|irq lock inversion|suspicious RCU|KASAN|UBSAN|general protection|detected stall|soft lockup|unreferenced object|page left behind|scheduling while atomic|sleeping function|DEBUG_LOCKS_WARN|non-static key|locking correctness validator|memory leak detector disabled|ODEBUG|tfs: internal error'
tr -d '\r' <"$tmp/log" >"$tmp/dmesg"; [ -z "$log" ] || cp "$tmp/dmesg" "$log"
# what comes before it is of the kernel and the emulator alone: 6.12 once met a stray debug trap at 0.5 s, in some hundred boots
sed '1,/GUEST-START/d' "$tmp/dmesg" >"$tmp/ours"
fail() { # CODE TEXT
	local kept=${log:-$top/build/guest-log/$(basename "$script" .sh)-$k.log}
	mkdir -p "$(dirname "$kept")"; [ -n "$log" ] || cp "$tmp/dmesg" "$kept"
	echo "guest.sh: $2; the kernel's log: $kept" >&2
	grep -nE "$bad|GUEST-LATE" "$tmp/ours" | grep -vE "$allowed" | head -5 >&2; tail -15 "$tmp/dmesg" >&2
	exit "$1"
}
grep -vE "$allowed" "$tmp/ours" | grep -qE "$bad" && fail 125 "the guest's kernel complains"
[ "$killed" = boot ] && fail 125 "the kernel did not get as far as its init, three times"
[ "$killed" = late ] && fail 124 "no end within $limit s"
[ "$killed" = asked ] && exit 0
[ -s "$tmp/code" ] || fail 125 "the guest ended without an exit code"
code=$(tr -d '\r' <"$tmp/code"); [ "$code" = 0 ] || fail "$code" "the script ended with $code"
