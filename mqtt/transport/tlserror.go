package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// hello is what is known about a TLS handshake that failed.
type hello struct {
	heard bool   // the peer sent a ServerHello
	asked bool   // it asked for a certificate
	sent  bool   // we had one
	name  string // that the certificate should be for
}

func (h hello) explain(ctx context.Context, addr string, err error, took time.Duration) error {
	e := &Error{Op: OpTLS, Addr: addr, Err: err}
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	code, isAlert := peerAlert(err)
	switch {
	case ctx.Err() != nil || timedOut(err):
		ended(ctx, e, took, "the peer accepted the connection and did not finish the TLS handshake")
		if e.Kind == Timeout && !h.heard {
			e.Text = fmt.Sprintf("the peer accepted the connection and stayed silent for %v; it may not speak TLS on this port", took.Round(time.Millisecond))
			e.Hint = "use the TLS port, usually 8883, or mqtt:// for a port without TLS"
		}
	case errors.As(err, &record):
		e.Kind, e.Hint = NotTLS, "use the TLS port, usually 8883, or mqtt:// for a port without TLS"
		e.Text = "the peer does not speak TLS on this port: its answer starts with " + quoteBytes(record.RecordHeader[:])
	case errors.As(err, &verify):
		certificateError(e, verify, h.name)
	case isAlert:
		alertError(e, code, h.asked && !h.sent, h.sent)
	case closed(err) && !h.heard:
		e.Kind, e.Hint = NotTLS, "use the TLS port, usually 8883, or mqtt:// for a port without TLS"
		e.Text = "the peer closed the connection when TLS began; it may not speak TLS on this port"
	case closed(err) && h.asked && !h.sent:
		clientCertificateMissing(e)
		e.Text += ", and closed the connection without one"
	case closed(err):
		e.Kind, e.Text = Reset, "the peer closed the connection during the TLS handshake"
	case strings.Contains(err.Error(), "unsupported protocol version"):
		versionMismatch(e)
	}
	return e
}

// Explain turns an error of Read or Write on a TLS connection into an [*Error]
// where it is an alert of the peer: with TLS 1.3 this is how a server refuses
// a client certificate, or asks for one. Other errors, and nil, come back as
// they are. Addr is for the text.
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

// peerAlert takes the code out of an alert that the peer sent. Its type is
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

// The alerts that have a kind of their own (RFC 8446, section 6).
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

// alertError explains an alert. Missing says that the peer asked for a
// certificate and we had none; sent that we may have sent one.
func alertError(e *Error, code uint8, missing, sent bool) {
	alert := strings.TrimPrefix(rootText(e.Err), "tls: ")
	switch code {
	case alertProtocolVersion:
		versionMismatch(e)
		return
	case alertNoApplicationProtocol:
		e.Kind, e.Text, e.Hint = ProtocolMismatch, "the peer speaks none of the ALPN protocols offered", "check the ALPN option; often it is \"mqtt\" or none"
		return
	case alertCertificateRequired:
		clientCertificateMissing(e)
		return
	case alertHandshakeFailure, alertBadCertificate, alertUnsupportedCertificate, alertCertificateRevoked,
		alertCertificateExpired, alertCertificateUnknown, alertUnknownCA, alertAccessDenied:
		// Before TLS 1.3 there is no alert of its own for a missing one.
		if missing {
			clientCertificateMissing(e)
			return
		}
		if sent && code != alertHandshakeFailure {
			e.Kind, e.Text = ClientCertificateRefused, "the peer refused the client certificate: "+alert
			e.Hint = "use a certificate signed by the authority that the broker trusts for clients"
			return
		}
	}
	e.Kind, e.Text = PeerAlert, "the peer ended TLS: "+alert
	if code == alertHandshakeFailure || code == alertInsufficientSecurity {
		e.Text += " (no cipher or parameter in common)"
	}
}

func clientCertificateMissing(e *Error) {
	e.Kind, e.Text = ClientCertificateMissing, "the peer wants a client certificate"
	e.Hint = "give a certificate file and its key file"
}

func versionMismatch(e *Error) {
	e.Kind, e.Text = VersionMismatch, "the peer and this side have no TLS version in common; TLS 1.2 is the oldest spoken here"
	e.Hint = "enable TLS 1.2 or 1.3 on the broker, and check limits on the version here"
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		systemKind("tcp", err) == Reset
}

// certificateError explains why a certificate did not verify.
func certificateError(e *Error, v *tls.CertificateVerificationError, name string) {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(v.Err, &host):
		e.Kind, e.Text = WrongHost, "the certificate is for "+names(host.Certificate)+", not for "+strconv.Quote(name)
		e.Hint = "connect by a name that the certificate has, or set the server name to expect"
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.Expired:
		dateError(e, v, invalid.Cert)
	case errors.As(v.Err, &unknown):
		authorityError(e, v.UnverifiedCertificates)
	default:
		e.Kind, e.Text = BadCertificate, "the certificate is not acceptable: "+strings.TrimPrefix(v.Err.Error(), "x509: ")
	}
}

const dateFormat = "2006-01-02 15:04:05 UTC"

func dateError(e *Error, v *tls.CertificateVerificationError, c *x509.Certificate) {
	what := "the certificate"
	if len(v.UnverifiedCertificates) > 0 && !c.Equal(v.UnverifiedCertificates[0]) {
		what = "the authority certificate " + strconv.Quote(c.Subject.String())
	}
	if time.Now().Before(c.NotBefore) {
		e.Kind, e.Text = NotYetValid, what+" is not valid before "+c.NotBefore.UTC().Format(dateFormat)
		e.Hint = "check the clock of this machine"
		return
	}
	e.Kind, e.Text = Expired, what+" expired on "+c.NotAfter.UTC().Format(dateFormat)
	e.Hint = "renew it, or check the clock of this machine"
}

func authorityError(e *Error, chain []*x509.Certificate) {
	if len(chain) == 0 {
		e.Kind, e.Text = UnknownAuthority, "the certificate is signed by an unknown authority"
		return
	}
	leaf, last := chain[0], chain[len(chain)-1]
	if selfSigned(leaf) {
		e.Kind, e.Text = SelfSigned, "the certificate is self-signed by "+strconv.Quote(leaf.Subject.String())
		e.Hint = "if you trust it, give the certificate itself as the CA file"
		return
	}
	e.Kind, e.Text = UnknownAuthority, "the certificate is signed by an unknown authority, "+strconv.Quote(last.Issuer.String())
	e.Hint = "give that authority's certificate as the CA file"
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// names lists what a certificate is for, at most five.
func names(c *x509.Certificate) string {
	var all []string
	for _, n := range c.DNSNames {
		all = append(all, strconv.Quote(n))
	}
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	switch n := len(all); {
	case n == 0:
		return "no host name at all (subject " + strconv.Quote(c.Subject.String()) + ")"
	case n > 5:
		return strings.Join(all[:5], ", ") + " and " + strconv.Itoa(n-5) + " more"
	}
	return strings.Join(all, ", ")
}

func quoteBytes(b []byte) string { return strconv.QuoteToASCII(string(b)) }

// rootText is the text of the innermost error.
func rootText(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
