package connection

import (
	"crypto/tls"
	"strings"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func (c *Connection) readTLS() error {
	v := c.inv.Values
	if err := c.refuseOpenSSL(); err != nil {
		return err
	}
	for _, p := range v.TLSALPN.Texts() {
		if p == "" || len(p) > 255 {
			return v.TLSALPN.Invalid("value", p, "want a name of 1 to 255 bytes")
		}
	}
	c.dialer = transport.Dialer{Timeout: v.ConnectTimeout.Duration(), LocalAddr: v.BindAddress.Text()}
	switch {
	case v.IPv4.On():
		c.dialer.Family = 4
	case v.IPv6.On():
		c.dialer.Family = 6
	}
	secure := false
	for _, t := range c.targets {
		if t.Network == "tcp" && c.wantsTLS() && !v.NoTLS.On() {
			t.TLS = true
		}
		secure = secure || t.TLS
	}
	if !secure {
		if v.Insecure.On() && v.Insecure.Origin() >= option.OriginFile {
			return v.Insecure.Lacks("TLS").WithHint("add --tls, or use mqtts://")
		}
		return nil
	}
	o := &transport.TLSOptions{CAFile: v.CAFile.Text(), CAPath: v.CAPath.Text(), UseSystemRoots: v.TLSUseOSCerts.On(),
		CertFile: v.Cert.Text(), KeyFile: v.Key.Text(), ServerName: v.TLSServerName.Text(),
		ALPN: v.TLSALPN.Texts(), Insecure: v.Insecure.On(), MinVersion: tls.VersionTLS12}
	if v.TLSVersion.Text() == "1.3" {
		o.MinVersion = tls.VersionTLS13
	}
	if o.MinVersion == tls.VersionTLS13 {
		v.Ciphers.Yield(v.TLSVersion)
	}
	if list := v.Ciphers.Text(); list != "" {
		ids, err := transport.ParseCiphers(list)
		if err != nil {
			return option.Usagef("%s: %v", v.Ciphers.Name(), err)
		}
		if o.MinVersion == tls.VersionTLS13 {
			return v.Ciphers.Together(v.TLSVersion).WithHint("the suites of TLS 1.3 cannot be chosen")
		}
		o.CipherSuites = ids
	}
	for _, s := range v.TLSPin.Texts() {
		pin, err := transport.ParsePin(s)
		if err != nil {
			return v.TLSPin.Invalid("value", s, "want SHA-256: 64 hex digits, or sha256// and base64").WithHint("openssl x509 -in server.pem -noout -fingerprint -sha256 prints it")
		}
		o.Pins = append(o.Pins, pin)
	}
	if o.KeyLogFile = v.TLSKeylog.Text(); c.inv.Dry {
		o.KeyLogFile = "" // or else the file would be created
	} else if o.KeyLogFile == "" {
		if o.KeyLogFile = c.inv.Getenv("SSLKEYLOGFILE"); o.KeyLogFile != "" {
			c.inv.Infof("SSLKEYLOGFILE: appending the secrets of TLS connections to %s", o.KeyLogFile)
		}
	}
	if o.Insecure && c.inv.As != nil { // mosquitto skips only the check of the name
		o.UseSystemRoots = o.UseSystemRoots || o.CAFile == "" && o.CAPath == ""
	}
	if err := c.readKeyPassword(o); err != nil {
		return err
	}
	if _, err := o.Config(c.targets[0].Host); err != nil {
		return fileOf(v, err, "cafile", "capath", "cert", "key", "tls-keylog")
	}
	if o.CertFile != "" && o.KeyPassword == "" {
		c.warnKey(v.Key.Text())
	}
	if o.Insecure && c.inv.As == nil {
		switch {
		case o.CAFile != "" || o.CAPath != "" || o.UseSystemRoots:
			c.inv.Infof("--insecure: the broker's certificate may be for another name; who signed it is verified")
		case len(o.Pins) > 0:
			c.inv.Infof("--insecure: the broker's certificate is verified by its pin alone")
		default:
			c.inv.Warnf("--insecure: anyone on the network can pose as the broker")
		}
	}
	c.dialer.TLS = o
	return nil
}

// warnKey warns of a private key that everyone can read. When imitating another program it
// does not warn.
func (c *Connection) warnKey(path string) {
	if c.inv.As == nil && !c.inv.Dry {
		c.inv.WarnExposed(c.inv.Talk, path, "a private key", cli.NotPublic)
	}
}

// fileOf returns the error of loading a file, with the option among options that names the
// file.
func fileOf(v *option.Values, err error, options ...string) *option.UsageError {
	for _, name := range options {
		if path := v.Of(name).Text(); path != "" && strings.Contains(err.Error(), fileerror.Quote(path)) {
			return option.Usagef("%s: %v", v.Of(name).Name(), err)
		}
	}
	return option.Usagef("%v", err)
}
