package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/textfile"
)

// maxFile is the largest certificate or key file that is read, in bytes. The
// system's bundle of authorities has about 250,000.
const maxFile = 8 << 20

// AddAuthorities adds the certificates of a PEM file and of a directory of such
// files to pool; either may be empty. All files of the directory are read,
// whatever their names, hashed or not. Files without PEM certificates, and
// single certificates that cannot be parsed, are skipped there, as systems do
// in their own directories. It is an error if none is found. Errors are
// [*Error] of kind BadFile.
func AddAuthorities(pool *x509.CertPool, file, dir string) error {
	if file != "" {
		certs, err := readCertificates(file, true)
		if err != nil {
			return err
		}
		for _, c := range certs {
			pool.AddCert(c)
		}
	}
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fileError(err)
	}
	n := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		certs, err := readCertificates(path, false)
		if err != nil {
			continue
		}
		for _, c := range certs {
			pool.AddCert(c)
			n++
		}
	}
	if n == 0 {
		return badFile(dir, "the directory has no PEM certificate in any file", nil, "give the directory that holds the authorities' .pem files")
	}
	return nil
}

// readCertificates reads the certificates of a PEM file. If strict is true, one
// that cannot be parsed is an error.
func readCertificates(path string, strict bool) ([]*x509.Certificate, error) {
	blocks, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		switch {
		case err == nil:
			certs = append(certs, c)
		case strict:
			return nil, badFile(path, "PEM block "+strconv.Itoa(i+1)+" is not a certificate: "+strings.TrimPrefix(err.Error(), "x509: "), err, "")
		}
	}
	if len(certs) == 0 {
		return nil, badFile(path, "has "+describe(blocks)+" but no certificate", nil, "give a file with a BEGIN CERTIFICATE line")
	}
	return certs, nil
}

// readPEM reads all PEM blocks of a file. It is an error if there are none.
func readPEM(path string) ([]*pem.Block, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(textfile.NewReader(f), maxFile+1))
	if err != nil {
		return nil, fileError(err)
	}
	if len(data) > maxFile {
		return nil, badFile(path, "larger than 8 MiB, so not a certificate or key", nil, "")
	}
	var blocks []*pem.Block
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		blocks = append(blocks, b)
	}
	if len(blocks) > 0 {
		return blocks, nil
	}
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, badFile(path, "is empty", errNotPEM, "")
	case data[0] == 0x30: // an ASN.1 sequence
		return nil, badFile(path, "is not PEM; it looks like DER", errNotPEM, "convert it: openssl x509 -inform der, or openssl pkcs12 for a .p12 file")
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return nil, badFile(path, "has a PEM block that is damaged or cut off", errNotPEM, "")
	}
	return nil, badFile(path, "is not PEM", errNotPEM, "give a file with a -----BEGIN line")
}

// describe lists the types of PEM blocks, each once.
func describe(blocks []*pem.Block) string {
	var types []string
	seen := map[string]bool{}
	for _, b := range blocks {
		if t := strconv.Quote(b.Type); !seen[t] {
			seen[t] = true
			types = append(types, t)
		}
	}
	if len(types) > 3 {
		types = append(types[:3], "others")
	}
	return strings.Join(types, ", ")
}

// fileError returns the error of a file that cannot be read.
func fileError(err error) error {
	err = fileerror.Explain(err)
	e := &Error{Op: OpTLS, Kind: BadFile, form: formText, Text: err.Error(), Err: err}
	if h, ok := err.(interface{ Hint() string }); ok {
		e.Hint = h.Hint()
	}
	return e
}
