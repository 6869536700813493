# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# File handles: kept over a mount, of removed files stale, of other kinds refused.
fresh; kfeat handle /mnt; again; kfeat handle-after /mnt; sound
