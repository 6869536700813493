#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# systemd takes the units that are installed, of backups, snapshots and forwarding, and says nothing against them. 77: no systemd here.
set -u
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || { echo "SKIPPED: systemd-analyze is missing: as root, apt-get install systemd"; exit 77; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
mkdir "$T/bin"; for p in tfs tfs-backup tfs-logship; do printf '#!/bin/sh\n' >"$T/bin/$p"; done; chmod +x "$T"/bin/*
units=()
for f in backup/systemd/* admin/systemd/* logship/systemd/*; do
	name=$(basename "$f"); name=${name/@./@one.}
	sed "s,@BINDIR@,$T/bin,g; s,@SBIN@,$T/bin,g" "$f" >"$T/$name"; units+=("$T/$name")
	grep -q '@[A-Z]*@' "$T/$name" && { echo "FAILED: $f: a place is not filled in"; exit 1; }
done
[ ${#units[@]} -ge 6 ] || { echo "FAILED: only ${#units[@]} units"; exit 1; }
code=0; systemd-analyze verify --man=no "${units[@]}" >"$T/out" 2>&1 || code=$?
[ $code = 0 ] && [ ! -s "$T/out" ] || { cat "$T/out"; echo "FAILED: systemd-analyze verify: exit $code"; exit 1; }
# and it does look: a wrong key is said
sed -i 's/^ExecStart=/ExecStarts=/' "$T/tfs-backup.service"
systemd-analyze verify --man=no "$T/tfs-backup.service" 2>&1 | grep -q ExecStarts || { echo "FAILED: a wrong key is taken"; exit 1; }
echo "ok, ${#units[@]} units"
