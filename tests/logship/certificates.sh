# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by tests. certificates FOLDER: ca.pem signs server.pem, which is for localhost alone, and client.pem; other.pem signs nothing.
certificates() {
	( cd "$1" || exit 1
	for n in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.pem -days 2 -subj /CN=$n || exit 1; done
	for n in server client; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.csr -subj /CN=$n &&
			openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $n.pem -extfile <(echo "subjectAltName=DNS:localhost") || exit 1
	done ) >"$1/made" 2>&1 || { echo "FAILED: no certificates: $(tail -2 "$1/made")"; return 1; }
}
