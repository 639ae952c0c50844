package transport

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// LoadCertificate reads a certificate, the chain after it, and its private key:
// PKCS #8, PKCS #1 or SEC 1, in PEM. An empty keyFile means that the key is in
// certFile as well. password decrypts the key if it is encrypted, and is
// ignored otherwise. It is for clients and servers. Errors are [*Error] of kind
// BadFile that name the file and never the password.
func LoadCertificate(certFile, keyFile, password string) (tls.Certificate, error) {
	var none tls.Certificate
	certs, err := readCertificates(certFile, true)
	if err != nil {
		return none, err
	}
	where := keyFile
	if where == "" {
		where = certFile
	}
	blocks, err := readPEM(where)
	if err != nil {
		return none, err
	}
	var block *pem.Block
	for _, b := range blocks {
		if strings.HasSuffix(b.Type, "PRIVATE KEY") {
			block = b
			break
		}
	}
	switch {
	case block == nil && keyFile == "":
		return none, badFile(where, "has a certificate but no private key", nil, "give the key file as well")
	case block == nil:
		return none, badFile(where, "has "+describe(blocks)+" but no private key", nil, "give a file with a PRIVATE KEY line")
	}
	key, err := parseKey(block, password)
	if err != nil {
		return none, keyError(where, err)
	}
	cert := tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return none, badFile(where, "has a key that cannot sign", nil, "")
	}
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(certs[0].PublicKey) {
		return none, badFile(where, "the key does not match the certificate in "+certFile, nil,
			"give the key that the certificate was made for; the certificate must come first in its file")
	}
	return cert, nil
}

// ErrKeyEncrypted is matched by the error of an encrypted key without a
// password.
var (
	ErrKeyEncrypted = errors.New("the key is encrypted, but no password is given")
	errPassword     = errors.New("the password of the key is wrong")
	errUnsupported  = errors.New("the encryption of the key is not supported")
)

func keyError(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, ErrKeyEncrypted):
		hint = "give its password, or decrypt it: openssl pkey -in old.pem -out new.pem"
	case errors.Is(err, errUnsupported):
		hint = "encrypt it with AES: openssl pkcs8 -topk8 -v2 aes256 -in old.pem -out new.pem"
	}
	return badFile(path, err.Error(), err, hint)
}

func parseKey(b *pem.Block, password string) (any, error) {
	der := b.Bytes
	switch {
	case b.Type == "ENCRYPTED PRIVATE KEY":
		if password == "" {
			return nil, ErrKeyEncrypted
		}
		var err error
		if der, err = decryptPKCS8(der, password); err != nil {
			return nil, err
		}
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			// The padding of a wrong password is right once in 256 times.
			return nil, errPassword
		}
		return key, nil
	case b.Headers["DEK-Info"] != "":
		return decryptLegacy(b, password)
	case b.Type == "OPENSSH PRIVATE KEY":
		return nil, errors.New("the key is in OpenSSH's format, which is not for TLS")
	}
	return parsePlainKey(der)
}

func parsePlainKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key cannot be parsed")
}

// decryptLegacy decrypts the PEM encryption of RFC 1423, which older OpenSSL
// commands write. It has no integrity check, which is acceptable for a local
// key.
func decryptLegacy(b *pem.Block, password string) (any, error) {
	if password == "" {
		return nil, ErrKeyEncrypted
	}
	//nolint:staticcheck // deprecated because it is weak, and still what files use
	der, err := x509.DecryptPEMBlock(b, []byte(password))
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, errPassword
	case err != nil:
		return nil, errUnsupported
	}
	key, err := parsePlainKey(der)
	if err != nil {
		return nil, errPassword
	}
	return key, nil
}
