package brokerfile

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/mqtt/topic"
)

// The files of mosquitto's password_file and acl_file are recognized by their first line that is
// not blank or a comment.

// fileKind is the format of a file.
type fileKind uint8

const (
	ourFile fileKind = iota
	passwordFile
	aclFile
	mosquittoConf
)

// kindOf returns the format of a file by its first line that is not blank or a comment.
func kindOf(data []byte) fileKind {
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		switch word, _, more := strings.Cut(text, " "); {
		case !more:
		case word == "user", word == "topic", word == "pattern":
			return aclFile
		case slices.Contains([]string{"listener", "port", "password_file", "acl_file", "allow_anonymous", "per_listener_settings", "persistence"}, word):
			return mosquittoConf
		}
		name, hash, ok := strings.Cut(text, ":")
		ours := slices.Contains([]string{"anonymous", "users", "acl", "limits"}, name)
		if ok && hash != "" && hash[0] != ' ' && !ours && !strings.ContainsAny(name, `{["'`) {
			return passwordFile
		}
		return ourFile
	}
	return ourFile
}

// hashed is a password hash as mosquitto_passwd writes it.
type hashed struct {
	salt, sum  string
	iterations int // of PBKDF2; 0 for one pass of SHA-512
}

// matches reports whether the hash is that of password. Its time does not depend on the answer.
func (h hashed) matches(password string) bool {
	var sum []byte
	if h.iterations == 0 {
		all := sha512.Sum512([]byte(password + h.salt))
		sum = all[:]
	} else {
		var err error
		if sum, err = pbkdf2.Key(sha512.New, password, []byte(h.salt), h.iterations, sha512.Size); err != nil {
			return false
		}
	}
	return subtle.ConstantTimeCompare(sum, []byte(h.sum)) == 1
}

// maxIterations is the limit of SCRAM, too: more iterations would let a file overload this
// machine.
const maxIterations = 1_000_000

// parseHashed parses $6$SALT$SUM and $7$ITERATIONS$SALT$SUM. Its errors do not repeat what may be
// a password.
func parseHashed(text string) (h hashed, err error) {
	part := strings.Split(text, "$")
	switch {
	case len(part) < 2 || part[0] != "":
		return h, errors.New("not hashed: 'mosquitto_passwd -U FILE' does that")
	case part[1] == "6" && len(part) == 4:
	case part[1] == "7" && len(part) == 5:
		if h.iterations, err = strconv.Atoi(part[2]); err != nil || h.iterations < 1 || h.iterations > maxIterations {
			return h, fmt.Errorf("of a number of iterations that is not from 1 to %d", maxIterations)
		}
	case strings.HasPrefix(part[1], "argon2"):
		return h, errors.New("hashed by argon2, which is not known here: 'mosquitto_passwd -H sha512-pbkdf2 FILE NAME' makes one that is")
	default:
		return h, errors.New("of none of the forms $6$SALT$HASH and $7$ITERATIONS$SALT$HASH")
	}
	salt, err1 := base64.StdEncoding.DecodeString(part[len(part)-2])
	sum, err2 := base64.StdEncoding.DecodeString(part[len(part)-1])
	if err1 != nil || err2 != nil || len(salt) == 0 || len(sum) != sha512.Size {
		return h, errors.New("damaged: salt or hash are not base64 of the right length")
	}
	h.salt, h.sum = string(salt), string(sum)
	return h, nil
}

// placed returns an error with the path and line.
func placed(path string, line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", path, line, fmt.Errorf(format, args...))
}

// readPasswords adds the users of a password_file, whose lines are NAME:HASH.
func (r *rules) readPasswords(path string, data []byte) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if strings.TrimSpace(text) == "" || text[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(text, ":")
		if !ok || name == "" {
			return placed(path, n, "the line is not NAME:HASH, as mosquitto_passwd writes it")
		}
		h, err := parseHashed(strings.TrimSpace(hash))
		if err != nil {
			return placed(path, n, "the password of %q is %w", name, err)
		}
		if r.knows(name) {
			return placed(path, n, "user %q is there already", name)
		}
		r.hashed[name] = h
	}
	return nil
}

// readMosquittoACL adds the rules of an acl_file. As in mosquitto, rules that deny come first,
// then those of a user, then patterns. Rules before the first user are for clients without a user
// name.
func (r *rules) readMosquittoACL(path string, data []byte) error {
	var denials, topics, patterns []rule
	user, n := "", 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		if rest == "" {
			return placed(path, n, "%q needs a value", word)
		}
		x := rule{filter: rest, access: read | write}
		if first, filter, more := strings.Cut(rest, " "); more {
			if a, ok := accesses[first]; ok {
				x.access, x.filter = a, strings.TrimSpace(filter)
			}
		}
		switch word {
		case "user":
			user = rest
			continue
		case "topic":
			name := user
			x.user, x.plain = &name, true
		case "pattern":
		default:
			return placed(path, n, "unknown word %q (want user, topic or pattern)", word)
		}
		plain := x.filter
		if !x.plain {
			plain = strings.NewReplacer("%u", "u", "%c", "c").Replace(plain)
		}
		_, _, shared := topic.ParseShare(plain)
		if topic.ValidateFilter(plain) != nil || shared {
			return placed(path, n, "topic: invalid value %q (want a topic filter without $share)", x.filter)
		}
		switch {
		case x.access == deny:
			denials = append(denials, x)
		case word == "topic":
			topics = append(topics, x)
		default:
			patterns = append(patterns, x)
		}
	}
	r.hasACL = true
	r.acl = slices.Concat(r.acl, denials, topics, patterns)
	return nil
}
