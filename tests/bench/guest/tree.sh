# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A source tree (Linux's headers and our own sources) unpacked, compiled with tcc, read and removed.
mkdir -p /t; mount -o ro /dev/$tools /t || exit 1
cp /t/tree.tar /tmp/; ln -s /t/usr/include /usr/include; mkdir -p /usr/lib/x86_64-linux-gnu; ln -s /t/tcc /usr/lib/x86_64-linux-gnu/tcc
tcc -v >/dev/null
untar() { m -s /mnt $disk $fs "tree: untar" s 1 tar -C /mnt -xf /tmp/tree.tar; }
compile() {
	cold
	m -s /mnt $disk $fs "tree: compile with tcc" s 1 sh -c "cd /mnt/tree/own; for f in tfs/*.c; do tcc -c -I. -Itfs/user -o \${f%.c}.o \$f || exit 1; done"
}
read_tree() { cold; m $disk $fs "tree: read it all, cold" s 1 sh -c 'tar -C /mnt -cf - tree | cat >/dev/null'; }
remove() { cold; m -s /mnt $disk $fs "tree: rm -rf" s 1 rm -rf /mnt/tree; }
for r in untar compile read_tree remove; do each $r; done
