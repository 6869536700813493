#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The man pages name what the code has, and nothing else: tfs.5 the mount options, counters, ioctls, attributes and limits; each
# tool's page its long options. Entries of a page are what stands on the line after .TP, in the section asked for.
set -eu
export LC_ALL=C
tmp=$(mktemp -d) failed=0
trap 'rm -rf "$tmp"' EXIT
page=docs/man/tfs.5
section() { sed -n "/^\.SH \"\?$1/,/^\.SH/p" "$page" | sed 's/\\-/-/g'; } # NAME
entries() { section "$1" | sed -n '/^\.TP/{n;p}' | sed -E 's/^\.[A-Z]+ //; s/"//g' | tr -c 'a-zA-Z0-9_.=-' '\n' | sed -E '/^(NAME|PATH|BYTES|fR)?$/d' | sort -u; }
same() { # WHAT: code's list in $tmp/code, page's on standard input
	sort -o "$tmp/code" "$tmp/code"
	[ -s "$tmp/code" ] || { echo "FAILED: $1: nothing was found in the code; this test looks in the wrong place"; failed=1; }
	diff "$tmp/code" - >"$tmp/diff" || { echo "FAILED: $1: in the code (<), in $page (>)"; grep '^[<>]' "$tmp/diff"; failed=1; }
}

super=kernel/linux/super.c
{
	sed -n '/fs_parameter_spec parameters/,/};/p' $super | grep -o 'fsparam_[a-z_]*("[a-z_]*"' | sed -E 's/fsparam_(enum|string|u32|u64)\("(.*)"/\2=/; s/.*fsparam_flag_no\("(.*)"/\1\nno\1/; s/.*\("(.*)"/\1/'
	sed -n '/constant_table/,/};/p' $super | grep -o '{"[a-z-]*"' | tr -d '{"'
} >"$tmp/code"
same "mount options of the module" < <(entries 'MOUNT OPTIONS OF THE KERNEL')
{
	sed -n '/^static bool option_of_others/,/^}/p; /^static int mount_option(/,/^}/p' kernel/fuse/main.c | grep -oE '"[a-z_]*[a-z]=?"' | tr -d '"' | grep -v '^comment=' | sort -u
} >"$tmp/code"
same "mount options of tfs-fuse" < <(entries 'MOUNT OPTIONS OF TFS-FUSE')
sed -n 's/^COUNTER(\([a-z_]*\),.*/\1/p; s/^static struct attribute [a-z_]* = {.name = "\([a-z_]*\)".*/\1/p' kernel/linux/sysfs.c >"$tmp/code"
same "counters" < <(entries COUNTERS)
{
	sed -n '/^long tfs_ioctl/,/^}/s/.*case \([A-Z_]*\):.*/\1/p' kernel/linux/ioctl.c
	sed -n '/^static const struct request {/,/^};/s/.*{\(TFS_IOC_[A-Z_]*\), .*/\1/p' tfs/admin.c
} >"$tmp/code"
same "ioctls" < <(entries IOCTLS)
{
	sed -n 's/.*{\.prefix = XATTR_\([A-Z]*\)_PREFIX.*/\1./p' kernel/linux/xattr.c | tr A-Z a-z
	sed -n 's/.*"\(system\.posix[a-z_]*\)".*/\1/p' tfs/user/acl.h
} >"$tmp/code"
same "extended attributes" < <(entries 'EXTENDED ATTRIBUTES')

limit() { # NAME: of format.h; its number in LIMITS
	local n; n=$(printf '#include "tfs/format.h"\nVALUE %s\n' "$1" | ${CC:-cc} -E -P -I. -Itfs/user - | sed -n 's/^VALUE //p' | sed -E 's/ull//g; s/([0-9a-fx])u\b/\1/g')
	n=$(printf '%d' $((n)))
	section LIMITS | grep -qw -- "$n" || { echo "FAILED: $1 is $n: not in LIMITS of $page"; failed=1; }
}
for l in TFS_NAME_MAX TFS_SYMLINK_MAX TFS_XATTR_MAX TFS_FILE_SIZE_MAX TFS_LINK_MAX TFS_INO_MAX TFS_INLINE_MAX; do limit $l; done

tool() { # PAGE SOURCE
	page=$1
	grep -oE '\{"[a-z-]*", ([012]|no_argument|required_argument),' "$2" | sed 's/{"\(.*\)".*/\1/' | while read -r o; do
		sed 's/\\-/-/g' "$page" | grep -q -- "--$o\b" || echo "FAILED: --$o of $2 is not in $page"
	done >"$tmp/missing"
	sed -n 's/\\-/-/g; s/"//g; /^\.B[RI]* /p' "$page" | grep -v '^\.BR\? tar ' | grep -o -- '\(^\|[^a-z-]\)--[a-z][a-z-]*' | sed 's/.*--//' | sort -u | while read -r o; do
		cat mkfs/options.c fsck/fsck_main.c fsck/dump_main.c kernel/fuse/main.c admin/main.c logship/receive.c logship/drain.c logship/status.c backup/main.c backup/schedule_main.c | grep -qE "\{\"$o\", ([012]|no_argument|required_argument)," || echo "FAILED: --$o of $page is no option of any tool"
	done >>"$tmp/missing"
	[ ! -s "$tmp/missing" ] || { cat "$tmp/missing"; failed=1; }
}
tool docs/man/mkfs.tfs.8 mkfs/options.c
tool docs/man/fsck.tfs.8.in fsck/fsck_main.c
tool docs/man/dump.tfs.8 fsck/dump_main.c
tool docs/man/tfs-fuse.1 kernel/fuse/main.c
tool docs/man/tfs-backup.1 backup/main.c
tool docs/man/tfs-backup.1 backup/schedule_main.c
page=docs/man/tfs-backup.conf.5
{ sed -n '/^} keys\[\] = {/,/^};/s/.*{"\([a-z-]*\)",.*/\1/p' backup/schedule_config.c; echo option; } >"$tmp/code"
same "keys of a job" < <(entries 'KEYS OF A JOB')
tool docs/man/tfs-logship.1 logship/receive.c
tool docs/man/tfs-logship.1 logship/drain.c
tool docs/man/tfs-logship.1 logship/status.c
tool docs/man/tfs.8 admin/main.c
[ $failed = 0 ] || { echo "repeat: tests/cli/test_pages.sh"; exit 1; }
echo "pages: as expected"
