#!/usr/bin/env bash
# Fetches the peer that the benchmark runs beside Gust: Dagu's official binary, from the npm registry, into the folder $1.
# Without npm the benchmark runs without the peer and says so.
set -euo pipefail
tools=${1:?usage: bench-tools.sh DIR}
package=@dagu-org/dagu-linux-x64
[ -x "$tools/dagu/package/bin/dagu" ] && exit 0
if ! command -v npm >/dev/null; then
	echo "bench-tools: npm is missing, the peer is left out (install npm to compare with Dagu)" >&2
	exit 0
fi
mkdir -p "$tools/dagu"
(cd "$tools/dagu" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz && rm -f ./*.tgz) ||
	echo "bench-tools: $package could not be fetched, the peer is left out" >&2
