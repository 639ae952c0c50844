package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/fileerror"
)

// TLSOptions are the TLS settings of a client. The zero value verifies the
// server by the system's authorities, at TLS 1.2 or newer.
type TLSOptions struct {
	CAFile string // PEM file of authorities to trust instead of the system's
	CAPath string // directory of such files; with CAFile, both count

	// UseSystemRoots trusts the system's authorities besides CAFile and
	// CAPath. Without either they are trusted anyway.
	UseSystemRoots bool

	CertFile    string // PEM file of the client certificate, then its chain
	KeyFile     string // PEM file of its key; empty: in CertFile too
	KeyPassword string `json:"-"` // of an encrypted key

	ServerName string   // expected in the certificate and sent as SNI; empty: the host dialed
	ALPN       []string // application protocols to offer, best first

	// Insecure accepts a certificate for any name. Without CAFile, CAPath,
	// UseSystemRoots and Pins it accepts every certificate: no protection against
	// who is in between.
	Insecure bool

	// Pins are fingerprints of which the server's certificate must have one. Without
	// CAFile, CAPath and UseSystemRoots they are all that is trusted, and the
	// certificate's name, its dates and who has signed it do not matter.
	Pins []Pin

	CipherSuites []uint16 // of TLS 1.2, as ParseCiphers gives them; nil is crypto/tls's choice

	// KeyLogFile is appended the secrets of every connection, in the format
	// that Wireshark reads. Who has them can read the traffic.
	KeyLogFile string

	MinVersion uint16 // tls.VersionTLS12 (0 means that) or tls.VersionTLS13
	MaxVersion uint16 // 0 means the newest
}

// String leaves the key's password out; so does GoString.
func (o TLSOptions) String() string {
	secret := ""
	if o.KeyPassword != "" {
		secret = " keypassword=***"
	}
	return "cafile=" + strconv.Quote(o.CAFile) + " capath=" + strconv.Quote(o.CAPath) +
		" cert=" + strconv.Quote(o.CertFile) + " key=" + strconv.Quote(o.KeyFile) + secret +
		" servername=" + strconv.Quote(o.ServerName) + " insecure=" + strconv.FormatBool(o.Insecure)
}

// GoString is String.
func (o TLSOptions) GoString() string { return "transport.TLSOptions(" + o.String() + ")" }

// Config reads the files and makes the configuration of one client; it may be
// used for many connections. ServerName, if set, goes before the argument. The
// error is an [*Error] of kind BadFile or BadOption that names the file.
func (o TLSOptions) Config(serverName string) (*tls.Config, error) {
	if o.ServerName != "" {
		serverName = o.ServerName
	}
	cfg := &tls.Config{
		ServerName:         serverName,
		NextProtos:         slices.Clone(o.ALPN),
		InsecureSkipVerify: o.Insecure || len(o.Pins) > 0 && !o.namesRoots(), // the checks below come in its place
		MinVersion:         max(o.MinVersion, tls.VersionTLS12),
		MaxVersion:         o.MaxVersion,
		CipherSuites:       o.CipherSuites,
	}
	switch {
	case o.MinVersion != 0 && o.MinVersion < tls.VersionTLS12, o.MaxVersion != 0 && o.MaxVersion < tls.VersionTLS12:
		return nil, badOption("TLS before 1.2 is not spoken here")
	case o.MaxVersion != 0 && o.MaxVersion < cfg.MinVersion:
		return nil, badOption("the lowest TLS version is above the highest")
	case serverName == "" && !cfg.InsecureSkipVerify:
		return nil, badOption("no server name to verify the certificate against")
	case o.CertFile == "" && o.KeyFile != "":
		return nil, badOption("a key file without a certificate file")
	}
	var err error
	if cfg.RootCAs, err = o.roots(); err != nil {
		return nil, err
	}
	var checks []func(tls.ConnectionState) error
	if o.Insecure && o.namesRoots() {
		checks = append(checks, verifyChain(cfg.RootCAs))
	}
	if len(o.Pins) > 0 {
		checks = append(checks, verifyPins(o.Pins))
	}
	if len(checks) > 0 {
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			for _, check := range checks {
				if err := check(state); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if o.CertFile != "" {
		cert, err := LoadCertificate(o.CertFile, o.KeyFile, o.KeyPassword)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	if o.KeyLogFile != "" {
		log := keyLog(o.KeyLogFile)
		if _, err := log.Write(nil); err != nil {
			return nil, fileError(fileerror.Writing(err))
		}
		cfg.KeyLogWriter = log
	}
	return cfg, nil
}

// namesRoots reports whether it is said which authorities are trusted.
func (o TLSOptions) namesRoots() bool { return o.CAFile != "" || o.CAPath != "" || o.UseSystemRoots }

// verifyChain accepts a server whose certificate leads to one of the roots, nil
// being the system's, whatever its name is.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(cert)
		}
		if _, err := state.PeerCertificates[0].Verify(o); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}

// keyLog is a file that each Write opens anew and appends to.
type keyLog string

func (l keyLog) Write(p []byte) (int, error) {
	f, err := os.OpenFile(string(l), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(p)
	return n, errors.Join(err, f.Close())
}

// roots are the authorities to trust; nil means the system's.
func (o TLSOptions) roots() (*x509.CertPool, error) {
	if o.CAFile == "" && o.CAPath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if o.UseSystemRoots {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, &Error{Op: OpTLS, Kind: BadFile, Err: err, form: formText, Text: "cannot read the system's CA certificates: " + strings.TrimPrefix(err.Error(), "x509: ")}
		}
		pool = system
	}
	if err := AddAuthorities(pool, o.CAFile, o.CAPath); err != nil {
		return nil, err
	}
	return pool, nil
}

func badOption(text string) error {
	return &Error{Op: OpTLS, Kind: BadOption, Text: text}
}

// badFile is an error of a file; err may be nil. The system's errors have the
// path in them, once is enough.
func badFile(path, text string, err error, hint string) error {
	return &Error{Op: OpTLS, Addr: fileerror.Quote(path), Kind: BadFile, Text: text, Err: err, Hint: hint}
}

var errNotPEM = errors.New("no PEM block")
