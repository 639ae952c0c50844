package transport

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// Pin is the SHA-256 of a certificate, or of the public key in it.
type Pin struct {
	Sum [sha256.Size]byte
	Key bool // of the public key (SubjectPublicKeyInfo)
}

// ParsePin parses a fingerprint in the format of openssl x509 -fingerprint
// -sha256, with or without colons, or that of a key as sha256//BASE64, the
// format of curl.
func ParsePin(s string) (Pin, error) {
	var p Pin
	var b []byte
	var err error
	if rest, ok := strings.CutPrefix(s, "sha256//"); ok {
		p.Key = true
		b, err = base64.StdEncoding.DecodeString(rest)
	} else {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "SHA256 Fingerprint="), "sha256 Fingerprint=")
		b, err = hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	}
	if err != nil || len(b) != sha256.Size {
		return p, errors.New("is not the SHA-256 of a certificate: 64 hex digits, or sha256// and base64 for its public key")
	}
	copy(p.Sum[:], b)
	return p, nil
}

// verifyPins returns a check that accepts a server whose own certificate has
// one of the pins. It runs after the usual verification, if there is one.
func verifyPins(pins []Pin) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		leaf := state.PeerCertificates[0]
		cert, key := sha256.Sum256(leaf.Raw), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		for _, p := range pins {
			have := cert
			if p.Key {
				have = key
			}
			if subtle.ConstantTimeCompare(p.Sum[:], have[:]) == 1 {
				return nil
			}
		}
		return errPin{hex.EncodeToString(cert[:])}
	}
}

// errPin means that the server has another certificate.
type errPin struct{ have string }

func (e errPin) Error() string {
	return "the certificate is not the pinned one; its SHA-256 is " + strconv.Quote(e.have)
}
