#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A directory as reader.py says a volume: the same lines, but for the first. usage: tree.py DIRECTORY"""
import hashlib
import json
import os
import stat
import sys

top = os.fsencode(sys.argv[1])
inodes, out = {}, {}
paths = [b'']
while paths:
    path = paths.pop()
    full = os.path.join(top, path)
    st = os.lstat(full)
    facts = {'xattrs': {k: os.getxattr(full, k, follow_symlinks=False).hex()
                        for k in sorted(os.listxattr(full, follow_symlinks=False)) if k.startswith('user.')}}
    if stat.S_ISDIR(st.st_mode):
        facts['kind'] = 'directory'
        paths += [path + (b'/' if path else b'') + name for name in os.listdir(full)]
    elif stat.S_ISLNK(st.st_mode):
        facts.update(kind='symlink', target=os.readlink(full).decode('latin-1'))
    elif stat.S_ISREG(st.st_mode):
        with open(full, 'rb') as f:
            facts.update(kind='file', size=st.st_size, sha256=hashlib.sha256(f.read()).hexdigest())
    elif stat.S_ISSOCK(st.st_mode):
        facts['kind'] = 'socket'
    else:
        continue
    inodes.setdefault(st.st_ino, []).append(path)
    out[path] = facts
links = {p: sorted(x.decode('latin-1') for x in group) for group in inodes.values() for p in group if len(group) > 1}
for path in sorted(out):
    print(json.dumps(dict(out[path], path=path.decode('latin-1'), links=links.get(path, [])), sort_keys=True))
