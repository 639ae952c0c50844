package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
)

// Encrypted PKCS #8 keys (RFC 5958) with PBES2, PBKDF2 and AES or triple DES in
// CBC mode (RFC 8018), as written by OpenSSL by default. The standard library
// supports only unencrypted keys.

type encryptedKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// maxIterations limits the work that a key file can request. OpenSSL uses 2048
// by default, cautious users a million.
const maxIterations = 10_000_000

func oid(arcs ...int) asn1.ObjectIdentifier { return arcs }

func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var info encryptedKeyInfo
	var pbes2 pbes2Params
	var kdf pbkdf2Params
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return nil, errUnsupported
	}
	if !info.Algorithm.Algorithm.Equal(oid(1, 2, 840, 113549, 1, 5, 13)) || !unmarshal(info.Algorithm, &pbes2) {
		return nil, errUnsupported
	}
	if !pbes2.KDF.Algorithm.Equal(oid(1, 2, 840, 113549, 1, 5, 12)) || !unmarshal(pbes2.KDF, &kdf) {
		return nil, errUnsupported
	}
	keySize, newBlock, ok := findCipher(pbes2.Cipher.Algorithm)
	prf, ok2 := findPRF(kdf.PRF.Algorithm)
	if !ok || !ok2 || kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, errUnsupported
	}
	key, err := pbkdf2.Key(prf, password, kdf.Salt, kdf.Iterations, keySize)
	if err != nil {
		return nil, errUnsupported
	}
	block, err := newBlock(key)
	if err != nil {
		return nil, errUnsupported
	}
	var iv []byte
	if rest, err := asn1.Unmarshal(pbes2.Cipher.Parameters.FullBytes, &iv); err != nil || len(rest) > 0 || len(iv) != block.BlockSize() {
		return nil, errUnsupported
	}
	if len(info.Data) == 0 || len(info.Data)%block.BlockSize() != 0 {
		return nil, errUnsupported
	}
	plain := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > block.BlockSize() {
		return nil, errPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errPassword
		}
	}
	return plain[:len(plain)-pad], nil
}

func unmarshal(a pkix.AlgorithmIdentifier, params any) bool {
	rest, err := asn1.Unmarshal(a.Parameters.FullBytes, params)
	return err == nil && len(rest) == 0
}

func findCipher(id asn1.ObjectIdentifier) (keySize int, newBlock func([]byte) (cipher.Block, error), ok bool) {
	switch {
	case id.Equal(oid(2, 16, 840, 1, 101, 3, 4, 1, 2)):
		return 16, aes.NewCipher, true
	case id.Equal(oid(2, 16, 840, 1, 101, 3, 4, 1, 22)):
		return 24, aes.NewCipher, true
	case id.Equal(oid(2, 16, 840, 1, 101, 3, 4, 1, 42)):
		return 32, aes.NewCipher, true
	case id.Equal(oid(1, 2, 840, 113549, 3, 7)):
		return 24, des.NewTripleDESCipher, true
	}
	return 0, nil, false
}

// findPRF returns the hash of an HMAC; without an identifier it is SHA-1.
func findPRF(id asn1.ObjectIdentifier) (func() hash.Hash, bool) {
	switch {
	case len(id) == 0, id.Equal(oid(1, 2, 840, 113549, 2, 7)):
		return sha1.New, true
	case id.Equal(oid(1, 2, 840, 113549, 2, 8)):
		return sha256.New224, true
	case id.Equal(oid(1, 2, 840, 113549, 2, 9)):
		return sha256.New, true
	case id.Equal(oid(1, 2, 840, 113549, 2, 10)):
		return sha512.New384, true
	case id.Equal(oid(1, 2, 840, 113549, 2, 11)):
		return sha512.New, true
	}
	return nil, false
}
