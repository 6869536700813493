#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Changes a directory tree at random: files, holes, directories, symlinks, hard links, attributes, modes, times; names come
and go, change their kind and are exchanged. The same seed on the same tree does the same. usage: change.py DIRECTORY SEED"""
import os
import random
import shutil
import sys

top, seed = sys.argv[1], int(sys.argv[2])
rnd = random.Random(seed)


def all_paths(kind):
    found = []
    for where, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(dirs + files):
            path = os.path.join(where, name)
            if kind == 'any' or kind(path):
                found.append(path)
    return found


def regular(path):
    return os.path.isfile(path) and not os.path.islink(path)


def directory(path):
    return os.path.isdir(path) and not os.path.islink(path)


def place():
    return os.path.join(rnd.choice([top] + all_paths(directory)), 'n%d' % rnd.randrange(12))


def clear(path):
    if directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def content(path, mode='wb'):
    with open(path, mode) as f:
        for _ in range(rnd.randrange(3)):
            f.seek(rnd.randrange(300000))
            f.write(rnd.randbytes(rnd.randrange(40000)))
        f.truncate(rnd.randrange(300000))


for _ in range(40):
    what, path = rnd.randrange(12), place()
    files, anything = all_paths(regular), all_paths('any')
    if what < 3:
        clear(path), content(path)
    elif what == 3 and files:
        content(rnd.choice(files), 'r+b')
    elif what == 4:
        clear(path), os.mkdir(path)
    elif what == 5:
        clear(path), os.symlink('t%d' % rnd.randrange(9), path)
    elif what == 6 and files:
        old = rnd.choice(files)
        if not directory(path) and old != path:
            clear(path), os.link(old, path)
    elif what == 7 and anything:
        old = rnd.choice(anything)
        if not (path + '/').startswith(old + '/') and not (old + '/').startswith(path + '/'):
            clear(path), os.rename(old, path)
    elif what == 8 and files:
        old = rnd.choice(files)
        try:
            os.setxattr(old, 'user.k%d' % rnd.randrange(3), rnd.randbytes(rnd.randrange(1, 50)))
        except OSError:
            pass
    elif what == 9 and files:
        os.chmod(rnd.choice(files), rnd.choice([0o644, 0o755, 0o444]))
    elif what == 10 and anything:
        clear(rnd.choice(anything))
    elif what == 11 and files:
        os.utime(rnd.choice(files), (rnd.randrange(1 << 31),) * 2)
