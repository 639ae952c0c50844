package option

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// propertyPacket is a packet that -D gives properties.
type propertyPacket struct {
	Word  string
	In    packet.Type
	Tools ToolSet // those that send it
}

var PropertyPackets = [...]propertyPacket{
	{"connect", packet.CONNECT, PubSub},
	{"publish", packet.PUBLISH, Pub},
	{"subscribe", packet.SUBSCRIBE, PubSub},
	{"unsubscribe", packet.UNSUBSCRIBE, Sub},
	{"disconnect", packet.DISCONNECT, PubSub},
	{"will", packet.WillProperties, PubSub},
}

// PacketOf returns the packet that -D calls word, or nil.
func PacketOf(word string) *propertyPacket {
	for i := range PropertyPackets {
		if PropertyPackets[i].Word == word {
			return &PropertyPackets[i]
		}
	}
	return nil
}

// Takes reports whether a client may give the packet a property: some are there
// for servers only.
func (p *propertyPacket) Takes(id packet.PropertyID) bool {
	fromServer := id == packet.SubscriptionIdentifier && p.In == packet.PUBLISH || id == packet.ServerReference
	return id.AllowedIn(p.In) && !fromServer
}

// Property is one use of -D CMD PROP [KEY] VALUE: an MQTT 5 property for one
// of the packets the tool sends. Command and Name are lower case and not
// checked against MQTT's table of properties, Key is for user-property.
type Property struct {
	Command string
	Name    string
	Key     string
	Value   string
}

// userProperty is the one property that takes two words.
const userProperty = "user-property"

// As one word, for --property=WORD and the environment, a property is its
// parts separated by single spaces; the value is the rest, verbatim, and in
// the key a space and a backslash have a backslash before them.

func (p Property) Word() string {
	s := p.Command + " " + p.Name + " "
	if p.Name == userProperty {
		s += strings.NewReplacer(`\`, `\\`, ` `, `\ `).Replace(p.Key) + " "
	}
	return s + p.Value
}

// makeProperty checks the first two words of a property and lowers their case.
func makeProperty(command, name, key, value string) (Property, error) {
	for _, w := range [...]string{command, name} {
		if !isPropertyWord(w) {
			return Property{}, fmt.Errorf("%q is no name of a packet or property", w)
		}
	}
	return Property{strings.ToLower(command), strings.ToLower(name), key, value}, nil
}

// isPropertyWord allows letters, digits and hyphens, not first: a forgotten
// word would otherwise make an option its property.
func isPropertyWord(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

// parseProperty reads the one-word form.
func parseProperty(s string) (Property, error) {
	command, rest, ok1 := strings.Cut(s, " ")
	name, rest, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 {
		return Property{}, errors.New("want CMD PROP VALUE")
	}
	if !strings.EqualFold(name, userProperty) {
		return makeProperty(command, name, "", rest)
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
