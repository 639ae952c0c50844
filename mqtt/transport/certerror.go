package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strconv"
	"strings"
	"time"
)

// certificateError explains why verifying a certificate failed.
func certificateError(e *Error, v *tls.CertificateVerificationError, name string) {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(v.Err, &host):
		e.Kind, e.Text = WrongHost, "certificate is for "+names(host.Certificate)+", not for "+strconv.Quote(name)
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.Expired:
		dateError(e, v, invalid.Cert)
	case errors.As(v.Err, &unknown):
		authorityError(e, v.UnverifiedCertificates)
	default:
		e.Kind, e.Text = BadCertificate, "certificate not acceptable: "+strings.TrimPrefix(v.Err.Error(), "x509: ")
	}
}

const dateFormat = "2006-01-02 15:04:05 UTC"

func dateError(e *Error, v *tls.CertificateVerificationError, c *x509.Certificate) {
	what := "certificate"
	if len(v.UnverifiedCertificates) > 0 && !c.Equal(v.UnverifiedCertificates[0]) {
		what = "certificate of the CA " + strconv.Quote(c.Subject.String())
	}
	if time.Now().Before(c.NotBefore) {
		e.Kind, e.Text = NotYetValid, what+" not valid before "+c.NotBefore.UTC().Format(dateFormat)
		e.Hint = "check this machine's clock"
		return
	}
	e.Kind, e.Text = Expired, what+" expired on "+c.NotAfter.UTC().Format(dateFormat)
	e.Hint = "renew it, or check this machine's clock"
}

func authorityError(e *Error, chain []*x509.Certificate) {
	if len(chain) == 0 {
		e.Kind, e.Text = UnknownAuthority, "certificate signed by an unknown CA"
		return
	}
	leaf, last := chain[0], chain[len(chain)-1]
	if selfSigned(leaf) {
		e.Kind, e.Text = SelfSigned, "self-signed certificate "+strconv.Quote(leaf.Subject.String())
		return
	}
	e.Kind, e.Text = UnknownAuthority, "certificate signed by unknown CA "+strconv.Quote(last.Issuer.String())
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// names lists the names in a certificate, at most five.
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
