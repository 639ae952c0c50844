#!/bin/bash
# Measures the CPU time in seconds that a client needs for a million messages of 64
# bytes: mqpub and mqsub against mosquitto_pub and mosquitto_sub, all with the broker
# of mqsub --serve. The clients take turns, and the least of three rounds counts, so
# other load on the machine has little effect.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || :; wait; rm -rf "$tmp"; }
trap cleanup EXIT
CGO_ENABLED=0 go build -tags urfave_cli_no_docs,urfave_cli_no_suggest -trimpath -ldflags '-s -w' -o "$tmp/" ./cmd/mqpub ./cmd/mqsub
export PATH="$tmp:$PATH" MQ_CONFIG=none
messages=${1:-1000000}
awk -v n="$messages" 'BEGIN { for (i = 1; i <= n; i++) printf "%064d\n", i }' >"$tmp/lines"

: >"$tmp/log"
mqsub --serve 127.0.0.1:0 -t none 2>"$tmp/log" & pids+=($!)
until grep -q 'serving MQTT on' "$tmp/log"; do sleep 0.05; done
port=$(sed -n 's/.*serving MQTT on 127.0.0.1:\([0-9]*\).*/\1/p' "$tmp/log")

TIMEFORMAT='%U %S'
# cost NAME COMMAND... appends the CPU time of a command to the results of NAME.
cost() {
	local name=$1; shift
	{ time "$@" 2>"$tmp/err"; } 2>>"$tmp/$name" || { cat "$tmp/err" >&2; exit 1; }
}
least() { awk '{ s = $1 + $2; if (NR == 1 || s < m) m = s } END { printf "%.2f", m }' "$tmp/$1"; }

# A retained message shows that a subscriber has subscribed. The publisher for the
# subscriber is not a child of this shell, so its CPU time does not count.
mqpub -p "$port" -r -q 1 -t s/ready -m x
for _ in 1 2 3; do
	for qos in 0 1; do
		for tool in mqpub mosquitto_pub; do
			cost "$tool-$qos" "$tool" -p "$port" -l -q "$qos" -t t <"$tmp/lines"
		done
		for tool in mqsub mosquitto_sub; do
			: >"$tmp/out"
			( (until [ -s "$tmp/out" ]; do sleep 0.05; done; exec mqpub -p "$port" -l -q 1 -t s/line <"$tmp/lines") & )
			cost "$tool-$qos" "$tool" -p "$port" -v -q "$qos" -t 's/+' -C $((messages + 1)) >"$tmp/out"
		done
	done
done
printf '%-14s %7s %7s\n' '' 'QoS 0' 'QoS 1'
for tool in mqpub mosquitto_pub mqsub mosquitto_sub; do
	printf '%-14s %5s s %5s s\n' $tool "$(least $tool-0)" "$(least $tool-1)"
done
