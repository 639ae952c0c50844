package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
)

// ServerExchange is the server's side of one authentication by SCRAM without
// channel binding. It is for one exchange.
type ServerExchange struct {
	method string
	hash   func() hash.Hash
	lookup func(user string) (Keys, bool)
	secret []byte // for the salts of unknown users
	nonce  string

	step   int
	user   string
	header string // GS2 header of the client's first message
	first  string // client-first-message-bare
	answer string // server-first-message
	keys   Keys
	known  bool
}

// Errors of a server's exchange. They are for a log; a client must not see the
// details.
var (
	ErrProof   = errors.New("SCRAM: the client has not proved that it knows the password")
	errMessage = errors.New("SCRAM: the client's message is malformed")
	errBinding = errors.New("SCRAM: the client requests channel binding")
	errName    = errors.New("SCRAM: the client requests to act for another user")
)

// SCRAMServer returns a function that starts exchanges for one of Methods.
// lookup returns a user's keys, which must be for that method, and whether the
// user exists. An unknown user gets a salt as well, always the same one, and
// fails at the end like a wrong password. Its iterations are those of the Keys
// that lookup returns with false, or DefaultIterations; they should be the same
// as for existing users.
func SCRAMServer(method string, lookup func(user string) (Keys, bool)) (func() *ServerExchange, error) {
	h, ok := hashOf(method)
	if !ok {
		return nil, errors.New("auth: unknown method " + strconv.Quote(method))
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return func() *ServerExchange {
		var random [18]byte
		_, _ = rand.Read(random[:])
		return &ServerExchange{method: method, hash: h, lookup: lookup, secret: secret, nonce: base64.StdEncoding.EncodeToString(random[:])}
	}, nil
}

// User returns the authenticated name, once Step has returned done.
func (s *ServerExchange) User() string { return s.user }

// Step handles a message of the client and returns the answer. done reports
// that the client is authenticated; the answer is then the server's proof.
func (s *ServerExchange) Step(data []byte) (answer []byte, done bool, err error) {
	switch s.step++; s.step {
	case 1:
		answer, err = s.begin(string(data))
		return answer, false, err
	case 2:
		answer, err = s.finish(string(data))
		return answer, err == nil, err
	}
	return nil, false, errMessage
}

// begin handles client-first-message (RFC 5802 section 7).
func (s *ServerExchange) begin(data string) ([]byte, error) {
	flag, rest, ok1 := strings.Cut(data, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	name, more, ok3 := strings.Cut(bare, ",")
	nonce, _, _ := strings.Cut(more, ",")
	switch {
	case strings.HasPrefix(flag, "p="):
		return nil, errBinding
	case !ok1 || !ok2 || !ok3 || flag != "n" && flag != "y":
		return nil, errMessage
	}
	var ok bool
	if s.user, ok = plainName(name, "n="); !ok || s.user == "" {
		return nil, errMessage
	}
	if authzid != "" {
		if as, ok := plainName(authzid, "a="); !ok || as != s.user {
			return nil, errName
		}
	}
	nonce, ok = strings.CutPrefix(nonce, "r=")
	if !ok || nonce == "" || len(nonce) > 1024 || strings.IndexFunc(nonce, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return nil, errMessage
	}
	s.header, s.first, s.nonce = flag+","+authzid+",", bare, nonce+s.nonce
	if s.keys, s.known = s.lookup(s.user); !s.known || s.keys.Method != s.method {
		s.known = false
		size, iterations := s.hash().Size(), s.keys.Iterations
		if iterations == 0 {
			iterations = DefaultIterations
		}
		s.keys = Keys{Salt: mac(s.hash, s.secret, s.user)[:16], Iterations: iterations, StoredKey: make([]byte, size), ServerKey: make([]byte, size)}
	}
	s.answer = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.keys.Salt) + ",i=" + strconv.Itoa(s.keys.Iterations)
	return []byte(s.answer), nil
}

// finish handles client-final-message.
func (s *ServerExchange) finish(data string) ([]byte, error) {
	at := strings.LastIndex(data, ",p=")
	if at < 0 {
		return nil, errMessage
	}
	without := data[:at]
	proof, err := base64.StdEncoding.DecodeString(data[at+3:])
	binding, rest, ok := strings.Cut(without, ",")
	nonce, _, _ := strings.Cut(rest, ",")
	switch {
	case err != nil || !ok || len(proof) != s.hash().Size():
		return nil, errMessage
	case binding != "c="+base64.StdEncoding.EncodeToString([]byte(s.header)):
		return nil, errBinding
	case nonce != "r="+s.nonce:
		return nil, errMessage
	}
	message := s.first + "," + s.answer + "," + without
	for i, b := range mac(s.hash, s.keys.StoredKey, message) {
		proof[i] ^= b // ClientKey
	}
	sum := s.hash()
	sum.Write(proof)
	if !equal(sum.Sum(nil), s.keys.StoredKey) || !s.known {
		return nil, ErrProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.hash, s.keys.ServerKey, message))), nil
}

// plainName decodes the escapes of a saslname.
func plainName(s, prefix string) (name string, ok bool) {
	s, ok = strings.CutPrefix(s, prefix)
	if !ok || strings.Count(s, "=") != strings.Count(s, "=2C")+strings.Count(s, "=3D") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), true
}
