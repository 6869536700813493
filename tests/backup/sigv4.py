# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Signature Version 4 from its specification, on its own: the stub server checks with it what backup/s3_sign.c signs."""
import hashlib
import hmac
from urllib.parse import quote, unquote


def encode(text, safe=""):
    return quote(text, safe="-._~" + safe)


def canonical_query(query):
    """Of the raw query string of a request."""
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((encode(unquote(name)), encode(unquote(value))))
    return "&".join(f"{n}={v}" for n, v in sorted(pairs))


def signature(secret, stamp, region, service, method, path, query, headers, signed, payload_hash):
    """headers: lower-case names to values; signed: names in order. Path and query as they came over the wire."""
    lines = [method, encode(unquote(path), "/"), canonical_query(query)]
    lines += [f"{name}:{' '.join(headers[name].split())}" for name in signed]
    lines += ["", ";".join(signed), payload_hash]
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256("\n".join(lines).encode("latin-1")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = ("AWS4" + secret).encode()
    for step in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
