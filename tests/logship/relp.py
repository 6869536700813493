#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A RELP client, written from the protocol's description and not from our code: sends messages with a window, notes which were
acknowledged, and after a break begins again with the first that was not.
usage: relp.py PORT FIRST COUNT [WINDOW]; prints the number of the last message acknowledged, and of connections."""
import socket
import sys
import time


class Session:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.buf = b""
        self.txnr = 1
        self.send(b"open", b"relp_version=0\nrelp_software=test\ncommands=syslog")
        txnr, code, _ = self.answer()
        assert (txnr, code) == (1, b"200"), (txnr, code)

    def send(self, command, data):
        frame = b"%d %s %d" % (self.txnr, command, len(data))
        self.sock.sendall(frame + (b" " + data if data else b"") + b"\n")
        self.txnr += 1

    def need(self, n):
        while len(self.buf) < n:
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionError("closed")
            self.buf += got

    def answer(self):
        head = b""
        while head.count(b" ") < 3 and not head.endswith(b"\n"):
            self.need(len(head) + 1)
            head = self.buf[: len(head) + 1]
        txnr, command, length = head.split()[:3]
        if command == b"serverclose":
            raise ConnectionError("serverclose")
        length = int(length)
        end = len(head) + length + (0 if head.endswith(b"\n") else 1)
        self.need(end)
        data, self.buf = self.buf[len(head) : len(head) + length], self.buf[end:]
        return int(txnr), data[:3], data


def message(n):
    return b"<13>1 - host app - - - message %d \xc3\xa4 tail" % n


def run(port, first, count, window):
    acked, connections = first - 1, 0
    deadline = time.time() + 120
    while acked < first + count - 1:
        assert time.time() < deadline, "no progress"
        try:
            session = Session(port)
            connections += 1
            sent, base = acked, acked + 1  # message base has transaction 2
            while acked < first + count - 1:
                while sent < first + count - 1 and sent - acked < window:
                    sent += 1
                    session.send(b"syslog", message(sent))
                txnr, code, data = session.answer()
                assert code == b"200", data
                assert txnr == acked + 1 - base + 2, (txnr, acked, base)
                acked += 1
                print(acked, flush=True)  # whoever kills the collector knows what it said until then
        except (ConnectionError, OSError):
            time.sleep(0.02)
    print("connections", connections, flush=True)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 100)
