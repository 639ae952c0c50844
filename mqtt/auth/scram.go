// Package auth implements methods of MQTT 5.0's enhanced authentication
// (section 4.12): the client's side for mqtt.Options.Authenticate, the server's
// side for broker.Options.AuthMethods, and the keys that a server stores for a
// password.
package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// The PBKDF2 iterations that a server may request. Fewer than RFC 7677 requires
// are a mistake or an attack on the password; more are an attack on this
// machine.
const (
	minIterations = 4096
	maxIterations = 1_000_000
)

// Exchange is one authentication by SCRAM (RFC 5802, RFC 7677) without channel
// binding. Names and passwords are used unchanged: the caller must apply
// SASLprep, which servers apply to what they store and which changes only
// characters beyond ASCII. This package omits it because its tables would
// outweigh everything else, and most such texts are typed in normalized form.
type Exchange struct {
	method   string
	hash     func() hash.Hash
	password string
	nonce    string

	first    string // client-first-message-bare
	expected string // the server's proof, once it can be computed
	verified bool
}

// Methods returns the names of the SCRAM methods.
func Methods() []string { return []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} }

func hashOf(method string) (func() hash.Hash, bool) {
	switch method {
	case "SCRAM-SHA-1":
		return sha1.New, true
	case "SCRAM-SHA-256":
		return sha256.New, true
	case "SCRAM-SHA-512":
		return sha512.New, true
	}
	return nil, false
}

// SCRAM starts an authentication by one of Methods. It is for one connection.
func SCRAM(method, user, password string) (*Exchange, error) {
	h, ok := hashOf(method)
	if !ok {
		return nil, fmt.Errorf("auth: unknown method %q", method)
	}
	var random [18]byte
	_, _ = rand.Read(random[:]) // never fails
	s := &Exchange{method: method, hash: h, password: password, nonce: base64.StdEncoding.EncodeToString(random[:])}
	s.first = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r="
	return s, nil
}

// Method returns the authentication method for the CONNECT packet.
func (s *Exchange) Method() string { return s.method }

// Start returns the client's first message.
func (s *Exchange) Start() ([]byte, error) {
	s.first += s.nonce
	return []byte("n,," + s.first), nil
}

// Continue answers the server's first message, and checks its last.
func (s *Exchange) Continue(data []byte) ([]byte, error) {
	if s.expected != "" { // the last message came before CONNACK
		return nil, s.verify(data)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(string(data), ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || len(name) != 1 || fields[name] != "" {
			return nil, errors.New("SCRAM: the server's message is malformed")
		}
		fields[name] = value
	}
	iterations, err := strconv.Atoi(fields["i"])
	salt, saltErr := base64.StdEncoding.DecodeString(fields["s"])
	nonce := fields["r"]
	switch {
	case fields["m"] != "":
		return nil, errors.New("SCRAM: the server requires an unknown extension")
	case !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return nil, errors.New("SCRAM: the server's nonce does not continue ours")
	case saltErr != nil || len(salt) == 0:
		return nil, errors.New("SCRAM: the server's salt is not base64")
	case err != nil || iterations < minIterations || iterations > maxIterations:
		return nil, fmt.Errorf("SCRAM: the server requests %q iterations, accepted are %d to %d", fields["i"], minIterations, maxIterations)
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, s.hash().Size())
	if err != nil {
		return nil, err
	}
	final := "c=biws,r=" + nonce
	message := s.first + "," + string(data) + "," + final
	clientKey := mac(s.hash, salted, "Client Key")
	h := s.hash()
	h.Write(clientKey)
	signature := mac(s.hash, h.Sum(nil), message)
	for i := range signature {
		signature[i] ^= clientKey[i]
	}
	s.expected = base64.StdEncoding.EncodeToString(mac(s.hash, mac(s.hash, salted, "Server Key"), message))
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(signature)), nil
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Finish checks the data of the CONNACK that accepts: the server must have
// proved that it knows the password as well.
func (s *Exchange) Finish(data []byte) error {
	if s.verified && len(data) == 0 {
		return nil
	}
	return s.verify(data)
}

func (s *Exchange) verify(data []byte) error {
	proof, ok := strings.CutPrefix(string(data), "v=")
	proof, _, _ = strings.Cut(proof, ",")
	switch {
	case strings.HasPrefix(string(data), "e="):
		return fmt.Errorf("SCRAM: the server says %q", string(data[2:]))
	case !ok || s.expected == "" || !hmac.Equal([]byte(proof), []byte(s.expected)):
		return errors.New("SCRAM: the server has not proved that it knows the password")
	}
	s.verified = true
	return nil
}
