#!/usr/bin/env bash
# Fetches the peers that the benchmark runs beside Gust into the folder $1: moto's server, with the tools of the tests, and
# Dagu's official binary, from the npm registry. What cannot be had is left out, and the benchmark says so.
set -euo pipefail
tools=${1:?usage: bench-tools.sh DIR}
"$(dirname "$0")/test-tools.sh" "$tools" || echo "bench-tools: moto could not be installed, it is left out" >&2
package=@dagu-org/dagu-linux-x64
[ -x "$tools/dagu/package/bin/dagu" ] && exit 0
if ! command -v npm >/dev/null; then
	echo "bench-tools: npm is missing, the peer is left out (install npm to compare with Dagu)" >&2
	exit 0
fi
mkdir -p "$tools/dagu"
(cd "$tools/dagu" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz && rm -f ./*.tgz) ||
	echo "bench-tools: $package could not be fetched, the peer is left out" >&2
