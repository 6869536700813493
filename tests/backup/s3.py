#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""One signed request, for what the stores never do (making a bucket, odd keys): s3.py URL ACCESS SECRET METHOD PATH [HEADER=VALUE]...
The body comes from standard input when it is no terminal and METHOD is PUT with a key; the answer's body goes to standard output."""
import hashlib
import http.client
import sys
import time
from urllib.parse import urlsplit

from sigv4 import signature


def request(url, access, secret, method, path, headers=None, body=b"", region="us-east-1"):
    where = urlsplit(url)
    path, _, query = path.partition("?")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    all_headers = {"host": where.netloc, "x-amz-date": stamp, "x-amz-content-sha256": digest, **(headers or {})}
    names = sorted(all_headers)
    sign = signature(secret, stamp, region, "s3", method, path, query, all_headers, names, digest)
    all_headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access}/{stamp[:8]}/{region}/s3/aws4_request,"
                                    f"SignedHeaders={';'.join(names)},Signature={sign}")
    connection = http.client.HTTPConnection(where.netloc, timeout=30)
    connection.request(method, path + ("?" + query if query else ""), body, all_headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def main():
    url, access, secret, method, path = sys.argv[1:6]
    headers = dict(h.split("=", 1) for h in sys.argv[6:])
    body = sys.stdin.buffer.read() if method == "PUT" and path.count("/") > 1 else b""
    status, _, answer = request(url, access, secret, method, path, headers, body)
    sys.stdout.buffer.write(answer)
    if status >= 300:
        sys.exit(f"s3.py: {method} {path}: {status}")


if __name__ == "__main__":
    main()
