#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Every file that people write opens with its license: GPL-2.0 below kernel/, both licenses elsewhere.
set -u
failed=0
while IFS= read -r f; do
	case $f in LICENSES/* | fuzz/corpus/* | *.md | .gitignore | .clang-format | *.img | tests/nanos/*.xz | tests/backup/*.xz | tests/nanos/*.sha256) continue ;; esac
	found=$(head -3 "$f" | sed -n 's/ *-->$//;s/.*SPDX-License-Identifier: *\(.*[^ */]\) *\(\*\/\)\{0,1\}$/\1/p')
	case $f in kernel/*) want='GPL-2.0' ;; *) want='GPL-2.0 OR BSD-2-Clause' ;; esac
	[ "$found" = "$want" ] || { echo "$f: expected SPDX-License-Identifier: $want, found '$found'"; failed=1; }
done < <(git ls-files)
exit $failed
