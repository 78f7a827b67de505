#!/usr/bin/env bash
# Installs Airflow into the user's cache, where "make bench-peers" looks for it, with the versions that Airflow's own
# constraints name if they can be had, else with those that pip finds. What cannot be had is left out, and the benchmark
# says so. The first installation takes minutes and 400 MB.
set -euo pipefail
version=3.3.2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/gust-bench/airflow
[ -x "$folder/bin/airflow" ] && exit 0
python=$(command -v python3 || true)
if [ -z "$python" ]; then
	echo "bench-peers: python3 is missing, Airflow is left out" >&2
	exit 0
fi
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
constraints=https://raw.githubusercontent.com/apache/airflow/constraints-$version/constraints-$minor.txt
install() { "$folder/bin/pip" install --quiet "apache-airflow[postgres]==$version" "$@"; }
if ! "$python" -m venv "$folder"; then
	echo "bench-peers: python3 has no venv, Airflow is left out" >&2
	exit 0
fi
if ! install --constraint "$constraints" 2>/dev/null && ! install; then
	rm -rf "$folder"
	echo "bench-peers: Airflow $version could not be installed, it is left out" >&2
fi
