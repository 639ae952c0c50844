#!/bin/sh
# A tour in fifteen seconds: builds the tools into bin/, starts mqsub's development
# broker, publishes a sensor feed with mqpub, tails it, prints it as JSON, and counts
# the lines of a flood. It exits by itself and leaves nothing running.
set -eu
cd "$(dirname "$0")/.."

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

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

say '# build mqpub, mqsub and mqbench into bin/'
tags=urfave_cli_no_docs,urfave_cli_no_suggest
for tool in mqpub mqsub mqbench; do
	CGO_ENABLED=0 go build -tags "$tags" -trimpath -ldflags '-s -w' -o "bin/$tool" "./cmd/$tool"
done
PATH=$PWD/bin:$PATH

# Ignore the user's configuration, so that the tour is the same for all users.
export MQ_CONFIG=none

# The broker listens on a Unix socket, so it needs no free port.
socket=$tmp/broker.sock
say '# a broker in one command, here on a Unix socket; with -C 1 it exits after the first message'
echo 'mqsub --serve unix:///... -t demo/end -C 1 &'
mqsub --serve "unix://$socket" --quiet -t demo/end -C 1 >"$tmp/end" &
broker=$!
pids="$pids $broker"
export MQ_UNIX="$socket"

# feed N prints N records (topic, retain flag, payload) of rooms whose temperature
# drifts.
feed() {
	awk -v n="$1" 'BEGIN {
		srand(42)
		rooms = split("hall kitchen bath attic", room, " ")
		for (i = 1; i <= rooms; i++) temp[i] = 18 + 4 * rand()
		for (i = 0; i < n; i++) {
			k = i % rooms + 1
			temp[k] += (rand() - 0.48) / 4
			printf "{\"topic\":\"home/%s/climate\",\"retain\":true,\"payload\":\"{\\\"celsius\\\":%.2f,\\\"humidity\\\":%d}\"}\n", \
				room[k], temp[k], 40 + 20 * rand()
		}
	}' | while IFS= read -r line; do
		printf '%s\n' "$line"
		sleep 0.1
	done
}

say '# tail a feed; the session exists before the first message, so none is missed'
echo "mqsub -v -q 1 -c -i tail --retain-handling new -t 'home/+/climate'"
mqsub --wait-for 5s --quiet -E -q 1 -c -i tail -t 'home/+/climate'
feed 24 | mqpub -q 1 --input jsonl &
pids="$pids $!"
mqsub -v -q 1 -c -i tail --retain-handling new -t 'home/+/climate' -C 24

if command -v jq >/dev/null 2>&1; then
	say '# the retained messages as JSON Lines, through jq'
	echo "mqsub --json --json-payload --retained-only -t 'home/#' | jq -r ..."
	mqsub --json --json-payload --retained-only -t 'home/#' |
		jq -r '[.topic, "\(.payload.celsius) C", "\(.payload.humidity) %"] | @tsv'
else
	say '# the retained messages as JSON Lines'
	echo "mqsub --json --json-payload --retained-only -t 'home/#'"
	mqsub --json --json-payload --retained-only -t 'home/#'
fi

say '# one message with all its details'
echo "mqsub --pretty --retained-only -t home/attic/climate"
mqsub --pretty --retained-only -t home/attic/climate

say '# a flood: each line is acknowledged and arrives in order, byte for byte'
echo 'seq 200000 | mqpub -l -q 1 -t demo/lines'
mqsub -E -q 1 -c -i flood -t demo/lines
mqpub -q 1 -t demo/lines -m 0 # queued for the session
mqsub -q 1 -c -i flood -t demo/lines -C 200001 >"$tmp/lines" &
flood=$!
pids="$pids $flood"
# The broker queues only a limited number of messages for a disconnected subscriber,
# and a flood exceeds it: wait until the subscriber has received the first message.
until [ -s "$tmp/lines" ]; do sleep 0.05; done
seq 200000 | mqpub -l -q 1 -t demo/lines
wait "$flood"
seq 0 200000 | cmp - "$tmp/lines"
echo '200000 lines published, 200000 lines received, byte for byte the same'

mqpub -q 1 -t demo/end -m bye
wait "$broker"
