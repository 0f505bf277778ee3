#!/bin/sh
# Fails with a clear message unless a Go toolchain is there that can build this module.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
need=$(awk '$1 == "go" { split($2, v, "."); print v[1] "." v[2]; exit }' go.mod)

if ! command -v "$go" >/dev/null 2>&1; then
	echo "signet needs Go $need or newer, and there is no '$go' in PATH." >&2
	echo "Install it from https://go.dev/dl/ (unpack, then add its bin directory to PATH)." >&2
	exit 1
fi
# Outside the module and with GOTOOLCHAIN=local it tells its own version and fetches none.
have=$(cd / && GOTOOLCHAIN=local GO111MODULE=off "$go" version | awk '{ print $3 }')
if ! echo "$have" | awk -v need="$need" '{
	sub(/^go/, ""); split($0, h, /[^0-9]/); split(need, n, ".")
	exit !(h[1] + 0 > n[1] + 0 || h[1] + 0 == n[1] + 0 && h[2] + 0 >= n[2] + 0)
}'; then
	echo "signet needs Go $need or newer, and $(command -v "$go") is $have (Debian's own package is older)." >&2
	echo "Install a newer one from https://go.dev/dl/ (unpack, then add its bin directory to PATH)." >&2
	exit 1
fi
