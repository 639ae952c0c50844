package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// DefaultIterations is the number of PBKDF2 iterations that NewKeys uses.
const DefaultIterations = 210_000

// Keys are what a server stores of a password for a SCRAM method (RFC 5802
// section 3). With them one can compute the server's proof and test passwords,
// but not authenticate as a client. They can also check a password that was
// sent in plain text.
type Keys struct {
	Method     string // one of Methods
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// NewKeys returns keys for a password, which is used unchanged, with a random
// salt.
func NewKeys(method, password string) (Keys, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	return KeysOf(method, password, salt[:], DefaultIterations)
}

// KeysOf returns keys for a password with a given salt.
func KeysOf(method, password string, salt []byte, iterations int) (Keys, error) {
	h, ok := hashOf(method)
	if !ok {
		return Keys{}, fmt.Errorf("auth: unknown method %q", method)
	}
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return Keys{}, err
	}
	sum := h()
	sum.Write(mac(h, salted, "Client Key"))
	return Keys{method, salt, iterations, sum.Sum(nil), mac(h, salted, "Server Key")}, nil
}

// Matches reports whether the keys are those of a password. It costs one PBKDF2
// and takes a time that does not depend on the answer.
func (k Keys) Matches(password string) bool {
	other, err := KeysOf(k.Method, password, k.Salt, k.Iterations)
	return err == nil && subtle.ConstantTimeCompare(k.StoredKey, other.StoredKey) == 1
}

// String returns method, iterations, salt and keys as one word, in the format
// of PostgreSQL: SCRAM-SHA-512$210000:salt$storedkey:serverkey.
func (k Keys) String() string {
	b := base64.StdEncoding.EncodeToString
	return k.Method + "$" + strconv.Itoa(k.Iterations) + ":" + b(k.Salt) + "$" + b(k.StoredKey) + ":" + b(k.ServerKey)
}

// GoString returns the method only.
func (k Keys) GoString() string { return "auth.Keys(" + k.Method + ")" }

var errKeys = errors.New("not of the form METHOD$ITERATIONS:SALT$STOREDKEY:SERVERKEY")

// ParseKeys parses the format of String.
func ParseKeys(s string) (Keys, error) {
	part := strings.Split(s, "$")
	if len(part) != 3 {
		return Keys{}, errKeys
	}
	h, ok := hashOf(part[0])
	if !ok {
		return Keys{}, errors.New("unknown method (want one of " + strings.Join(Methods(), ", ") + ")")
	}
	iterations, salt, ok1 := strings.Cut(part[1], ":")
	stored, server, ok2 := strings.Cut(part[2], ":")
	if !ok1 || !ok2 {
		return Keys{}, errKeys
	}
	k := Keys{Method: part[0]}
	var err error
	if k.Iterations, err = strconv.Atoi(iterations); err != nil || k.Iterations < minIterations || k.Iterations > maxIterations {
		return Keys{}, fmt.Errorf("the iterations are not a number from %d to %d", minIterations, maxIterations)
	}
	for _, field := range []struct {
		to   *[]byte
		text string
		size int
	}{{&k.Salt, salt, 0}, {&k.StoredKey, stored, h().Size()}, {&k.ServerKey, server, h().Size()}} {
		*field.to, err = base64.StdEncoding.DecodeString(field.text)
		if err != nil || len(*field.to) == 0 || field.size != 0 && len(*field.to) != field.size {
			return Keys{}, errKeys
		}
	}
	return k, nil
}

// equal compares in constant time.
func equal(a, b []byte) bool { return hmac.Equal(a, b) }
