package transport

import (
	"errors"
	"net"
	"reflect"
	"strings"
)

// Explain turns an error of Read or Write on a TLS connection into an [*Error]
// if it is an alert of the peer: with TLS 1.3 this is how a server refuses a
// client certificate, or requires one. Other errors, and nil, are returned
// unchanged. addr is for the text.
func Explain(addr string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	code, ok := peerAlert(err)
	if !ok {
		return err
	}
	e = &Error{Op: OpTLS, Addr: addr, Err: err}
	alertError(e, code, false, true)
	return e
}

// peerAlert returns the code of an alert that the peer sent. Its type is
// private to crypto/tls, a uint8 in a net.OpError.
func peerAlert(err error) (code uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true
}

// readAlert returns the error of the next Read if it is an alert of the peer.
func readAlert(conn net.Conn) error {
	_, err := conn.Read(make([]byte, 1))
	if _, ok := peerAlert(err); ok {
		return err
	}
	return nil
}

// The alerts that have their own kind (RFC 8446, section 6).
const (
	alertHandshakeFailure       = 40
	alertBadCertificate         = 42
	alertUnsupportedCertificate = 43
	alertCertificateRevoked     = 44
	alertCertificateExpired     = 45
	alertCertificateUnknown     = 46
	alertUnknownCA              = 48
	alertAccessDenied           = 49
	alertProtocolVersion        = 70
	alertInsufficientSecurity   = 71
	alertCertificateRequired    = 116
	alertNoApplicationProtocol  = 120
)

// alertError explains an alert. missing means that the peer requested a
// certificate and we had none; sent means that we may have sent one.
func alertError(e *Error, code uint8, missing, sent bool) {
	alert := strings.TrimPrefix(rootText(e.Err), "tls: ")
	switch code {
	case alertProtocolVersion:
		versionMismatch(e)
		return
	case alertNoApplicationProtocol:
		e.Kind, e.Text, e.Hint = ProtocolMismatch, "speaks none of the ALPN protocols offered", "often it is \"mqtt\", or none"
		e.form = formVerb
		return
	case alertCertificateRequired:
		clientCertificateMissing(e)
		return
	case alertHandshakeFailure, alertBadCertificate, alertUnsupportedCertificate, alertCertificateRevoked,
		alertCertificateExpired, alertCertificateUnknown, alertUnknownCA, alertAccessDenied:
		// Before TLS 1.3 there is no special alert for a missing one.
		if missing {
			clientCertificateMissing(e)
			return
		}
		if sent && code != alertHandshakeFailure {
			e.Kind, e.Text = ClientCertificateRefused, "refused the client certificate: "+alert
			e.form = formVerb
			e.Hint = "use one signed by a CA that the broker trusts for clients"
			return
		}
	}
	e.Kind, e.Text = PeerAlert, "ended the TLS handshake: "+alert
	e.form = formVerb
	if code == alertHandshakeFailure || code == alertInsufficientSecurity {
		e.Text += " (no cipher or parameter in common)"
	}
}

func clientCertificateMissing(e *Error) {
	e.Kind, e.form, e.Text = ClientCertificateMissing, formVerb, "requires a client certificate"
}

func versionMismatch(e *Error) {
	e.Kind, e.Text = VersionMismatch, "no TLS version in common; TLS 1.2 is the oldest supported"
	e.Hint = "enable TLS 1.2 or 1.3 on the broker"
}

// rootText returns the text of the innermost error.
func rootText(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
