# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sequential and random reads and writes of one file; reads with nothing cached. $size: MiB, $random: MiB read or written at random.
f() { # OPTION...: fio, quietly
	echo "fio --name=x --filename=/mnt/file --ioengine=psync --randrepeat=1 --randseed=7 --thread --refill_buffers=1 --output=/tmp/fio.out $* || { cat /tmp/fio.out >&2; exit 1; }"
}
seq_write() { rm -f /mnt/file; m -s /mnt $disk $fs "fio: sequential write, buffered" MB/s $size sh -c "$(f --rw=write --bs=128k --size=${size}m --end_fsync=1)"; }
seq_read() { cold; m $disk $fs "fio: sequential read, buffered" MB/s $size sh -c "$(f --rw=read --bs=128k --size=${size}m)"; }
random_read() { cold; m $disk $fs "fio: random 4 KiB read, buffered, 4 threads" ops/s $((random * 256)) sh -c "$(f --rw=randread --bs=4k --size=${size}m --io_size=$((random / 4))m --numjobs=4)"; }
random_write() { m -s /mnt $disk $fs "fio: random 4 KiB write, buffered" ops/s $((random * 256)) sh -c "$(f --rw=randwrite --bs=4k --size=${size}m --io_size=${random}m --overwrite=1 --end_fsync=1)"; }
direct_seq_write() { m -s /mnt $disk $fs "fio: sequential write, O_DIRECT" MB/s $size sh -c "$(f --rw=write --bs=128k --size=${size}m --direct=1 --end_fsync=1)"; }
direct_seq_read() { cold; m $disk $fs "fio: sequential read, O_DIRECT" MB/s $size sh -c "$(f --rw=read --bs=128k --size=${size}m --direct=1)"; }
direct_random_read() { cold; m $disk $fs "fio: random 4 KiB read, O_DIRECT, 4 threads" ops/s $((random * 256)) sh -c "$(f --rw=randread --bs=4k --size=${size}m --io_size=$((random / 4))m --numjobs=4 --direct=1)"; }
direct_random_write() { m -s /mnt $disk $fs "fio: random 4 KiB write, O_DIRECT, 4 threads" ops/s $((random * 256)) sh -c "$(f --rw=randwrite --bs=4k --size=${size}m --io_size=$((random / 4))m --numjobs=4 --overwrite=1 --direct=1 --end_fsync=1)"; }
for r in seq_write seq_read random_read random_write direct_seq_write direct_seq_read direct_random_read direct_random_write; do each $r; done
