package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"

	"github.com/mqtools/mqtools/internal/yamlfile"
)

// object is a JSON object whose keys keep their order.
type object []pair

type pair struct {
	key   string
	value any
}

// MarshalJSON writes the pairs in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, x := range [...]any{p.key, p.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := json.Marshal(x)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// write returns the mapping that a schema writes.
func write(s yamlfile.Schema) object {
	o := object{}
	for key, value := range s.Values() {
		if inner, ok := value.(yamlfile.Schema); ok {
			value = write(inner)
		}
		o = append(o, pair{key, value})
	}
	return o
}

// writeAll returns the list of the mappings that items write, or nil if there are none.
func writeAll[T any](items []T, schema func(T) yamlfile.Schema) any {
	if len(items) == 0 {
		return nil
	}
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = write(schema(item))
	}
	return list
}

// Canonical returns the plan as a scenario file in JSON, with every default filled in. Equal
// plans have equal texts. The text has no passwords: it leaves out those of templates and
// files, and what broker URLs have before the @.
func (p *Plan) Canonical() []byte {
	text, err := json.Marshal(write(new(reader).scenario(p)))
	if err != nil {
		panic(err) // it holds only texts, numbers and truth values
	}
	return text
}

// withoutUser returns a broker's URL without user name and password.
func withoutUser(broker string) string {
	if u, err := url.Parse(broker); err == nil {
		u.User = nil
		return u.String()
	}
	return broker
}

// Hash returns the SHA-256 of the canonical text in hexadecimal digits.
func (p *Plan) Hash() string {
	sum := sha256.Sum256(p.Canonical())
	return hex.EncodeToString(sum[:])
}
