package option

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// propertyPacket is a packet that accepts properties with -D.
type propertyPacket struct {
	Word  string
	In    packet.Type
	Tools ToolSet // the tools that send it
}

var PropertyPackets = [...]propertyPacket{
	{"connect", packet.CONNECT, PubSub},
	{"publish", packet.PUBLISH, Pub},
	{"subscribe", packet.SUBSCRIBE, PubSub},
	{"unsubscribe", packet.UNSUBSCRIBE, Sub},
	{"disconnect", packet.DISCONNECT, PubSub},
	{"will", packet.WillProperties, PubSub},
}

// PacketOf returns the packet that word names after -D, or nil.
func PacketOf(word string) *propertyPacket {
	for i := range PropertyPackets {
		if PropertyPackets[i].Word == word {
			return &PropertyPackets[i]
		}
	}
	return nil
}

// Takes reports whether a client may set a property in the packet; servers alone may set
// some.
func (p *propertyPacket) Takes(id packet.PropertyID) bool {
	fromServer := id == packet.SubscriptionIdentifier && p.In == packet.PUBLISH || id == packet.ServerReference
	return id.AllowedIn(p.In) && !fromServer
}

// Property is one use of -D CMD PROP [KEY] VALUE: an MQTT 5 property for a packet that the
// tool sends. Command and Name are lower case and not checked against MQTT's table of
// properties; Key is set for user-property only.
type Property struct {
	Command string
	Name    string
	Key     string
	Value   string
}

// userProperty is the only property with two words.
const userProperty = "user-property"

// A property written as one word, for --property=WORD and the environment, consists of its
// parts separated by single spaces. The value is the rest, verbatim; in the key, spaces and
// backslashes are escaped by a backslash.

func (p Property) Word() string {
	s := p.Command + " " + p.Name + " "
	if p.Name == userProperty {
		s += strings.NewReplacer(`\`, `\\`, ` `, `\ `).Replace(p.Key) + " "
	}
	return s + p.Value
}

// propertyLength returns the number of words of the property that words begin with.
func propertyLength(words []string) int {
	if len(words) > 1 && strings.EqualFold(words[1], userProperty) {
		return 4
	}
	return 3
}

// makeProperty makes a property of CMD PROP VALUE or CMD user-property KEY VALUE. It checks
// the first two words and converts them to lower case.
func makeProperty(words ...string) (Property, error) {
	for _, w := range words[:2] {
		if !isPropertyWord(w) {
			return Property{}, fmt.Errorf("%q is not the name of a packet or property", w)
		}
	}
	last := len(words) - 1
	return Property{strings.ToLower(words[0]), strings.ToLower(words[1]), strings.Join(words[2:last], ""), words[last]}, nil
}

// isPropertyWord accepts letters, digits and hyphens, but no hyphen at the start: if a word
// is missing, the next option must not be taken for a property.
func isPropertyWord(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

// parseProperty parses a property written as one word.
func parseProperty(s string) (Property, error) {
	command, rest, ok1 := strings.Cut(s, " ")
	name, rest, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 {
		return Property{}, errors.New("want CMD PROP VALUE")
	}
	if !strings.EqualFold(name, userProperty) {
		return makeProperty(command, name, rest)
	}
	key := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == ' ':
			return makeProperty(command, name, string(key), rest[i+1:])
		case c == '\\' && i+1 < len(rest):
			i++
			key = append(key, rest[i])
		default:
			key = append(key, c)
		}
	}
	return Property{}, errors.New("want CMD user-property KEY VALUE")
}
