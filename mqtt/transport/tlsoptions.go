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
// server against the system's authorities, at TLS 1.2 or newer.
type TLSOptions struct {
	CAFile string // PEM file of authorities to trust instead of the system's
	CAPath string // directory of such files; if CAFile is set as well, both are used

	// UseSystemRoots trusts the system's authorities in addition to CAFile and
	// CAPath. If neither is set, they are trusted anyway.
	UseSystemRoots bool

	CertFile    string // PEM file of the client certificate, then its chain
	KeyFile     string // PEM file of its key; if empty, the key is in CertFile
	KeyPassword string `json:"-"` // of an encrypted key

	ServerName string   // expected in the certificate and sent as SNI; if empty, the host dialed
	ALPN       []string // application protocols to offer, best first

	// Insecure accepts a certificate for any name. Without CAFile, CAPath,
	// UseSystemRoots and Pins it accepts every certificate, which allows an
	// attacker in between to intercept the connection.
	Insecure bool

	// Pins are fingerprints, one of which the server's certificate must have.
	// Without CAFile, CAPath and UseSystemRoots only they are checked, and the
	// certificate's name, dates and issuer are ignored.
	Pins []Pin

	CipherSuites []uint16 // for TLS 1.2, as returned by ParseCiphers; nil means the default of crypto/tls

	// KeyLogFile is a file to which the secrets of every connection are
	// appended, in the format that Wireshark reads. They make it possible to
	// decrypt the traffic.
	KeyLogFile string

	MinVersion uint16 // tls.VersionTLS12 (the default) or tls.VersionTLS13
	MaxVersion uint16 // 0 means the newest
}

// String omits the key's password; so does GoString.
func (o TLSOptions) String() string {
	secret := ""
	if o.KeyPassword != "" {
		secret = " keypassword=***"
	}
	return "cafile=" + strconv.Quote(o.CAFile) + " capath=" + strconv.Quote(o.CAPath) +
		" cert=" + strconv.Quote(o.CertFile) + " key=" + strconv.Quote(o.KeyFile) + secret +
		" servername=" + strconv.Quote(o.ServerName) + " insecure=" + strconv.FormatBool(o.Insecure)
}

// GoString returns String.
func (o TLSOptions) GoString() string { return "transport.TLSOptions(" + o.String() + ")" }

// Config reads the files and returns the configuration of a client, which may
// be used for many connections. ServerName, if set, overrides the argument. The
// error is an [*Error] of kind BadFile or BadOption that names the file.
func (o TLSOptions) Config(serverName string) (*tls.Config, error) {
	if o.ServerName != "" {
		serverName = o.ServerName
	}
	cfg := &tls.Config{
		ServerName:         serverName,
		NextProtos:         slices.Clone(o.ALPN),
		InsecureSkipVerify: o.Insecure || len(o.Pins) > 0 && !o.namesRoots(), // replaced by the checks below
		MinVersion:         max(o.MinVersion, tls.VersionTLS12),
		MaxVersion:         o.MaxVersion,
		CipherSuites:       o.CipherSuites,
	}
	switch {
	case o.MinVersion != 0 && o.MinVersion < tls.VersionTLS12, o.MaxVersion != 0 && o.MaxVersion < tls.VersionTLS12:
		return nil, badOption("TLS versions before 1.2 are not supported")
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

// namesRoots reports whether the options set the trusted authorities.
func (o TLSOptions) namesRoots() bool { return o.CAFile != "" || o.CAPath != "" || o.UseSystemRoots }

// verifyChain returns a check that accepts any name if the server's certificate
// is signed by one of the roots; nil means the system's.
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

// keyLog is a file that each Write opens and appends to.
type keyLog string

func (l keyLog) Write(p []byte) (int, error) {
	f, err := os.OpenFile(string(l), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(p)
	return n, errors.Join(err, f.Close())
}

// roots returns the authorities to trust; nil means the system's.
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

// badFile returns the error of a file; err may be nil. The path is removed from
// errors of the system, to name it only once.
func badFile(path, text string, err error, hint string) error {
	return &Error{Op: OpTLS, Addr: fileerror.Quote(path), Kind: BadFile, Text: text, Err: err, Hint: hint}
}

var errNotPEM = errors.New("no PEM block")
