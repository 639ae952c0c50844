package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// hello is what is known about a TLS handshake that failed.
type hello struct {
	heard bool   // the peer sent a ServerHello
	asked bool   // it requested a certificate
	sent  bool   // we had a certificate
	name  string // the expected name in the certificate
}

func (h hello) explain(ctx context.Context, addr string, err error, took time.Duration) error {
	e := &Error{Op: OpTLS, Addr: addr, Err: err}
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var pin errPin
	code, isAlert := peerAlert(err)
	switch {
	case ctx.Err() != nil || timedOut(err):
		ended(ctx, e, took, "accepted the connection and did not finish the TLS handshake")
		if e.Kind == Timeout {
			e.form = formVerb
		}
		if e.Kind == Timeout && !h.heard {
			e.Text = fmt.Sprintf("accepted the connection and stayed silent for %v", took)
			e.Hint = doesItSpeakTLS
		}
	case errors.As(err, &record):
		e = foreign(OpTLS, addr, NotTLS, "TLS", record.RecordHeader[:])
		e.Err = err
	case errors.As(err, &pin):
		e.Kind, e.Text, e.Hint = WrongPin, pin.Error(), "if the server has a new certificate, pin that"
	case errors.As(err, &verify):
		certificateError(e, verify, h.name)
	case isAlert:
		alertError(e, code, h.asked && !h.sent, h.sent)
	case closed(err) && !h.heard:
		e.Kind, e.Hint = NotTLS, doesItSpeakTLS
		e.form, e.Text = formVerb, "closed the connection during the TLS handshake"
	case closed(err) && h.asked && !h.sent:
		clientCertificateMissing(e)
		e.Text += ", and closed the connection without one"
	case closed(err):
		e.Kind, e.form, e.Text = Reset, formVerb, "closed the connection during the TLS handshake"
	case strings.Contains(err.Error(), "unsupported protocol version"):
		versionMismatch(e)
	}
	return e
}

const doesItSpeakTLS = "does this port speak TLS? the usual TLS port is 8883"

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		systemKind("tcp", err) == Reset
}

// quoteSome quotes text from a peer, which may be long.
func quoteSome(s string) string {
	if len(s) > 100 {
		return strconv.QuoteToASCII(s[:100]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
