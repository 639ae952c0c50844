#!/bin/sh
# Tests the Windows programs as far as Wine can run them: they publish, subscribe, read
# CRLF, print paths, lose a connection at its end, lose a reader, use TLS, connect through
# a program, and are interrupted if there is a console. Then it runs package tests.
#
#   packaging/wine-test.sh [PACKAGE ...]     default: packages with Windows-specific code
#
# Wine needs no root and changes only the test's temporary directory. Tests of features
# that Wine lacks are listed in $skipped, below.
set -eu
cd "$(dirname "$0")/.."
. packaging/build.sh
me="wine-test"
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
[ -x "$wine" ] || { echo "$me: skipped: Wine is missing, install the Debian package wine64" >&2; exit 77; }
for program in dlltool ld; do
	has x86_64-w64-mingw32-$program || { echo "$me: skipped: $program is missing, install the Debian package binutils-mingw-w64-x86-64" >&2; exit 77; }
done

# Tests that Wine 8 cannot pass, and why:
#  - Unix sockets and datagrams: Wine does not support them
#  - ResultHasNoReader: a closed pipe is detected late
#  - LeavesOtherFilesAlone: a closed file can still be written to
# A temporary directory that cannot be removed, because files in it were open or mapped,
# is not a failure either: see passes, below.
skipped='Unix|Socket|Datagram|HeldClientsWait|LeavesOtherFilesAlone|ResultHasNoReader|TestDialByServiceRecords|TestAnOpenBrokerIsWarnedOfOnce|TestServeHasSeveralAddresses|TestListenRefuses/it_refuses_a_missing_directory'

export WINEPREFIX="$tmp/wine" WINEDEBUG=-all MQ_CONFIG=none
trap '"${wine%64}server64" -k 2>/dev/null || /usr/lib/wine/wineserver64 -k 2>/dev/null || true; rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go build -o "$tmp/bin/" ./cmd/...
CGO_ENABLED=0 go build -o "$tmp/mqbench" ./cmd/mqbench
win() { HOME=$tmp timeout 60 "$wine" "$@"; }
quietly win cmd /c ver
# Go gets random numbers from this library, which Wine lacks before 8.12: build one that
# forwards the call.
if [ ! -e "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
	printf 'LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng = advapi32.SystemFunction036\n' >"$tmp/b.def"
	x86_64-w64-mingw32-dlltool --def "$tmp/b.def" --output-exp "$tmp/b.exp" --dllname bcryptprimitives.dll
	x86_64-w64-mingw32-ld -shared --entry 0 -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$tmp/b.exp"
fi

# One broker for all of the following; each test uses its own topic.
# shellcheck disable=SC2317 # called by name
pub() { win "$tmp/bin/mqpub.exe" "$@"; }
sub() { win "$tmp/bin/mqsub.exe" "$@"; }
port=$((20000 + $$ % 10000))
winpath() { win winepath -w "$1" 2>/dev/null | tr -d '\r'; }
wants() { [ "$2" = "$3" ] || fail "$1: got \"$2\", want \"$3\""; echo "$1: $3"; }
status() { "$@" >"$tmp/out" 2>"$tmp/err" && echo 0 || echo $?; }
sub --serve 127.0.0.1:$port -t all/# -v -C 4 >"$tmp/all" 2>"$tmp/broker" &
broker=$!
at="-h 127.0.0.1 -p $port"
# shellcheck disable=SC2086 # $at must be split into words
{
	wants 'publish, QoS 1' "$(status pub $at --wait-for 20s -q 1 -t all/1 -m hello)" 0
	wants 'publish, QoS 2' "$(status pub $at -q 2 -t all/2 -m hello)" 0
	printf 'one\r\ntwo\r\n' >"$tmp/lines"
	wants 'lines with CRLF' "$(status pub $at -q 1 -t all/3 -l --delimiter '\r\n' <"$tmp/lines")" 0
	wait $broker || fail "the subscriber exited with $?: $(cat "$tmp/broker")"
	wants 'received' "$(tr '\r\n' '!|' <"$tmp/all")" 'all/1 hello|all/2 hello|all/3 one|all/3 two|'

	wants 'a file that is missing' "$(status pub $at --cafile 'C:\no\ca.pem' -t a -m x)" 2
	grep -q '"C:.no.ca.pem"' "$tmp/err" || fail "the path is printed as: $(cat "$tmp/err")"
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

# The reader of standard output exits: the program exits with 141, like a program that
# SIGPIPE terminates.
{
	code=0
	sub --serve 127.0.0.1:$((port + 2)) -t a -v 2>"$tmp/reader" || code=$?
	echo $code >"$tmp/status"
} | head -n 1 >"$tmp/one" &
wants 'publish to a subscriber whose output is read once' "$(status pub -h 127.0.0.1 -p $((port + 2)) --wait-for 20s -q 1 -t a -m one)" 0
# Wine reports only at a write that the Unix reader of a pipe has exited.
wants 'publish to a subscriber without a reader' "$(status pub -h 127.0.0.1 -p $((port + 2)) -q 1 -t a -m two)" 0
for _ in $(seq 60); do [ -s "$tmp/status" ] && break; sleep 1; done
wants 'the one line' "$(tr -d '\r' <"$tmp/one")" 'a one'
wants 'head -1 ends the program' "$(cat "$tmp/status")" 141

# TLS with a self-signed certificate, and a program instead of the network.
mkdir "$tmp/go"
cat >"$tmp/go/main.go" <<'G'
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

func check(err error) {
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

func main() {
	if os.Args[1] != "certificate" { // connect to a broker, for --proxy-command
		c, err := net.Dial("tcp", os.Args[1])
		check(err)
		go func() { _, _ = io.Copy(c, os.Stdin); _ = c.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(os.Stdout, c)
		return
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	check(pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	check(pem.Encode(os.Stdout, &pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
G
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go build -o "$tmp/bin/way.exe" "$tmp/go/main.go"
CGO_ENABLED=0 quietly go build -o "$tmp/way" "$tmp/go/main.go"
"$tmp/way" certificate >"$tmp/pem"
sub --serve mqtts://127.0.0.1:$((port + 3)) --serve-cert "$tmp/pem" -t all/# -C 2 >"$tmp/all" 2>"$tmp/broker" &
broker=$!
wants 'TLS' "$(status pub -L mqtts://127.0.0.1:$((port + 3)) --cafile "$tmp/pem" --wait-for 20s -q 1 -t all/1 -m secret)" 0
wants 'TLS with an unknown certificate' "$(status pub -L mqtts://127.0.0.1:$((port + 3)) -q 1 -t all/1 -m x)" 3
wants '--proxy-command' "$(status pub -L mqtts://127.0.0.1:$((port + 3)) --cafile "$tmp/pem" --proxy-command "$(winpath "$tmp/bin/way.exe") %h:%p" -q 1 -t all/2 -m through)" 0
wait $broker || fail "the subscriber exited with $?: $(cat "$tmp/broker")"
wants 'received' "$(tr '\r\n' '!|' <"$tmp/all")" 'secret|through|'

# Ctrl-Break, which is Ctrl-C sent to one process group.
cat >"$tmp/go/break.go" <<'G'
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	c := exec.Command(os.Args[1], os.Args[2:]...)
	const noWindow = 0x08000000 // a console of its own, without a window
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | noWindow}
	out, _ := c.StderrPipe()
	if err := c.Start(); err != nil {
		fmt.Println(err)
		return
	}
	_, _ = bufio.NewReader(out).ReadString('\n')
	const ctrlBreak = 1
	kernel := syscall.NewLazyDLL("kernel32.dll")
	_, _, _ = kernel.NewProc("FreeConsole").Call()
	_, _, _ = kernel.NewProc("AttachConsole").Call(uintptr(c.Process.Pid))
	ok, _, err := kernel.NewProc("GenerateConsoleCtrlEvent").Call(ctrlBreak, uintptr(c.Process.Pid))
	if ok == 0 {
		fmt.Println("no console:", err)
		_ = c.Process.Kill()
		return
	}
	_ = c.Wait()
	fmt.Println(c.ProcessState.ExitCode())
}
G
CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go build -o "$tmp/bin/break.exe" "$tmp/go/break.go"
win "$tmp/bin/break.exe" "$(winpath "$tmp/bin/mqsub.exe")" --serve 127.0.0.1:$((port + 4)) >"$tmp/out" 2>"$tmp/err" || true
# Without a display, Wine has no console.
if grep -q '^no console' "$tmp/out"; then
	echo "Ctrl-C: skipped: Wine has $(tr -d '\r' <"$tmp/out")"
else
	wants 'Ctrl-C' "$(tr -d '\r' <"$tmp/out")" 130
fi

# passes LOG succeeds if the tests failed only because directories could not be removed,
# and prints all other failures.
passes() {
	awk '
		{ sub(/\r$/, "") }
		/^panic:|^FAIL.*timed out|test timed out/ { print; bad = 1 }
		/^ *--- FAIL/ { name = $0; next }
		/RemoveAll cleanup:/ { next }
		/^ *[a-z_0-9]+_test\.go:[0-9]+:|^ *testing\.go:[0-9]+:/ { if (name != "") print name; name = ""; print; bad = 1 }
		END { exit bad }' "$1" >&2
}

# Run the tests of the packages.
[ $# -gt 0 ] || set -- ./mqtt/transport ./internal/option ./internal/cli ./internal/connection ./internal/mosquitto
for package; do
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 quietly go test -c -o "$tmp/test.exe" "$package"
	(cd "$package" && HOME=$tmp timeout 300 "$wine" "$tmp/test.exe" -test.timeout 240s -test.skip "$skipped") >"$tmp/log" 2>&1 || passes "$tmp/log" ||
		{ echo "$me: $package failed" >&2; bad=1; continue; }
	echo "$package: passed"
done
exit "${bad:-0}"
