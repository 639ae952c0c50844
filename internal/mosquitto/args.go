package mosquitto

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// failure is a usage error in the programs' wording, without the leading "Error: " and the
// trailing hint.
type failure struct {
	text  string
	tight bool   // one newline less before the hint
	page  string // --help or --version, which stop the parsing and are not errors
}

func wrongf(format string, args ...any) *failure {
	return &failure{text: fmt.Sprintf(format, args...)}
}

func tightf(format string, args ...any) *failure {
	return &failure{text: fmt.Sprintf(format, args...), tight: true}
}

// setting is one of our options and its value.
type setting struct{ name, value, place string }

// config collects what the words say, from left to right.
type config struct {
	client   client
	line     *cli.CommandLine
	table    option.Options // of both our tools, which include the spellings
	place    string         // path:line of the current word; "" for the command line
	settings []setting
	mode     bool // the source of the message is known
	topics   int
}

func (c *config) at(name string) *setting {
	for i := range c.settings {
		if c.settings[i].name == name {
			return &c.settings[i]
		}
	}
	return nil
}

func (c *config) has(name string) bool { return c.at(name) != nil }

// get returns the value of an option of which the last use counts, or "".
func (c *config) get(name string) string {
	if s := c.at(name); s != nil {
		return s.value
	}
	return ""
}

// set replaces the value of an option.
func (c *config) set(name, value string) {
	if s := c.at(name); s != nil {
		s.value, s.place = value, c.place
	} else {
		c.add(name, value)
	}
}

// add adds a value of an option that may have several.
func (c *config) add(name, value string) {
	c.settings = append(c.settings, setting{name, value, c.place})
}

// drop removes options.
func (c *config) drop(names ...string) {
	c.settings = slices.DeleteFunc(c.settings, func(s setting) bool { return slices.Contains(names, s.name) })
}

// words parses options and their values.
func (c *config) words(argv []string) *failure {
	for i := 0; i < len(argv); i++ {
		word := argv[i]
		o := find(c.table, word)
		if o == nil {
			n, err := c.ours(argv[i:])
			if err != nil {
				return err
			}
			i += n
			continue
		}
		if o.in&c.client == 0 {
			return unknown(word)
		}
		switch o.name {
		case "help", "version":
			return &failure{page: word}
		case "property":
			n, err := c.property(argv[i+1:])
			if err != nil {
				return err
			}
			i += n
			continue
		}
		if err := c.mayUse(o); err != nil {
			return err
		}
		value := "true"
		if o.takesValue() {
			if i++; i == len(argv) {
				return wrongf("%s", cmp.Or(o.missing, o.label()+" argument given but no "+o.noun+" specified."))
			}
			value = argv[i]
		}
		if o.name == "options-file" {
			continue
		}
		if err := c.use(o, value); err != nil {
			return err
		}
	}
	return nil
}

func unknown(word string) *failure {
	if name, _, has := strings.Cut(word, "="); has {
		word = name // what follows may be a secret
	}
	return tightf("Unknown option '%s'.", word)
}

// mayUse refuses an option that the preceding words exclude.
func (c *config) mayUse(o *row) *failure {
	switch o.name {
	case "message", "file", "null-message", "stdin-file", "stdin-line":
		if c.mode {
			return wrongf("Only one type of message can be sent at once.")
		}
		c.mode = true
	case "id", "id-prefix":
		if o.name == "id" && c.has("id-prefix") || o.name == "id-prefix" && c.has("id") {
			return wrongf("-i and -I argument cannot be used together.")
		}
	}
	return nil
}

// use applies an option with its value.
func (c *config) use(o *row, value string) (err *failure) {
	if o.do != nil {
		return o.do(c, value)
	}
	if o.wrong != "" {
		n, numErr := strconv.ParseInt(strings.TrimLeft(value, " \t"), 10, 64)
		if numErr != nil || n < o.least || n > o.most {
			return &failure{text: strings.Replace(o.wrong, "%s", value, 1), tight: o.tight}
		}
		value = strconv.FormatInt(n, 10)
	}
	if o.topic != "" {
		err = topicError(o.label(), o.topic, o.filter, value)
	} else if o.check != nil {
		value, err = o.check(c, value)
	}
	if err != nil {
		return err
	}
	if o.adds&c.client != 0 {
		c.add(o.name, value)
	} else {
		c.set(o.name, value)
	}
	return nil
}

// ours parses an option that only our tools have, by its long name, and returns the number
// of words after it that belong to it.
func (c *config) ours(argv []string) (int, *failure) {
	name, _, attached := strings.Cut(argv[0], "=")
	o := c.line.Table.Long(name)
	if o == nil || find(c.table, name) != nil || rowOf(o.Name) != nil || o.Name == option.Compat {
		return 0, unknown(argv[0])
	}
	n := 1
	if !attached && o.Type != option.TypeBool && !o.Optional {
		n = 2
	}
	if len(argv) < n {
		return 0, wrongf("%s argument given but no value specified.", name)
	}
	if err := c.line.Read(argv[:n], c.place); err != nil {
		return 0, tightf("%s", err)
	}
	return n - 1, nil
}

// checkText returns the error for text that must not be in a packet, or nil.
func checkText(label, s string) *failure {
	_, _, discouraged := topic.FirstDiscouraged(s)
	if !utf8.ValidString(s) || discouraged || strings.ContainsRune(s, 0) {
		return wrongf("Malformed UTF-8 in %s argument.", label)
	}
	return nil
}

// topicError returns the error for a topic name or a topic filter, or nil.
func topicError(label, what string, filter bool, value string) *failure {
	validate, ask := topic.ValidateName, "does it contain '+' or '#'?"
	if filter {
		validate, ask = topic.ValidateFilter, "are all '+' and '#' wildcards correct?"
	}
	if err := checkText(label, value); err != nil {
		return err
	}
	if validate(value) != nil {
		return tightf("Invalid %s topic '%s', %s", what, value, ask)
	}
	return nil
}

func (c *config) checkTopic(value string) (string, *failure) { return value, c.topic("-t", value) }

// topic checks a topic from -t or from the path of -L.
func (c *config) topic(label, value string) *failure {
	c.topics++
	if c.client == sub {
		return topicError(label, "subscription", true, value)
	}
	return topicError(label, "publish", false, value)
}

func (c *config) checkFormat(value string) (string, *failure) {
	_, err := format.Compile(value, "")
	e, wrong := errors.AsType[*format.PatternError](err)
	if !wrong {
		return value, nil
	}
	what := "format"
	if e.Escape {
		what = "escape"
	}
	if e.Unknown == 0 {
		return "", tightf("Incomplete %s specifier.", what)
	}
	return "", tightf("Invalid %s specifier '%c'.", what, e.Unknown)
}

func (c *config) checkProxy(value string) (string, *failure) {
	if _, err := transport.ParseProxy(value); errors.Is(err, transport.UnsupportedScheme) {
		return "", tightf("Unsupported proxy protocol: %s", strings.SplitN(value, "://", 2)[0])
	}
	return value, nil
}

func (c *config) checkChance(value string) (string, *failure) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= 0.1 && f <= 100) {
		return "", wrongf("--random-filter chance must be between 0.1-100.0")
	}
	return value, nil
}

// maxDelay is a year, in seconds.
const maxDelay = 365 * 24 * 3600

func (c *config) checkDelay(value string) (string, *failure) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || f < 0 {
		return "", wrongf("--repeat-delay argument must be >=0.0.")
	}
	return strconv.FormatFloat(min(f, maxDelay), 'f', -1, 64), nil
}

func (c *config) checkHandling(value string) (string, *failure) {
	if value != "always" && value != "new" && value != "never" {
		return "", wrongf("Unknown value '%s' for --retain-handling.", value)
	}
	return value, nil
}

func (c *config) checkVersion(value string) (string, *failure) {
	switch value {
	case "mqttv31", "31", "mqttv311", "311", "mqttv5", "5":
		return strings.TrimPrefix(value, "mqttv"), nil
	}
	return "", wrongf("Invalid protocol version argument given.")
}

// forever is the expiry interval of a session that does not expire.
const forever = "4294967295"

func (c *config) checkExpiry(value string) (string, *failure) {
	if value == "∞" || value == "never" {
		value = "-1"
	}
	n, err := strconv.ParseInt(value, 0, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && (n < -1 || n > math.MaxUint32):
		return "", wrongf("session-expiry-interval out of range.")
	case err != nil:
		return "", wrongf("session-expiry-interval not a number.")
	case n == -1:
		n = math.MaxUint32
	}
	c.set("protocol-version", "5")
	return strconv.FormatInt(n, 10), nil
}

func (c *config) readUnix(value string) *failure {
	c.set("host", value)
	c.set("port", "0")
	return nil
}

// readURL parses a URL. Its path is the topic, also for WebSockets. Percent-encoding is
// decoded.
func (c *config) readURL(value string) *failure {
	scheme, rest, _ := strings.Cut(value, "://")
	scheme = strings.ToLower(scheme)
	port := "1883"
	switch scheme {
	case "mqtts", "wss":
		c.set("tls-use-os-certs", "true")
		port = "8883"
	case "mqtt", "ws":
	default:
		return wrongf("Unsupported URL scheme.")
	}
	if scheme[0] == 'w' {
		c.set("ws", "true")
	}
	if !strings.Contains(rest, "/") {
		return tightf("Invalid URL for -L argument specified - topic missing.")
	}
	t, err := transport.ParseURL("mqtt://" + rest)
	if err != nil {
		return tightf("%v", err)
	}
	if err := c.topic("-L topic", t.Topic); err != nil {
		return err
	}
	if c.client == sub {
		c.add("topic", t.Topic)
	} else {
		c.set("topic", t.Topic)
	}
	if t.HasUsername {
		c.set("username", t.Username)
	}
	if t.HasPassword {
		c.set("password", t.Password)
	}
	c.set("host", t.Host)
	if t.Port != 1883 || strings.HasSuffix(strings.SplitN(rest, "/", 2)[0], ":1883") {
		port = strconv.Itoa(t.Port)
	}
	c.set("port", port)
	return nil
}

// property parses the words of -D and returns their number.
func (c *config) property(argv []string) (int, *failure) {
	const few = "--property argument given but not enough arguments specified."
	if len(argv) < 3 {
		return 0, wrongf(few)
	}
	p := option.Property{Command: strings.ToLower(argv[0]), Name: strings.ToLower(argv[1]), Value: argv[2]}
	in, known := command(p.Command)
	if !known {
		return 0, wrongf("Invalid command %s given in --property argument.", argv[0])
	}
	id, known := packet.PropertyByName(p.Name)
	if !known {
		return 0, wrongf("Invalid property name %s given in --property argument.", argv[1])
	}
	if !id.AllowedIn(in) {
		return 0, wrongf("%s property not allowed for %s in --property argument.", argv[1], argv[0])
	}
	n := 3
	if id == packet.UserProperty {
		if len(argv) < 4 {
			return 0, wrongf(few)
		}
		p.Key, p.Value, n = argv[2], argv[3], 4
	}
	if option.PacketOf(p.Command) == nil || id == packet.SubscriptionIdentifier && in == packet.PUBLISH {
		return 0, wrongf("%s property not supported for %s in --property argument.", argv[1], argv[0])
	}
	var err *failure
	if p.Value, err = propertyValue(id, argv[1], p.Value); err != nil {
		return 0, err
	}
	c.set("protocol-version", "5")
	c.line.UseProperty(p, c.place)
	return n, nil
}

// command returns the packet that a lower-case word after -D names.
func command(word string) (packet.Type, bool) {
	if word == "will" {
		return packet.WillProperties, true
	}
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		if strings.ToLower(t.String()) == word {
			return t, t != packet.PINGREQ && t != packet.PINGRESP
		}
	}
	return 0, false
}

// propertyValue checks a number or a length.
func propertyValue(id packet.PropertyID, name, value string) (string, *failure) {
	most := int64(math.MaxUint32)
	switch id.Type() {
	case packet.TypeBool, packet.TypeByte:
		most = math.MaxUint8
	case packet.TypeUint16:
		most = math.MaxUint16
	case packet.TypeBinary:
		if len(value) > packet.MaxString {
			return "", wrongf("Property value too long for property %s.", name)
		}
		return value, nil
	case packet.TypeString, packet.TypePair:
		return value, nil
	}
	n, err := strconv.ParseInt(value, 0, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && (n < 0 || n > most):
		return "", wrongf("Property value (%s) out of range for property %s.", value, name)
	case err != nil:
		return "", wrongf("Property value '%s' not a number.", value)
	}
	return strconv.FormatInt(n, 10), nil
}
