//go:build unix

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
func (p *rawPeer) success(data string)     { p.auth([]byte{0xf0, 0}, data) }

func TestAuthCommand(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 66_000)
	for _, c := range []struct {
		it, command string
		first       string   // data of CONNECT; "none" for none
		talk        []string // the broker's questions and the helper's answers
		proof       string   // data of CONNACK; "" for no CONNACK
		args        string
		code        int
		says        string
	}{
		{"takes a token from a command that reads nothing", "printf a.b-c", "a.b-c", nil, "4", "", 0, ""},
		{"takes one line", "echo token", "token", nil, "4", "", 0, ""},
		{"takes base64", "echo base64:AP8K", "\x00\xff\n", nil, "4", "", 0, ""},
		{"takes hex", "echo hex:00ff0A", "\x00\xff\n", nil, "4", "", 0, ""},
		{"takes data that look encoded", "echo text:hex:00", "hex:00", nil, "4", "", 0, ""},
		{"takes an empty line for no data", "echo", "none", nil, "4", "", 0, ""},
		{"takes empty data for data", "echo base64:", "", nil, "4", "", 0, ""},
		{"tells whom it is for", `echo "$MQ_AUTH_METHOD $MQ_USERNAME $MQ_HOST"; test "$MQ_PORT" -gt 0`, "M joe 127.0.0.1", nil, "4", "-u joe", 0, ""},
		{"asks and answers", `echo 1; read -r w d; echo "$w,$d"; read -r w d; echo "base64:$d"; read -r w d; test "$w,$d" = success,NA==`,
			"1", []string{"2", "continue,Mg==", "\x00\xff", "\x00\xff"}, "4", "", 0, ""},
		{"says when there are no data", `echo 1; read -r w d; test "$w,$d" = success,`, "1", nil, "-", "", 0, ""},
		{"judges the broker by its status", "echo 1; read -r w d; exit 3", "1", nil, "4", "", 4, "--auth-command: exit status 3"},
		{"may fail at once", "echo why >&2; exit 5", "", nil, "", "", 2, "--auth-command: exit status 5"},
		{"passes standard error on", "echo why >&2; exit 5", "", nil, "", "", 2, "why\n"},
		{"must print something", "true", "", nil, "", "", 2, "--auth-command: the command printed nothing"},
		{"must be there", "/does/not/exist", "", nil, "", "", 2, "exit status 127"},
		{"must print good base64", "echo base64:s3cr3t!", "", nil, "", "", 2, "--auth-command: what the command printed is not base64"},
		{"must print good hex", "echo hex:s3cr3t!", "", nil, "", "", 2, "pairs of hex digits"},
		{"must print what fits", "echo " + long, "", nil, "", "", 2, "printed 66000 bytes, at most 65535 fit"},
		{"must end a line", "head -c 200000 /dev/zero | tr '\\0' x", "", nil, "", "", 2, "a line of more than 131079 bytes"},
		{"must not end before a question", "echo 1", "1", []string{"2"}, "", "", 2, "--auth-command: the command ended, and the broker asks for more"},
		{"must not fail at a question", "echo 1; read -r x; exit 7", "1", []string{"2"}, "", "", 2, "exit status 7"},
		{"must not print more", "echo 1; echo s3cr3t", "1", nil, "4", "", 2, "--auth-command: the command printed more than it was asked for"},
		{"may end with blank lines", "echo 1; echo; echo", "1", nil, "4", "", 0, ""},
		{"must be in time", "sleep 100", "", nil, "", "--connect-timeout 300ms", 2, "--auth-command: timed out: the command has not answered"},
		{"must end in time", "echo 1; sleep 100", "1", nil, "4", "--connect-timeout 500ms", 2, "--auth-command: timed out: the command has not answered"},
		{"is refused", "echo s3cr3t", "s3cr3t", nil, "refused", "", 4, "not authorized (0x87)\nmqpub: check what --auth-command prints"},
		{"is not known", "echo 1", "1", nil, "unknown", "", 4, "does not support --auth M (0x8c)\nmqpub: drop --auth, or ask the broker's operator which methods it has"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			addr := peer(t, func(p *rawPeer, connect []byte) {
				method, data, has := authOf(t, block(connect[10:]))
				if !has {
					data = "none"
				}
				if method != "M" || data != c.first {
					t.Errorf("CONNECT by %q with %q, want M with %q", method, data, c.first)
				}
				for i, s := range c.talk {
					if i%2 == 0 {
						p.question(s)
						continue
					}
					first, body, _ := p.next()
					if _, data, _ := authOf(t, block(body[1:])); first != 0xf0 || body[0] != 0x18 || data != s {
						t.Errorf("packet %#x %x, want AUTH with %q", first, body, s)
					}
				}
				switch c.proof {
				case "":
				case "-":
					p.connack()
				case "refused":
					p.say(0x20, 3, 0, 0x87, 0)
				case "unknown":
					p.say(0x20, 3, 0, 0x8c, 0)
				default:
					p.authConnack(c.proof)
				}
				for {
					first, body, ok := p.next()
					if !ok {
						return
					}
					if first == 0xe0 && (len(body) > 0 && body[0] == 0x80) != (c.code != 0) {
						t.Errorf("DISCONNECT %x, and status %d is due", body, c.code)
					}
				}
			})
			r := run(t, "", "mqpub", append(append(addr, "-t", "t", "-m", "x", "-d", "--auth", "M", "--auth-command", c.command), strings.Fields(c.args)...)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("code %d, stderr %q; want %d and %q", r.code, r.err, c.code, c.says)
			}
			if strings.Contains(r.err, "s3cr3t") {
				t.Errorf("what the helper prints is in %q", r.err)
			}
		})
	}
}

// All processes of a helper that is late have ended when the tool has: the pipe
// that they hold open has no writer any more.
func TestAnAuthCommandDiesWithItsProcessGroup(t *testing.T) {
	t.Parallel()
	for it, command := range map[string]string{
		"a child of the shell":           `exec 9>%s; echo x >&9; sleep 100`,
		"one in the background":          `exec 9>%s; echo x >&9; sleep 100 & echo token`,
		"one that does not heed signals": `exec 9>%s; echo x >&9; trap '' TERM INT HUP; while :; do sleep 100; done`,
	} {
		t.Run(it, func(t *testing.T) {
			t.Parallel()
			fifo := filepath.Join(t.TempDir(), "held")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			held, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			addr := peer(t, func(p *rawPeer, connect []byte) {
				p.authConnack("4")
				p.drain()
			})
			r := run(t, "", "mqpub", append(addr, "-t", "t", "-m", "x", "--auth", "M", "--auth-command", fmt.Sprintf(command, fifo), "--connect-timeout", "1s")...)
			if r.code != 2 || !strings.Contains(r.err, "timed out") {
				t.Errorf("code %d, %q", r.code, r.err)
			}
			_ = held.SetReadDeadline(time.Now().Add(patience))
			if b, err := io.ReadAll(held); err != nil || string(b) != "x\n" {
				t.Errorf("%q, %v: a process is left", b, err)
			}
		})
	}
}

// counting prints token1, token2 and so on, one for each authentication.
func counting(t *testing.T) string {
	return "cd '" + t.TempDir() + "'; echo >>n; echo token$(($(wc -l <n)))"
}

// wantAuth checks what CONNECT or AUTH carries.
func wantAuth(t *testing.T, what string, props []byte, want string) {
	if method, data, _ := authOf(t, block(props)); method != "M" || data != want {
		t.Errorf("%s by %q with %q, want M with %q", what, method, data, want)
	}
}

// subscribed answers mqsub's packets until it has subscribed.
func (p *rawPeer) subscribed() {
	for {
		first, body, ok := p.next()
		if !ok {
			return
		}
		if first == 0x82 {
			p.say(0x90, 4, body[0], body[1], 0, 0)
			return
		}
	}
}

// reauth waits for AUTH with reason re-authenticate and these data.
func (p *rawPeer) reauth(t *testing.T, want string) bool {
	first, body, ok := p.next()
	if !ok || first != 0xf0 || body[0] != 0x19 {
		t.Errorf("packet %#x %x, want AUTH 0x19", first, body)
		return false
	}
	wantAuth(t, "AUTH", body[1:], want)
	return true
}

// A broker ends a connection whose token has expired; the next brings a new
// one.
func TestTokensAreFetchedAnew(t *testing.T) {
	t.Parallel()
	turn := make(chan int, 1)
	turn <- 0
	addr := peer(t, func(p *rawPeer, connect []byte) {
		n := <-turn
		defer func() { turn <- n + 1 }()
		wantAuth(t, "CONNECT", connect[10:], fmt.Sprintf("token%d", n+1))
		p.connack()
		p.subscribed()
		switch n {
		case 0:
			p.say(0xe0, 1, 0x98) // administrative action
		case 1:
			p.say(0xe0, 1, 0x87) // not authorized
		default:
			p.say(0x30, 6, 0, 1, 't', 0, 'h', 'i')
			p.drain()
		}
	})
	r := run(t, "", "mqsub", append(addr, "-t", "t", "-C", "1", "--reconnect-delay", "10ms", "--auth", "M", "--auth-command", counting(t))...)
	if r.code != 0 || r.out != "hi\n" || !strings.Contains(r.err, "administrative action") || !strings.Contains(r.err, "may have expired") {
		t.Errorf("code %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

func TestReauthenticateEvery(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, connect []byte) {
		wantAuth(t, "CONNECT", connect[10:], "token1")
		p.authConnack("4")
		p.subscribed()
		for n := 2; n < 5; n++ {
			if !p.reauth(t, fmt.Sprintf("token%d", n)) {
				return
			}
			p.success("4")
		}
		p.say(0x30, 6, 0, 1, 't', 0, 'h', 'i')
		p.drain()
	})
	if out := ok(t, "", "mqsub", append(addr, "-t", "t", "-C", "1", "--auth", "M", "--auth-command", counting(t), "--reauthenticate-every", "100ms")...); out != "hi\n" {
		t.Errorf("got %q", out)
	}
}

func TestAStreamIsReauthenticated(t *testing.T) {
	t.Parallel()
	in, feed := io.Pipe()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.authConnack("4")
		if p.reauth(t, "token2") {
			p.success("4")
		}
		_, _ = io.WriteString(feed, "line\n")
		for {
			first, body, ok := p.next()
			switch {
			case !ok:
				return
			case first>>4 == 3:
				p.say(0x40, 2, body[3], body[4])
				_ = feed.Close()
			case first == 0xf0:
				p.success("4")
			}
		}
	})
	r := start(t, in, "mqpub", append(addr, "-l", "-q", "1", "-t", "t", "--auth", "M", "--auth-command", counting(t), "--reauthenticate-every", "200ms")...).wait()
	if r.code != 0 || r.err != "" {
		t.Errorf("code %d, %q", r.code, r.err)
	}
}

// A refused re-authentication is told, and the broker's reason ends the tool that has
// no time to try again.
func TestReauthenticationRefused(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.authConnack("4")
		p.subscribed()
		p.next()
		p.say(0xe0, 9, 0x87, 7, 0x1f, 0, 4, 'n', 'o', 'p', 'e')
		p.drain()
	})
	r := run(t, "", "mqsub", append(addr, "-t", "t", "--auth", "M", "--auth-command", counting(t), "--reauthenticate-every", "100ms", "--retry-for", "0")...)
	want := "mqsub: warning: reauthenticate refused: not authorized (0x87): nope\nmqsub: connection ended by the broker: not authorized (0x87): nope\n"
	if r.code != 7 || r.err != want {
		t.Errorf("code %d, %q; want 7 and %q", r.code, r.err, want)
	}
}

// A token that cannot be had now is asked for again; the connection stays.
func TestReauthenticationThatCannotBeginIsTriedAgain(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.authConnack("4")
		p.subscribed()
		if p.reauth(t, "token3") {
			p.success("4")
		}
		p.say(0x30, 6, 0, 1, 't', 0, 'h', 'i')
		p.drain()
	})
	r := run(t, "", "mqsub", append(addr, "-t", "t", "-C", "1", "--auth", "M", "--auth-command", counting(t)+" | grep -v 2", "--reauthenticate-every", "100ms")...)
	want := "mqsub: warning: cannot re-authenticate: --auth-command: exit status 1; retrying in 100ms\n"
	if r.code != 0 || r.out != "hi\n" || r.err != want {
		t.Errorf("code %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

// A broker that proves nothing is not believed.
func TestABrokerWithoutProofIsRefused(t *testing.T) {
	t.Parallel()
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		p.drain()
	})
	r := run(t, "", "mqpub", append(addr, "-t", "t", "-m", "x", "--auth", "scram-sha-256", "-u", "u", "-P", "p")...)
	if r.code != 4 || !strings.Contains(r.err, "has not proved") {
		t.Errorf("code %d, %q; want 4", r.code, r.err)
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
