//go:build unix

package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// startSaying is the command
//
//	says TEXT
//
// which starts a server at $ADDR that sends TEXT on every connection at once, and then
// reads to the end. TEXT has the escapes of Go, as \r\n.
func startSaying(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: says TEXT")
	}
	text, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, text)
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	leadTo(ts, ln.Addr().String())
}

// startClosing is the command
//
//	closes-at TEXT
//
// which starts a broker at $ADDR that closes the connection, instead of acknowledging,
// when it receives a message whose payload is TEXT.
func startClosing(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: closes-at TEXT")
	}
	leadTo(ts, brokertest.StartClosing(worldOf(ts), func(f packet.Frame, v packet.Version) bool {
		var p packet.Publish
		return f.Type == packet.PUBLISH && p.Parse(f, v) == nil && string(p.Payload) == args[0]
	}).Addr)
}

// makeFingerprint is the command
//
//	fingerprint NAME FILE
//
// which lets $NAME be the SHA-256 of the certificate in a PEM file.
func makeFingerprint(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: fingerprint NAME FILE")
	}
	block, _ := pem.Decode([]byte(ts.ReadFile(args[1])))
	if block == nil {
		ts.Fatalf("%s: no PEM", args[1])
	}
	sum := sha256.Sum256(block.Bytes)
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}
