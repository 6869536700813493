# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# How long an fsync takes: with nothing else, and while what was made of $lat files goes to the disk (on TFS: while a checkpoint runs).
lat_row() { s=/sys/fs/tfs/$disk; [ -d $s ] || s=-; latency both /mnt $lat $s | sed "s/^/$fs|/"; }
each lat_row
