#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The S3 store against the stub server (stub.py), which checks signatures on its own: the conformance suite, servers without
# conditional puts, credentials from everywhere, TLS, and the message and errno of what operators meet. Then the fault proxy.
set -u
cd "$(dirname "$0")/../.."
here=tests/backup BIN=${BIN:-build/bin}
T=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$T"' EXIT
fail() { echo "test_s3: $*"; [ ! -s "$T/out" ] || tail -20 "$T/out"; exit 1; }
await() { for _ in $(seq 200); do [ -e "$1" ] && return; sleep .05; done; fail "$1 did not start"; }
mkdir "$T/home"
export HOME=$T/home AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_SHARED_CREDENTIALS_FILE \
	AWS_CONFIG_FILE http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY
export no_proxy='*'

$here/stub.py "$T/port" page=100 & await "$T/port"
S=http://127.0.0.1:$(cat "$T/port")
set_() { curl -s "$S/_set?$1"; }
keys() { export AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=SKTEST; unset AWS_SESSION_TOKEN; }
tool() { "$BIN/store_tool" -o endpoint="$S" -o patience=3 "$@" >"$T/out" 2>&1; }
s3() { tool s3://tfs/p "$@"; }
# says CODE PATTERN COMMAND...: it ends with that errno and says something like that
says() {
	local code=$1 pattern=$2 got=0; shift 2
	"$@" >"$T/out" 2>&1 || got=$?
	[ "$got" = "$code" ] || fail "$*: expected exit $code, got $got"
	[ -z "$pattern" ] || grep -q -- "$pattern" "$T/out" || fail "$*: expected '$pattern'"
}
keys

# ---- conformance ----
suite() { "$BIN/store_test" -o endpoint="$S" -o part-size=5M -o patience=60 "$@" >"$T/out" 2>&1 || fail "suite: $*"; }
suite "s3://tfs/präfix + %41"
S=${S/127.0.0.1/localhost} suite -o style=host -t "*s" s3://tfs
for way in 501 ignore; do set_ conditional=$way; suite -t if_absent "s3://tfs/$way"; suite -t race -r 2 "s3://tfs/$way"; done
set_ conditional=501
says 95 'no conditional put (501)' tool -o conditional=server s3://tfs/501 put a absent </dev/null
set_ conditional=yes

# ---- foreign objects ----
for key in 'p/odd%20%2B%0A%26key' 'p/%C3%A4' 'p/UPPER' 'p/.hidden/x' 'p/a//b'; do
	$here/s3.py "$S" AKTEST SKTEST PUT "/tfs/$key" </dev/null >"$T/out" 2>&1 || fail "PUT $key"
done
echo hi | s3 put z/ours || fail "put"
says 0 'left alone' s3 list
[ "$(grep -v ^note: "$T/out")" = "z/ours 3" ] || fail "a listing beside foreign objects"

# ---- what operators meet: each with the message of docs/BACKUP.md ----
set_ full=1; says 28 'QuotaExceeded.*raise it, or forget backups and prune' s3 put full </dev/null; set_ full=
set_ gone=1
says 2 'NoSuchBucket.*was it deleted' s3 put gone </dev/null
says 2 'NoSuchBucket.*was it deleted' s3 stat gone
says 2 'NoSuchBucket.*was it deleted' s3 list
set_ gone=
set_ region=eu-west-1; says 13 'in region eu-west-1, signed for us-east-1: use -o region=eu-west-1' s3 list
says 0 '' env AWS_REGION=eu-west-1 "$BIN/store_tool" -o endpoint="$S" s3://tfs/p stat z/ours; set_ region=
set_ clock=7200; says 0 "clock is 7[12]..* s ahead" s3 stat z/ours
says 0 "clock is 7[12]..* s ahead" s3 put late </dev/null
now=$(date +%s) && s3 now && [ "$(tail -1 "$T/out")" -ge $((now + 7200)) ] || fail "the server's clock"
set_ clock=-90000; says 0 'clock is 90... s behind' s3 list; set_ clock=0
AWS_SECRET_ACCESS_KEY=other says 13 'SignatureDoesNotMatch.*secret key does not belong' s3 list
AWS_SECRET_ACCESS_KEY=other says 13 'SignatureDoesNotMatch' s3 stat z/ours
AWS_ACCESS_KEY_ID=other says 13 'InvalidAccessKeyId.*does not know this access key' s3 get z/ours
set_ token=new
AWS_SESSION_TOKEN=old says 13 'ExpiredToken.*have expired: renew them.*from the environment' s3 stat z/ours
set_ token=
says 110 'does not answer: is the endpoint right' "$BIN/store_tool" -o endpoint=http://127.0.0.1:1 -o patience=1 s3://tfs/p list
says 22 'expected https://HOST' "$BIN/store_tool" -o endpoint=ftp://x s3://tfs/p list
says 22 'expected parallel=VALUE' tool -o parallel=0 s3://tfs/p list
says 22 'expected s3://BUCKET/PREFIX' tool s3://T/p list

# ---- credentials ----
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
says 13 'no credentials: set AWS_ACCESS_KEY_ID' s3 list
mkdir "$HOME/.aws"
printf '[default]\naws_access_key_id = no\naws_secret_access_key=no\n\n[other]\n  aws_access_key_id = indented\naws_access_key_id=AKTEST\naws_secret_access_key =  SKTEST \n' >"$HOME/.aws/credentials"
printf '[profile other]\nregion = eu-west-7\nendpoint_url = %s\ns3 =\n  region = no\n' "$S" >"$HOME/.aws/config"
says 13 InvalidAccessKeyId s3 list
set_ region=eu-west-7
says 0 '' env AWS_PROFILE=other "$BIN/store_tool" s3://tfs/p stat z/ours
says 0 '' "$BIN/store_tool" -o profile=other s3://tfs/p stat z/ours ; set_ region=
printf 'aws_access_key_id = AKTEST\naws_secret_access_key = SKTEST\n' >"$T/keys"
says 0 '' tool -o credentials="$T/keys" s3://tfs/p list
says 13 'No such file' tool -o credentials="$T/none" s3://tfs/p list
echo nothing >"$T/none"; says 13 'expected lines aws_access_key_id' tool -o credentials="$T/none" s3://tfs/p list
rm -r "$HOME/.aws"
unset AWS_EC2_METADATA_DISABLED
says 13 'no credentials.*status 404' tool -o metadata="$S" s3://tfs/p list
set_ role=1
says 0 '' tool -o metadata="$S" s3://tfs/p stat z/ours
set_ lifetime=10 # shorter than what they are renewed ahead by
says 0 'credentials renewed from instance metadata' tool -o metadata="$S" s3://tfs/p list
set_ 'lifetime=3600&role='; set_ 'access=AKTEST&secret=SKTEST&token='
export AWS_EC2_METADATA_DISABLED=true; keys

# ---- Object Lock, storage class ----
echo x | tool -o lock=governance:1h -o storage-class=STANDARD_IA s3://tfs/lock put locked || fail "put with a lock"
says 1 'locked until its retention ends' tool -o lock=governance:1h s3://tfs/lock delete locked
curl -s "$S/_set?clock=3700"; says 0 '' tool -o lock=governance:1h s3://tfs/lock delete locked; set_ clock=0

# ---- leftovers ----
$here/s3.py "$S" AKTEST SKTEST POST "/tfs/p/left?uploads=" >/dev/null || fail "begin an upload"
$here/s3.py "$S" AKTEST SKTEST POST "/tfs/other/left?uploads=" >/dev/null || fail "begin an upload"
s3 clean 60 && [ "$(cat "$T/out")" = 0 ] || fail "a young upload was aborted"
s3 clean 0 && [ "$(cat "$T/out")" = 1 ] || fail "old uploads: expected 1 aborted"

# ---- bandwidth: so many bytes take so long at least ----
head -c 300000 /dev/zero >"$T/zeros"; before=$(date +%s%N)
tool -o bandwidth=200K -o part-size=64K s3://tfs/p put slow <"$T/zeros" || fail "put with a bandwidth limit"
[ $(($(date +%s%N) - before)) -ge 1000000000 ] || fail "300,000 bytes at 200 KiB/s in less than 1 s"

# ---- TLS ----
if command -v openssl >/dev/null; then
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key" -out "$T/cert" -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost >/dev/null 2>&1 && cat "$T/key" "$T/cert" >"$T/pem" || fail "a certificate"
	$here/stub.py "$T/tlsport" tls="$T/pem" & await "$T/tlsport"
	TLS=https://localhost:$(cat "$T/tlsport")
	says 13 'certificate is not trusted.*ca-file' tool -o endpoint="$TLS" s3://tfs/p list
	says 0 '' tool -o endpoint="$TLS" -o ca-file="$T/cert" s3://tfs/p list
	says 13 'certificate is not trusted' tool -o endpoint="${TLS/localhost/127.0.0.1}" -o ca-file="$T/cert" s3://tfs/p list
	says 13 'cannot be read' tool -o endpoint="$TLS" -o ca-file="$T/nothing" s3://tfs/p list
fi

# ---- faults: at every request in turn (make test-backup: all of them) ----
$here/proxy.py "$T/proxyport" "$S" & await "$T/proxyport"
P=http://127.0.0.1:$(cat "$T/proxyport")
for fault in ${FAULTS:-denied lost unsaid other-range error200-late}; do
	"$BIN/store_fault" -o endpoint="$P" -o part-size=96K -o stall=1 -o patience=30 -f "$fault" "$P" s3://tfs/faults >"$T/out" 2>&1 ||
		fail "fault $fault"
	[ -z "${VERBOSE:-}" ] || cat "$T/out"
done
echo ok
