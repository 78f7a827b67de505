#!/usr/bin/env bash
# Installs the foreign programs that tests compare against or talk to, into the folder $1: a Python environment with
# moto's server, the AWS CLI, boto3, croniter, pendulum, Jinja2 and python-hcl2; the npm package jsonata; and PostgreSQL and
# MariaDB, whose servers the tests start themselves. Needs a package client (apt-get) only when Python, Node.js, a C compiler (for
# the race detector) or a database is missing; without the databases their tests are skipped. Does nothing when
# everything is there.
set -euo pipefail
tools=${1:?usage: test-tools.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
requirements=$here/test-requirements.txt
stamp=$tools/python/.installed
jsonata=2.2.2

need() { # need COMMAND PACKAGE...: apt-get install the packages when the command is missing
	local command=$1
	shift
	command -v "$command" >/dev/null && return
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "test-tools: $command is missing; install it (Debian: $*)" >&2
		exit 1
	fi
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

need gcc gcc libc6-dev
need bash bash
need python3 python3 python3-venv

want() { # want FILE-PATTERN PACKAGE: apt-get install the package when no such file exists, if that is possible
	compgen -G "$1" >/dev/null && return
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "test-tools: $2 is missing, its tests are skipped" >&2
		return
	fi
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null ||
		echo "test-tools: $2 cannot be installed, its tests are skipped" >&2
}

want '/usr/lib/postgresql/*/bin/initdb' postgresql
want '/usr/sbin/mariadbd' mariadb-server
if [ ! -f "$stamp" ] || ! cmp -s "$requirements" "$stamp"; then
	rm -rf "$tools/python"
	mkdir -p "$tools"
	python3 -m venv "$tools/python" 2>/dev/null || { need python3-venv-missing python3-venv; python3 -m venv "$tools/python"; }
	"$tools/python/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
	cp "$requirements" "$stamp"
fi

need node nodejs
if ! grep -qs "\"version\": \"$jsonata\"" "$tools/node/node_modules/jsonata/package.json"; then
	need npm npm
	npm install --silent --no-audit --no-fund --prefix "$tools/node" "jsonata@$jsonata"
fi
