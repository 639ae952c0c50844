#!/bin/sh
# Tests the programs for Windows as far as Wine goes: publishes, subscribes, reads CRLF,
# names paths and loses a connection at its end; then runs the tests of packages.
#
#   packaging/wine-test.sh [PACKAGE ...]     by default those of Windows' peculiarities
#
# Wine needs no root and changes nothing but a directory of its own. What it lacks is no
# fault of ours and is listed under skipped, below.
set -eu
cd "$(dirname "$0")/.."
. packaging/build.sh
me="wine-test"
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
[ -x "$wine" ] || { echo "$me: skipped: Wine is missing, of the Debian package wine64" >&2; exit 77; }
for program in dlltool ld; do
	has x86_64-w64-mingw32-$program || { echo "$me: skipped: $program is missing, of the Debian package binutils-mingw-w64-x86-64" >&2; exit 77; }
done

# Tests that Wine 8 cannot pass:
#  - TempDir's own check: files that are open, or were mapped, cannot be removed
#  - Unix sockets, and datagrams
skipped='Unix|Socket|Datagram|HeldClientsWait|LeavesOtherFilesAlone|NobodyReadsTheResult'

export WINEPREFIX="$tmp/wine" WINEDEBUG=-all MQ_CONFIG=none
trap '"${wine%64}server64" -k 2>/dev/null || /usr/lib/wine/wineserver64 -k 2>/dev/null || true; rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go build -o "$tmp/bin/" ./cmd/...
CGO_ENABLED=0 go build -o "$tmp/mqbench" ./cmd/mqbench
win() { HOME=$tmp timeout 60 "$wine" "$@"; }
quietly win cmd /c ver
# Go asks this library for random numbers, and Wine before 8.12 has none: one that
# passes the question on.
if [ ! -e "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
	printf 'LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng = advapi32.SystemFunction036\n' >"$tmp/b.def"
	x86_64-w64-mingw32-dlltool --def "$tmp/b.def" --output-exp "$tmp/b.exp" --dllname bcryptprimitives.dll
	x86_64-w64-mingw32-ld -shared --entry 0 -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$tmp/b.exp"
fi

# A broker for all, of which each test takes a topic.
# shellcheck disable=SC2317 # by name
pub() { win "$tmp/bin/mqpub.exe" "$@"; }
sub() { win "$tmp/bin/mqsub.exe" "$@"; }
port=$((20000 + $$ % 10000))
wants() { [ "$2" = "$3" ] || fail "$1: got \"$2\", want \"$3\""; echo "$1: $3"; }
status() { "$@" >"$tmp/out" 2>"$tmp/err" && echo 0 || echo $?; }
sub --serve 127.0.0.1:$port -t all/# -v -C 4 >"$tmp/all" 2>"$tmp/broker" &
broker=$!
at="-h 127.0.0.1 -p $port"
# shellcheck disable=SC2086 # several words
{
	wants 'publish, QoS 1' "$(status pub $at --wait-for 20s -q 1 -t all/1 -m hello)" 0
	wants 'publish, QoS 2' "$(status pub $at -q 2 -t all/2 -m hello)" 0
	printf 'one\r\ntwo\r\n' >"$tmp/lines"
	wants 'lines with CRLF' "$(status pub $at -q 1 -t all/3 -l --delimiter '\r\n' <"$tmp/lines")" 0
	wait $broker || fail "the subscriber ended with $?: $(cat "$tmp/broker")"
	wants 'received' "$(tr '\r\n' '!|' <"$tmp/all")" 'all/1 hello|all/2 hello|all/3 one|all/3 two|'

	wants 'a file that is missing' "$(status pub $at --cafile 'C:\no\ca.pem' -t a -m x)" 2
	grep -q '"C:.no.ca.pem"' "$tmp/err" || fail "the path is shown as: $(cat "$tmp/err")"
	wants 'connection refused' "$(status pub -h 127.0.0.1 -p 1 -t a -m x)" 3
}

# A peer that resets the connection at DISCONNECT.
cat >"$tmp/reset.yaml" <<'Y'
name: reset at the end
role: broker
version: 5.0
steps:
  - expect: CONNECT
  - send: CONNACK
  - expect: PUBLISH
  - expect: DISCONNECT
  - fault: reset
Y
"$tmp/mqbench" play "$tmp/reset.yaml" --listen 127.0.0.1:$((port + 1)) >"$tmp/play" 2>&1 &
wants 'a connection that is reset at its end' "$(status pub -h 127.0.0.1 -p $((port + 1)) --wait-for 20s -V 5 -t a -m x)" 7

# The packages' own tests.
[ $# -gt 0 ] || set -- ./mqtt/transport ./internal/cli ./internal/mosquitto
for package; do
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go test -c -o "$tmp/test.exe" "$package"
	(cd "$package" && HOME=$tmp timeout 300 "$wine" "$tmp/test.exe" -test.timeout 240s -test.skip "$skipped") >"$tmp/log" 2>&1 ||
		{ grep -a -e '^ *--- FAIL' -e '_test.go:' "$tmp/log" | grep -v 'unlinkat\|RemoveAll' | head -n 40 >&2; echo "$me: $package fails" >&2; bad=1; continue; }
	echo "$package: passes"
done
exit "${bad:-0}"
