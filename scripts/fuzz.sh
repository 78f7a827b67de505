#!/usr/bin/env bash
# Runs every fuzz target of the module for the time $1, one after the other.
set -euo pipefail
fuzztime=${1:-20s}
cd "$(dirname "$0")/.."
go list ./... | while read -r pkg; do
	go test -list '^Fuzz' "$pkg" | { grep '^Fuzz' || true; } | while read -r target; do
		echo "== $pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$pkg"
	done
done
