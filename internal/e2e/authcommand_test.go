//go:build unix

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// authOf finds authentication method and data in the properties of a CONNECT
// or AUTH of the tools', and reports whether there are data.
func authOf(t *testing.T, props []byte) (method, data string, has bool) {
	for b := props; len(b) > 0; {
		switch id := b[0]; id {
		case 0x15, 0x16:
			n := 3 + int(b[1])<<8 + int(b[2])
			if id == 0x15 {
				method = string(b[3:n])
			} else {
				data, has = string(b[3:n]), true
			}
			b = b[n:]
		case 0x11, 0x27:
			b = b[5:]
		case 0x21, 0x22:
			b = b[3:]
		default:
			t.Errorf("property %#x in %x", id, props)
			return "", "", false
		}
	}
	return method, data, has
}

// drain reads to the end, without which closing would be a reset.
func (p *rawPeer) drain() { _, _ = io.Copy(io.Discard, p.r) }

// block cuts a block of properties at its length.
func block(b []byte) []byte {
	n, at := 0, 0
	for shift := 0; ; shift += 7 {
		n |= int(b[at]&0x7f) << shift
		if at++; b[at-1] < 0x80 {
			return b[at : at+n]
		}
	}
}

// auth says AUTH, or CONNACK, with method M.
func (p *rawPeer) auth(head []byte, data string) {
	props := append([]byte{0x15, 0, 1, 'M', 0x16, byte(len(data) >> 8), byte(len(data))}, data...)
	body := append(append([]byte{}, head[1:]...), byte(len(props)))
	p.say(append([]byte{head[0], byte(len(body) + len(props))}, append(body, props...)...)...)
}

func (p *rawPeer) authConnack(data string) { p.auth([]byte{0x20, 0, 0}, data) }
func (p *rawPeer) question(data string)    { p.auth([]byte{0xf0, 0x18}, data) }

// wantAuth checks what CONNECT or AUTH carries.
func wantAuth(t *testing.T, what string, props []byte, want string) {
	if method, data, _ := authOf(t, block(props)); method != "M" || data != want {
		t.Errorf("%s by %q with %q, want M with %q", what, method, data, want)
	}
}

// The program of the manual does what the manual says.
func TestTheAuthCommandOfTheManual(t *testing.T) {
	t.Parallel()
	need(t, "openssl", "base64")
	page, err := os.ReadFile("../../man/mqsub.1")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), ".Sh AUTHENTICATION\n")
	_, rest, _ = strings.Cut(rest, ".Bd -literal -offset indent\n")
	script, _, ok := strings.Cut(rest, ".Ed\n")
	if !ok {
		t.Fatal("the manual has no program")
	}
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pem := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, text := range map[string]string{"helper": strings.ReplaceAll(script, `\e`, `\`), "key.pem": pem} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	addr := peer(t, func(p *rawPeer, connect []byte) {
		wantAuth(t, "CONNECT", connect[10:], "joe")
		p.question("\x00nonce\n")
		_, body, _ := p.next()
		_, signature, _ := authOf(t, block(body[1:]))
		if sum := sha256.Sum256([]byte("\x00nonce\n")); !ecdsa.VerifyASN1(&key.PublicKey, sum[:], []byte(signature)) {
			t.Errorf("AUTH with %x, which is no signature", signature)
		}
		p.authConnack("4")
		p.drain()
	})
	r := run(t, "", "mqpub", append(addr, "-t", "t", "-m", "x", "-u", "joe", "--auth", "M", "--auth-command", "cd '"+dir+"' && ./helper")...)
	if r.code != 0 || r.err != "" {
		t.Errorf("code %d, %q", r.code, r.err)
	}
}
