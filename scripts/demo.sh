#!/bin/sh
# A five-minute tour in fifteen seconds: builds the tools, starts the
# development broker inside mqsub, streams a sensor feed through mqpub, tails
# it, and shows the same messages as JSON. Ends by itself and leaves nothing
# running.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

tmp=$(mktemp -d)
pids=
cleanup() {
	status=$?
	trap - EXIT INT TERM
	for p in $pids; do kill "$p" 2>/dev/null || :; done
	for p in $pids; do wait "$p" 2>/dev/null || :; done
	rm -rf "$tmp"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say 'build the tools into bin/'
tags=urfave_cli_no_docs,urfave_cli_no_suggest
for tool in mqpub mqsub mqbench; do
	CGO_ENABLED=0 go build -tags "$tags" -trimpath -ldflags '-s -w' -o "bin/$tool" "./cmd/$tool"
done
ls -l bin | awk 'NR > 1 { printf "  %-8s %5.1f MB\n", $NF, $5 / 1e6 }'

# The broker listens on a Unix socket of its own: no port is taken.
socket=$tmp/broker.sock
export MQ_UNIX="$socket"

say 'a broker in one command:  mqsub --serve ADDR -t "#"'
env -u MQ_UNIX bin/mqsub --serve "$socket" --quiet -t 'demo/end' -C 1 >/dev/null &
pids="$pids $!"
broker=$!

# A reading of a boiler room: temperatures that drift, a valve, a meter.
feed() {
	awk -v n="$1" 'BEGIN {
		srand(42)
		split("hall kitchen bath attic", room, " ")
		for (i = 1; i <= 4; i++) temp[i] = 18 + 4 * rand()
		for (i = 0; i < n; i++) {
			k = i % 4 + 1
			temp[k] += (rand() - 0.48) / 4
			printf "{\"topic\":\"home/%s/climate\",\"retain\":true,\"payload\":\"{\\\"celsius\\\":%.2f,\\\"humidity\\\":%d,\\\"seq\\\":%d}\"}\n",
				room[k], temp[k], 40 + 20 * rand(), i
		}
	}'
}

say 'tail topics in a terminal:  mqsub -v -t "home/+/climate"'
bin/mqsub --wait-for 5s -v -q 1 -t 'home/+/climate' -C 12 >"$tmp/tail" &
tail=$!
pids="$pids $tail"
bin/mqsub --wait-for 5s --json -q 1 -t 'home/#' -C 12 >"$tmp/json" &
json=$!
pids="$pids $json"
bin/mqsub --wait-for 5s -q 1 -t ready -C 2 >/dev/null &
ready=$!
pids="$pids $ready"
# A subscription is in force once a message of ours came back through it.
feed 12 | while IFS= read -r line; do
	printf '%s\n' "$line"
	sleep 0.2
done >"$tmp/feed" &
feeder=$!
pids="$pids $feeder"
wait "$feeder"
kill "$ready" 2>/dev/null || :
bin/mqpub --wait-for 5s -q 1 --input jsonl <"$tmp/feed"
wait "$tail"
cat "$tmp/tail"

say 'the same messages as JSON Lines'
wait "$json"
if command -v jq >/dev/null 2>&1; then
	printf '  mqsub --json -t "home/#" | jq -r ...\n'
	jq -r '[.topic, (.payload | fromjson | .celsius)] | @tsv' <"$tmp/json" | head -4
else
	head -4 "$tmp/json"
fi

say 'every line of a stream, acknowledged:  seq 100000 | mqpub -l -q 1'
bin/mqsub -t 'demo/lines' -q 1 -C 100000 >"$tmp/lines" &
lines=$!
pids="$pids $lines"
bin/mqpub -t demo/ready -n
seq 100000 | bin/mqpub -l -q 1 -t demo/lines
wait "$lines"
seq 100000 | cmp - "$tmp/lines" && printf '  100000 lines out, 100000 lines in, byte for byte\n'

bin/mqpub -t demo/end -m bye
wait "$broker"
say 'done'
