# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""What journalctl -o json prints of messages that tfs-logship sent, as lines.py takes it from tfs-logship receive --json."""
import json
import sys

for line in sys.stdin:
    entry = json.loads(line)
    text = entry['MESSAGE']  # a list of bytes where it is no UTF-8
    text = bytes(text) if isinstance(text, list) else text.encode()
    data = ' '.join('%s="%s"' % (short, entry[name]) for short, name in (
        ('i', 'TFS_INODE'), ('g', 'TFS_GENERATION'), ('o', 'TFS_OFFSET'), ('c', 'TFS_CRC'), ('more', 'TFS_MORE')) if name in entry)
    print(json.dumps({'message_hex': (b'<%d>1 - - - - - [tfs@32473 %s] ' % (int(entry['PRIORITY']), data.encode()) + text).hex()}))
