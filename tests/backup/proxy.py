#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A proxy on loopback between an S3 client and a server that lets one thing go wrong at the Nth request.

  proxy.py PORTFILE HOST:PORT          ends with its parent
  GET /_fault?FAULT&N[&TIMES]          at the Nth request from now on (1: the next), and at the TIMES-1 after it
  GET /_late?SECONDS                   the clock that answers show is so much later than the server's: what was put looks older
  GET /_count                          requests since then, how often the fault was done, bytes from and to clients

Requests go on as they are, Host and all, so signatures stay good. Faults:
  slowdown throttle error500 denied expired skewed   such an answer, without asking the server
  reset-early reset-request     the connection is reset before, in the middle of the request's body
  error500-late lost            the server is asked and does it; then a 500, a reset
  reset-answer truncated        the answer breaks off in the middle of its body, by a reset, quietly
  stalled                       half of the answer's body, then nothing
  slow                          the answer comes in small pieces
  other-range                   an answer to a range is another range, and says so
  unsaid                        half of the answer's body, without a word how long it is
  error200 error200-late        the Nth completion is answered by 200 and <Error>, without asking, after asking
  etag                          a put's ETag is another one
What has no body to break, or is no completion, passes unharmed and does not count as done."""
import os
import re
import socket
import struct
import sys
import threading
import time

state = {"fault": "", "from": 0, "times": 1, "count": 0, "done": 0, "in": 0, "out": 0, "late": 0, "completions": 0}
lock = threading.Lock()
upstream = None


def error(status, reason, code):
    body = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>by the proxy</Message><RequestId>proxy</RequestId></Error>"
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode(), body.encode()


ANSWERS = {
    "slowdown": error(503, "Slow Down", "SlowDown"),
    "throttle": error(429, "Too Many Requests", "TooManyRequests"),
    "error500": error(500, "Internal Server Error", "InternalError"),
    "error500-late": error(500, "Internal Server Error", "InternalError"),
    "denied": error(403, "Forbidden", "AccessDenied"),
    "expired": error(400, "Bad Request", "ExpiredToken"),
    "skewed": error(403, "Forbidden", "RequestTimeTooSkewed"),
    "error200": error(200, "OK", "InternalError"),
    "error200-late": error(200, "OK", "InternalError"),
}


class Gone(Exception):
    pass


def dated(answer, late):
    """With the time that it is, or will be: signatures are still judged by the server's clock."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + late)).encode()
    lines = [line for line in answer.split(b"\r\n") if not line.lower().startswith(b"date:")]
    return b"\r\n".join(lines[:1] + [b"Date: " + date] + lines[1:])


def read_head(f):
    lines = []
    while True:
        line = f.readline()
        if not line:
            raise Gone
        lines.append(line)
        if line == b"\r\n":
            break
    return b"".join(lines)


def header(head, name):
    m = re.search(rb"(?im)^" + name + rb":[ \t]*([^\r\n]*)", head)
    return m[1].decode("latin-1") if m else ""


def read_exact(f, n):
    data = f.read(n)
    if len(data) != n:
        raise Gone
    return data


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone


def read_body(f, head):
    if header(head, rb"transfer-encoding").lower() != "chunked":
        return read_exact(f, int(header(head, rb"content-length") or 0))
    body = b""
    while True:
        line = f.readline()
        chunk = read_exact(f, int(line, 16) + 2)
        body += line + chunk
        if line.strip() == b"0":
            return body


class Session:
    """One client connection, and the one to the server that goes with it."""

    def __init__(self, client):
        self.client = client
        self.reader = client.makefile("rb")
        self.server = None

    def ask(self, head, body, method):
        for fresh in (False, True):
            if self.server is None:
                self.server = socket.create_connection(upstream)
                self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.server_reader = self.server.makefile("rb")
            try:
                self.server.sendall(head + body)
                answer = read_head(self.server_reader)
                if not answer.startswith(b"HTTP/"):  # Swift refuses a put unread and takes its body for the next request
                    raise ConnectionError
                while answer.split(b" ", 2)[1] == b"100":  # a client that asked whether it may go on; it has
                    answer = read_head(self.server_reader)
                break
            except (Gone, ConnectionError):
                self.server = None  # an idle connection that the server closed
                if fresh:
                    raise
        status = int(answer.split(b" ", 2)[1])
        data = b"" if method == "HEAD" or status in (204, 304) else read_body(self.server_reader, answer)
        if header(answer, rb"connection").lower() == "close":
            self.server = None
        return answer, data

    def one(self):
        head = read_head(self.reader)
        method, path = head.split(b" ", 2)[:2]
        method, path = method.decode(), path.decode("latin-1")
        if path.startswith("/_"):
            return self.control(path)
        completing = method == "POST" and "uploadId" in path
        with lock:
            state["count"] += 1
            state["completions"] += completing
            n = state["completions" if state["fault"].startswith("error200") else "count"] - state["from"]
            fault = state["fault"] if state["from"] and 0 <= n < state["times"] else ""
        length = int(header(head, rb"content-length") or 0)
        if fault.startswith("error200") and not completing or fault == "etag" and method != "PUT":
            fault = ""
        if fault == "reset-early":
            done(fault)
            reset(self.client)
        if fault == "reset-request":
            self.reader.read(length // 2)
            done(fault)
            reset(self.client)
        if header(head, rb"expect").lower() == "100-continue":
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_exact(self.reader, length)
        if fault in ANSWERS and not fault.endswith("-late"):
            answer, data = ANSWERS[fault]
            answer = dated(answer, 0)
            done(fault)
        else:
            answer, data = self.ask(head, body, method)
            answer = dated(answer, state["late"])
            answer, data = self.spoil(fault, answer, data)
        if method == "HEAD":
            data = b""
        with lock:
            state["in"] += len(head) + len(body)
            state["out"] += len(answer) + len(data)
        self.client.sendall(answer + data)
        return None

    def spoil(self, fault, answer, data):
        if fault in ANSWERS:
            done(fault)
            return dated(ANSWERS[fault][0], 0), ANSWERS[fault][1]
        if fault == "lost":
            done(fault)
            reset(self.client)
        if fault == "etag":
            done(fault)
            answer = re.sub(rb"(?im)^etag:[^\r\n]*", b'ETag: "00000000000000000000000000000000"', answer)
        range_ = re.search(rb"(?im)^content-range: bytes (\d+)-(\d+)/(\d+)", answer)
        if fault == "other-range" and range_:
            done(fault)
            first, last, total = (int(x) for x in range_.groups())
            answer = answer.replace(range_[0], b"Content-Range: bytes %d-%d/%d" % (first + 1, last + 1, total + 1))
            data = data[1:] + b"x"
        if not data:
            return answer, data
        half = len(data) // 2
        if fault == "unsaid":
            done(fault)
            answer = re.sub(rb"(?im)^(content-length|transfer-encoding):[^\r\n]*", b"Connection: close", answer)
            self.client.sendall(answer + data[:half])
            raise Gone
        if fault in ("reset-answer", "truncated", "stalled"):
            done(fault)
            self.client.sendall(answer + data[:half])
            if fault == "stalled":
                self.reader.read(1)  # until the client gives up
            if fault == "reset-answer":
                time.sleep(0.02)
                reset(self.client)
            raise Gone
        if fault == "slow":
            done(fault)
            self.client.sendall(answer)
            step = max(1, len(data) // 20)
            for at in range(0, len(data), step):
                self.client.sendall(data[at:at + step])
                time.sleep(0.005)
            return b"", b""
        return answer, data

    def control(self, path):
        text = ""
        if path.startswith("/_late"):
            state["late"] = int(path.split("?", 1)[1])
        elif path == "/_count":
            text = f"{state['count']} {state['done']} {state['in']} {state['out']}\n"
        else:
            fields = path.split("?", 1)[1].split("&")
            with lock:
                state.update({"fault": fields[0], "from": int(fields[1]), "times": int(fields[2]) if len(fields) > 2 else 1,
                              "count": 0, "completions": 0, "done": 0, "in": 0, "out": 0})
        self.client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())

    def run(self):
        try:
            while True:
                self.one()
        except (Gone, ConnectionError, ValueError):
            pass
        finally:
            self.reader.close()
            self.client.close()
            if self.server:
                self.server.close()


def done(_fault):
    with lock:
        state["done"] += 1


def end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def main():
    global upstream
    host, _, port = sys.argv[2].removeprefix("http://").partition(":")
    upstream = (host, int(port))
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Session(client).run, daemon=True).start()


if __name__ == "__main__":
    main()
