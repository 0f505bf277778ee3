#!/bin/sh
# Runs every fuzz target of the module for a short while: fuzz.sh [TIME] [PACKAGES]
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${1:-10s}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- ./...
"$go" list "$@" | while read -r pkg; do
	for target in $("$go" test -run '^$' -list '^Fuzz' "$pkg" </dev/null | grep '^Fuzz' || true); do
		echo "== $pkg $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg" </dev/null
	done
done
