#!/bin/sh
# Compares the run time of mqpub and mosquitto_pub for one message at QoS 0 and 1,
# from start to exit. hyperfine measures it against a mosquitto that the script
# starts on a free loopback port.
#
# The binary is copied before it is timed: a file that the linker has just written
# lies in the page cache in small pieces and starts 5 % slower than an installed
# file.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-1000}
for tool in hyperfine mosquitto mosquitto_pub; do
	command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin
	command -v "$tool" >/dev/null || { echo "$0: $tool is not installed" >&2; exit 2; }
done

tmp=$(mktemp -d)
broker=
cleanup() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$broker" ]; then
		kill "$broker" 2>/dev/null || :
		wait "$broker" 2>/dev/null || :
	fi
	rm -rf "$tmp"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tags=urfave_cli_no_docs,urfave_cli_no_suggest
CGO_ENABLED=0 go build -tags "$tags" -trimpath -ldflags '-s -w' -o "$tmp/linked" ./cmd/mqpub
cp "$tmp/linked" "$tmp/mqpub"

# mqpub looks for a configuration file and finds none, as for most users.
export HOME="$tmp" XDG_CONFIG_HOME=

# mosquitto exits at once if the port is in use: try the next one.
port=$((20000 + $$ % 20000))
while :; do
	mosquitto -p "$port" 2>"$tmp/log" &
	broker=$!
	if "$tmp/mqpub" -p "$port" -t up -m x --wait-for 5s --quiet && kill -0 "$broker" 2>/dev/null; then
		break
	fi
	port=$((port + 1))
done

set --
for qos in 0 1; do
	for client in "$tmp/mqpub" mosquitto_pub; do
		set -- "$@" "$client -p $port -t a -m x -q $qos"
	done
done
hyperfine -N --warmup 50 --runs "$runs" "$@"
