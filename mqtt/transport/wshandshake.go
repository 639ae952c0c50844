package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// wsHeaderMost is the maximum size, in bytes, of a handshake's request or
	// response.
	wsHeaderMost = 16 << 10
	// wsBodyMost is how many bytes of the text of a refusal are read.
	wsBodyMost = 512
	// wsProtocol is MQTT's subprotocol (MQTT-6.0.0-3), wsOldProtocol that of
	// 3.1.
	wsProtocol    = "mqtt"
	wsOldProtocol = "mqttv3.1"
)

// Header is a header field of an HTTP request.
type Header struct{ Name, Value string }

// CheckHeader returns why a field cannot be sent with the upgrade to WebSocket,
// or nil.
func CheckHeader(h Header) error {
	if h.Name == "" || strings.IndexFunc(h.Name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	}) >= 0 {
		return errors.New("is not the name of a header field")
	}
	if strings.IndexFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0 {
		return errors.New("has a control character in its value")
	}
	switch strings.ToLower(h.Name) {
	case "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
		"content-length", "transfer-encoding":
		return errors.New("is a header field of the handshake itself")
	}
	return nil
}

// upgrade turns conn into a WebSocket, or closes it.
func (d *Dialer) upgrade(ctx context.Context, conn net.Conn, t *Target, start time.Time) (net.Conn, error) {
	var ws net.Conn
	err := within(ctx, conn, func() (err error) {
		ws, err = d.askUpgrade(conn, t)
		return err
	})
	if err == nil {
		return ws, nil
	}
	_ = conn.Close()
	e, ok := Explain(t.Address(), err).(*Error)
	if !ok {
		e = &Error{Op: OpWebSocket, Addr: t.String(), Err: err, Kind: systemKind(t.Network, err)}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.Kind, e.Text = NotWebSocket, "connection closed during the WebSocket handshake"
		}
		if e.Kind == Reset {
			e.Text = "connection reset during the WebSocket handshake"
		}
		if timedOut(err) || ctx.Err() != nil {
			ended(ctx, e, spent(ctx, start), "no answer to the WebSocket handshake")
		}
	}
	return nil, e
}

// within runs speak until ctx ends, and then closes the connection below conn:
// there are connections without deadlines, and closing TLS would write first.
func within(ctx context.Context, conn net.Conn, speak func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = UnderlyingConn(conn).Close() })
	err := speak()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	return err
}

func (d *Dialer) askUpgrade(conn net.Conn, t *Target) (net.Conn, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	host := t.Address()
	if t.Port == t.DefaultPort() {
		host = strings.TrimSuffix(host, ":"+strconv.Itoa(t.Port))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", t.Resource)
	if !hasHeader(d.Headers, "Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	fmt.Fprintf(&b, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n", key, wsProtocol)
	for _, h := range d.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	if _, err := conn.Write(b.Bytes()); err != nil {
		// A reason that the server sent before it closed says more than the
		// write error.
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if said := readAlert(conn); said != nil {
			err = said
		}
		return nil, err
	}
	refuse := func(text, hint string) error {
		return &Error{Op: OpWebSocket, Addr: t.String(), Kind: NotWebSocket, Text: text, Hint: hint}
	}
	head, rest, err := readHead(conn)
	if other, ok := errors.AsType[*noHTTP](err); ok {
		e := foreign(OpWebSocket, t.String(), NotWebSocket, "WebSocket", other.begin)
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	switch {
	case head.status != 101:
		return nil, refuseUpgrade(t, head, rest, conn)
	case !head.hasToken("Upgrade", "websocket") || !head.hasToken("Connection", "Upgrade"):
		return nil, refuse("broker switches to another protocol than WebSocket", "")
	case head.get("Sec-WebSocket-Accept") != wsAccept(key):
		return nil, refuse("broker's Sec-WebSocket-Accept does not match the request", "a proxy in between may answer from its cache")
	case head.get("Sec-WebSocket-Extensions") != "":
		return nil, refuse("broker uses a WebSocket extension that was not offered", "")
	case head.get("Sec-WebSocket-Protocol") == "":
		return nil, refuse("broker does not accept the subprotocol mqtt [MQTT-6.0.0-4]", "check the path: another service may listen there")
	case head.get("Sec-WebSocket-Protocol") != wsProtocol:
		return nil, refuse(fmt.Sprintf("broker requires the subprotocol %q, not mqtt [MQTT-6.0.0-4]", head.get("Sec-WebSocket-Protocol")), "")
	}
	return newWSConn(conn, true, rest), nil
}

// refuseUpgrade returns the error for an HTTP answer other than 101.
func refuseUpgrade(t *Target, head *httpHead, rest []byte, conn net.Conn) error {
	e := &Error{Op: OpWebSocket, Addr: t.String(), Kind: UpgradeRefused, temporary: head.temporary()}
	e.Text = "broker answered " + strconv.Itoa(head.status)
	if head.reason != "" {
		e.Text += " " + head.reason
	}
	switch s := head.status; {
	case s == 401 || s == 403:
		e.Hint = "add the header field that it requires: --ws-header 'NAME: VALUE'"
	case s >= 300 && s < 400 && head.get("Location") != "":
		e.Text += ", and points to " + head.get("Location")
		e.Hint = "connect there"
	}
	// A short text says more than the number.
	if strings.HasPrefix(head.get("Content-Type"), "text/plain") {
		n, _ := strconv.Atoi(head.get("Content-Length"))
		for len(rest) < min(n, wsBodyMost) {
			b := make([]byte, min(n, wsBodyMost)-len(rest))
			k, err := conn.Read(b)
			if rest = append(rest, b[:k]...); err != nil {
				break
			}
		}
		if text := strings.TrimSpace(string(rest[:min(len(rest), n, wsBodyMost)])); text != "" {
			e.Text += ": " + text
		}
	}
	return e
}

// wsAccept returns the answer to a key (RFC 6455, 4.2.2).
func wsAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// httpHead is the first line and the fields of a request or a response.
type httpHead struct {
	method, resource string // of a request
	status           int    // of a response
	reason           string
	fields           []Header
}

// noHTTP is the error for a peer that does not begin with HTTP.
type noHTTP struct{ begin []byte }

func (*noHTTP) Error() string { return "not HTTP" }

var errLongHTTP = errors.New("the HTTP header is larger than 16 KiB")

// readHead reads up to the empty line, and returns the bytes that followed it.
func readHead(r io.Reader) (head *httpHead, rest []byte, err error) {
	b := make([]byte, 0, 1024)
	for {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end >= 0 {
			head := parseHead(string(b[:end]))
			if head == nil {
				return nil, nil, &noHTTP{b}
			}
			return head, b[end+4:], nil
		}
		if len(b) >= wsHeaderMost {
			return nil, nil, errLongHTTP
		}
		if !looksLikeHTTP(b) {
			return nil, nil, &noHTTP{b}
		}
		if len(b) == cap(b) {
			b = append(b, make([]byte, cap(b))...)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), wsHeaderMost)])
		if b = b[:len(b)+n]; n == 0 && err != nil {
			if err == io.EOF && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
	}
}

// looksLikeHTTP checks the first bytes of a request or a response.
func looksLikeHTTP(b []byte) bool {
	const response = "HTTP/1."
	n := min(len(b), len(response))
	if string(b[:n]) == response[:n] {
		return true
	}
	p := Sniff(b)
	return p == ProtocolHTTP || p == ProtocolUndecided
}

// parseHead parses the lines of a head; it returns nil if they are invalid.
func parseHead(s string) *httpHead {
	line, s, _ := strings.Cut(s, "\r\n")
	h := &httpHead{}
	first, more, _ := strings.Cut(line, " ")
	second, third, _ := strings.Cut(more, " ")
	switch {
	case strings.HasPrefix(first, "HTTP/1."):
		status, err := strconv.Atoi(second)
		if err != nil || status < 100 || status > 999 {
			return nil
		}
		h.status, h.reason = status, third
	case strings.HasPrefix(third, "HTTP/1."):
		h.method, h.resource = first, second
	default:
		return nil
	}
	for s != "" {
		line, s, _ = strings.Cut(s, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil
		}
		h.fields = append(h.fields, Header{name, strings.Trim(value, " \t")})
	}
	return h
}

// temporary reports whether the same request may succeed later.
func (h *httpHead) temporary() bool {
	return h.status == 429 || h.status >= 500 && h.status != 501
}

// get returns the value of a field, or "".
func (h *httpHead) get(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// all returns the values of a field that may occur more than once.
func (h *httpHead) all(name string) (values []string) {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// hasToken reports whether a field's comma-separated lists contain a token.
func (h *httpHead) hasToken(name, token string) bool {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			for word := range strings.SplitSeq(f.Value, ",") {
				if strings.EqualFold(strings.Trim(word, " \t"), token) {
					return true
				}
			}
		}
	}
	return false
}

func hasHeader(fields []Header, name string) bool {
	return (&httpHead{fields: fields}).get(name) != ""
}

// wsListener turns the connections of another listener into WebSockets.
type wsListener struct {
	net.Listener
	resource string   // path that clients must request; empty: any
	host     string   // host that the listener was given; empty: an address
	origins  []string // whose web pages may connect in addition to this machine's
}

func (l *wsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wsServer{Conn: c, ws: newWSConn(c, false, nil), of: l}, nil
}

// wsServer is the server's end of a WebSocket. The handshake is done by the
// first Read or Write, as in crypto/tls, so that a silent client blocks only
// its own connection.
type wsServer struct {
	net.Conn
	ws   *wsConn
	of   *wsListener
	once sync.Once
	err  error
}

// NetConn returns the underlying connection: TLS or TCP.
func (s *wsServer) NetConn() net.Conn { return s.Conn }

func (s *wsServer) Read(p []byte) (int, error) {
	if err := s.handshake(); err != nil {
		return 0, err
	}
	return s.ws.Read(p)
}

func (s *wsServer) Write(p []byte) (int, error) {
	if err := s.handshake(); err != nil {
		return 0, err
	}
	return s.ws.Write(p)
}

// CloseWrite sends a Close frame.
func (s *wsServer) CloseWrite() error {
	if err := s.handshake(); err != nil {
		return err
	}
	return s.ws.CloseWrite()
}

func (s *wsServer) handshake() error {
	s.once.Do(func() { s.err = s.answerUpgrade() })
	return s.err
}

func (s *wsServer) answerUpgrade() error {
	head, rest, err := readHead(s.Conn)
	fail := func(status, text, more string) error {
		body := text + "\n"
		_, _ = fmt.Fprintf(s.Conn, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s\r\n%s",
			status, len(body), more, body)
		return &Error{Op: OpWebSocket, Addr: s.Conn.RemoteAddr().String(), Kind: NotWebSocket, Text: text}
	}
	switch {
	case errors.As(err, new(*noHTTP)):
		return &Error{Op: OpWebSocket, Addr: s.Conn.RemoteAddr().String(), Kind: NotWebSocket, Text: "the peer does not speak HTTP"}
	case err == errLongHTTP:
		return fail("431 Request Header Fields Too Large", err.Error(), "")
	case err != nil:
		return err
	case head.method != "GET" || !head.hasToken("Upgrade", "websocket") || !head.hasToken("Connection", "Upgrade"):
		return fail("426 Upgrade Required", "this is an MQTT broker: connect by WebSocket", "Upgrade: websocket\r\n")
	}
	if path, ok := requestPath(head.resource); !ok {
		return fail("400 Bad Request", "the request is not for a path", "")
	} else if s.of.resource != "" && path != plainPath(s.of.resource) {
		return fail("404 Not Found", "MQTT is at "+s.of.resource, "")
	}
	// Without the field it is not a browser. Two fields are invalid.
	switch origins := head.all("Origin"); {
	case len(origins) > 1:
		return fail("400 Bad Request", "more than one Origin", "")
	case len(origins) == 1 && !mayConnect(origins[0], s.LocalAddr(), s.of.host, s.of.origins):
		_ = fail("403 Forbidden", "web pages of this origin may not connect to this broker", "")
		return &Error{Op: OpWebSocket, Kind: OriginRefused, Err: OriginError(origins[0]),
			Text: "a web page of " + quoteSome(origins[0]) + " may not connect"}
	}
	switch {
	case head.get("Sec-WebSocket-Version") != "13":
		return fail("426 Upgrade Required", "only version 13 of WebSocket is supported", "Sec-WebSocket-Version: 13\r\n")
	}
	key := head.get("Sec-WebSocket-Key")
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
		return fail("400 Bad Request", "the Sec-WebSocket-Key is not 16 bytes in base64", "")
	}
	protocol := ""
	for _, p := range [...]string{wsOldProtocol, wsProtocol} {
		if head.hasToken("Sec-WebSocket-Protocol", p) {
			protocol = p
		}
	}
	if protocol == "" {
		return fail("400 Bad Request", "the subprotocol mqtt is not offered [MQTT-6.0.0-3]", "")
	}
	s.ws.early = rest
	_, err = fmt.Fprintf(s.Conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n", wsAccept(key), protocol)
	return err
}
