#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# stress-ng's stressors of files and mappings, verifying, several at once, on a volume that fills up now and then.
# usage: stress.sh [-t SECONDS-EACH] [KERNEL]...   (default 8 s)
each=8
while getopts t: o; do case $o in t) each=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
command -v stress-ng >/dev/null || skip "stress-ng is missing: as root, apt-get install stress-ng"
for k in "${KERNELS[@]}"; do
	{
		echo "each=$each"
		cat <<'J'
mount -t tfs /dev/vda /mnt || exit 1; mkdir /mnt/s; bad=0
run() {
	echo "$(cut -d' ' -f1 /proc/uptime) $*"
	stress-ng --temp-path /mnt/s --timeout $each --verify --oomable --no-rand-seed --metrics-brief "$@" >/tmp/out 2>&1; c=$?
	case $c in 0 | 3 | 4) ;; *) echo "FAILED: stress-ng $* ended with $c"; grep -E 'fail|error|option' /tmp/out | head -5; bad=1 ;; esac
	rm -rf /mnt/s/*
}
run --hdd 2 --hdd-bytes 8M --dir 1
run --hdd 2 --hdd-bytes 4M --hdd-opts direct,utimes --rename 1
run --hdd 1 --hdd-bytes 4M --hdd-opts fsync,wr-rnd,rd-rnd --link 1 --symlink 1
run --mmap 2 --mmap-file --mmap-bytes 4M --mmap-mprotect
run --mmapmany 1 --msync 2 --msync-bytes 2M
run --fallocate 2 --fallocate-bytes 8M
run --seek 2 --seek-punch --seek-size 8M --fstat 1
run --dentry 2 --dentries 200 --dirdeep 1 --dirdeep-inodes 500
run --iomix 2 --iomix-bytes 8M
run --fiemap 1 --fiemap-bytes 4M --xattr 2
run --sendfile 1 --sendfile-size 1M
run --aio 2 # (io-uring of 0.15.06 fails on ext4 too: fio does that)
run --readahead 1 --readahead-bytes 8M --flock 1 --lease 1 --locka 1 --lockf 1 --lockofd 1
run --chmod 1 --chown 1 --utime 1 --getdent 1 --access 1 --handle 1
run --file-ioctl 1 --filename 1 --sync-file 2 --sync-file-bytes 4M
run --io 2 --dirmany 1 --touch 1 --open 1
umount /mnt || bad=1
exit $bad
J
	} | job
	volume 96M; LIMIT=$((each * 40 + 120)) guest -m 768 -p stress-ng "$tmp/t" || bad "stress-ng"; sound "stress-ng"
done
finish
