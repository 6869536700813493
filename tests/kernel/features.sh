#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What users of ext4 expect of the module, one job a feature (job_*.sh, which say what they ask), all in one boot of each
# kernel. usage: features.sh [KERNEL | JOB]...   JOB: options, acl ...; default: all of both
. "$(dirname "$0")/lib.sh"
jobs=()
for j in "$@"; do [ ! -e "tests/kernel/job_$j.sh" ] || jobs+=("$j"); done
[ ${#jobs[@]} -gt 0 ] || jobs=(options errors shutdown acl space pages sync handles writers trace clone admin checkpoint)
compiled kfeat tests/kernel/kfeat.c; compiled clones tests/kernel/clones.c
for j in "${jobs[@]}"; do
	echo "cat >/tmp/$j.sh <<'END-OF-JOB'"; cat tests/kernel/job_prelude.sh "tests/kernel/job_$j.sh" || exit 1; echo "END-OF-JOB"
	echo "echo '-- $j'; sh /tmp/$j.sh || { echo \"FAILED: job $j\"; dmesg | tail -5; bad=1; umount /mnt 2>/dev/null; }"
done >"$tmp/all.sh"
echo 'exit ${bad:-0}' >>"$tmp/all.sh"
job <"$tmp/all.sh"
for k in "${KERNELS[@]}"; do
	echo "== $k"; rm -f "$tmp/t"; truncate -s 160M "$tmp/t"; other 16M
	LIMIT=580 guest -p "$tmp/kfeat" -p "$tmp/clones" -p "$bin/tfs" -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs" -p "$bin/dump.tfs" -p "$bin/mutate" "$tmp/t" "$tmp/e" || bad "in the guest"
done
finish
