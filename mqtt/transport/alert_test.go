package transport

import (
	"errors"
	"slices"
	"testing"
)

// Every alert by its number (RFC 8446, section 6, and RFC 7301): with and
// without a certificate to send, and with one that may have been sent.
func TestWhatEveryAlertMeans(t *testing.T) {
	t.Parallel()
	// handshake_failure, bad_certificate, unsupported_certificate, certificate_revoked,
	// certificate_expired, certificate_unknown, unknown_ca, access_denied
	ours := []int{40, 42, 43, 44, 45, 46, 48, 49}
	for code := range 256 {
		for _, missing := range []bool{false, true} {
			for _, sent := range []bool{false, true} {
				want := PeerAlert
				switch {
				case code == 70: // protocol_version
					want = VersionMismatch
				case code == 120: // no_application_protocol
					want = ProtocolMismatch
				case code == 116, missing && slices.Contains(ours, code): // certificate_required
					want = ClientCertificateMissing
				case sent && code != 40 && slices.Contains(ours, code):
					want = ClientCertificateRefused
				}
				e := &Error{Op: OpTLS, Addr: "h:1", Err: errors.New("tls: words")}
				if alertError(e, uint8(code), missing, sent); e.Kind != want || e.Text == "" {
					t.Errorf("alert %d, certificate missing %v, sent %v: %q %q, want %q", code, missing, sent, e.Kind, e.Text, want)
				}
			}
		}
	}
}

// Every kind of failure has its own text.
func TestEveryKindHasItsWords(t *testing.T) {
	t.Parallel()
	seen := map[string]Kind{}
	for k := Other; k <= WebSocketBroken; k++ {
		text := k.String()
		if other, has := seen[text]; has || text == "" || k != Other && text == Other.String() {
			t.Errorf("kind %d: %q, as of %d", k, text, other)
		}
		seen[text] = k
	}
	if got := Kind(255).String(); got != Other.String() {
		t.Errorf("a kind that is none: %q", got)
	}
}
