# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The shutdown ioctl: 0 keeps all that was written, 1 what was logged by then, 2 what was synced. errors=remount-ro does not
# act on it, the next mount recovers.
fresh; echo old >/mnt/f; sync
for how in 0 1 2; do
	echo "new $how" >/mnt/f; [ $how = 2 ] || kfeat fsyncs /mnt 1 1
	mkdir /mnt/d$how
	kfeat shutdown /mnt $how; ! sync -f /mnt 2>/dev/null || true
	! touch /mnt/x 2>/dev/null || fail "touch after shutdown"
	again
	case $how in
	0) [ "$(cat /mnt/f)" = "new 0" ] && [ -d /mnt/d0 ] || fail "flag 0 lost data" ;;
	1) [ -d /mnt/d1 ] || fail "flag 1 lost the log" ;;
	2) [ ! -d /mnt/d2 ] || fail "flag 2 kept what was not synced" ;;
	esac
	rm -rf /mnt/d*; echo old >/mnt/f; sync
done
sound
