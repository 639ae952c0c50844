package mosquitto

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// finish makes the checks that need all options.
func (c *config) finish() *failure {
	v5 := c.get("protocol-version") == "5"
	expiry := c.get("session-expiry-interval")
	keeps := c.has("disable-clean-session")
	nameless := c.has("id-prefix") || !c.has("id")
	for _, rule := range [...]struct {
		broken bool
		text   string
	}{
		{c.has("will-payload") && !c.has("will-topic"), "Will payload given, but no will topic given."},
		{c.has("will-retain") && !c.has("will-topic"), "Will retain given, but no will topic given."},
		{c.has("cert") != c.has("key"), "Both certfile and keyfile must be provided if one of them is set."},
		{c.has("keyform") && !c.has("key"), "If keyform is set, keyfile must be also specified."},
		{c.has("tls-engine-kpass-sha1") && !(c.has("keyform") && c.has("tls-engine")), "when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided."},
		{c.has("psk") && (c.has("cafile") || c.has("capath")), "Only one of --psk or --cafile/--capath may be used at once."},
		{c.has("psk") && !c.has("psk-identity"), "--psk-identity required if --psk used."},
		{v5 && nameless && (expiry == forever || expiry == "" && keeps), "You must provide a client id if you are using an infinite session expiry interval."},
		{!v5 && nameless && keeps, "You must provide a client id if you are using the -c option."},
		{c.client == sub && c.topics == 0 && !c.has("unsubscribe"), "You must specify a topic to subscribe to (-t) or unsubscribe from (-U)."},
	} {
		if rule.broken {
			return &failure{text: rule.text, tight: true}
		}
	}
	return nil
}

// settle converts what was set, and the programs' defaults, to options of our tool.
func (c *config) settle() {
	c.line.Quiet, c.line.Debug = c.has("quiet"), c.has("debug")
	c.drop("quiet", "debug") // the first means more than ours, and the other is not like ours
	c.address()
	if !c.has("protocol-version") {
		c.set("protocol-version", map[bool]string{true: "5", false: "311"}[c.client == rr])
	}
	if !c.has("will-topic") {
		c.drop("will-qos")
	}
	if c.get("session-expiry-interval") == "0" {
		c.drop("session-expiry-interval")
	}
	if c.has("stdin-line") {
		c.drop("repeat", "repeat-delay")
	}
	if n, _ := strconv.Atoi(c.get("max-inflight")); n > 65534 {
		c.drop("max-inflight")
	}
	switch n, _ := strconv.Atoi(c.get("count")); {
	case c.get("protocol-version") != "5": // the limit cannot be announced
	case c.client == rr:
		c.set("receive-maximum", "1")
	case n > 0 && n < 20: // no more than are printed
		c.set("receive-maximum", strconv.Itoa(n))
	}
	if c.client == rr { // replies are not retained messages, unless retained messages are requested
		h := c.get("retain-handling")
		c.line.RetainedReplies = (h == "always" || h == "new") && c.get("skip-retained") != "true"
		c.drop("skip-retained", "retain-handling", "retain-as-published")
	}
	// The programs give up a connection without CONNACK after the keepalive time, and retry
	// a lost one every second.
	c.set("connect-timeout", cmp.Or(c.get("keepalive"), "60"))
	c.set("reconnect-delay", "1")
	c.set("color", "never")
	for _, s := range c.settings {
		if !(c.line.Given(s.name) && slices.Contains(defaults[:], s.name)) {
			c.line.Use(s.name, s.value, s.place)
		}
	}
}

// defaults are the options that settle sets to a default for which the programs have no
// option, so that our option, if used, takes precedence.
var defaults = [...]string{"receive-maximum", "connect-timeout", "reconnect-delay", "color"}

// address sets --host and --port, or --unix.
func (c *config) address() {
	host, port := c.get("host"), c.get("port")
	ca := c.has("cafile") || c.has("capath") || c.has("psk")
	cert := c.has("cert")
	hasPort := strings.HasPrefix(host, "[") && strings.Contains(host, "]:") || strings.Count(host, ":") == 1
	switch {
	case c.has("srv"):
		c.drop("port")
	case port == "0":
		c.drop("port", "host", "ws")
		c.set("unix", cmp.Or(host, "localhost"))
	case port == "" && !hasPort && (ca || cert):
		c.set("port", "8883")
	case port == "" && !hasPort:
		c.set("port", "1883")
	}
	tls := ca || cert || c.has("tls-use-os-certs") || port == "8883" || strings.HasSuffix(host, ":8883")
	if !tls || c.has("no-tls") || port == "0" {
		c.drop("insecure")
	}
}
