package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	tcp := func(host string, port int) Target { return Target{Network: "tcp", Host: host, Port: port} }
	tls := func(host string, port int) Target {
		return Target{Network: "tcp", Host: host, Port: port, TLS: true}
	}
	with := func(t Target, f func(*Target)) Target { f(&t); return t }
	for _, c := range []struct {
		it, url string
		want    Target
		text    string // result of String; if empty, the URL itself
	}{
		{"reads mqtt", "mqtt://h", tcp("h", 1883), "mqtt://h:1883"},
		{"reads tcp", "tcp://h", tcp("h", 1883), "mqtt://h:1883"},
		{"reads mqtts", "mqtts://h", tls("h", 8883), "mqtts://h:8883"},
		{"reads ssl", "ssl://h", tls("h", 8883), "mqtts://h:8883"},
		{"reads tls", "tls://h", tls("h", 8883), "mqtts://h:8883"},
		{"reads tcps", "tcps://h", tls("h", 8883), "mqtts://h:8883"},
		{"reads mqtt+ssl", "mqtt+ssl://h:1", tls("h", 1), "mqtts://h:1"},
		{"takes schemes in any case", "MQTTs://H", tls("H", 8883), "mqtts://H:8883"},
		{"takes the highest port", "mqtt://h:65535", tcp("h", 65535), ""},
		{"takes an IPv4 address", "mqtt://192.0.2.1:1884", tcp("192.0.2.1", 1884), ""},
		{"takes an IPv6 address", "mqtt://[::1]", tcp("::1", 1883), "mqtt://[::1]:1883"},
		{"takes a zone", "mqtt://[fe80::1%25eth0]:1883", tcp("fe80::1%eth0", 1883), ""},
		{"takes a zone as people write it", "mqtt://[fe80::1%eth0]:1883", tcp("fe80::1%eth0", 1883), "mqtt://[fe80::1%25eth0]:1883"},
		{"takes underscores and dots", "mqtt://my_broker.local.:1883", tcp("my_broker.local.", 1883), ""},
		{"takes letters beyond ASCII", "mqtt://łąka.example:1883", tcp("łąka.example", 1883), ""},
		{"reads a user", "mqtt://u@h:1883", with(tcp("h", 1883), func(t *Target) { t.Username, t.HasUsername = "u", true }), ""},
		{"reads user and password", "mqtt://u:p@h:1883", with(tcp("h", 1883), func(t *Target) {
			t.Username, t.HasUsername, t.Password, t.HasPassword = "u", true, "p", true
		}), "mqtt://u:***@h:1883"},
		{"reads an empty password", "mqtt://u:@h:1883", with(tcp("h", 1883), func(t *Target) {
			t.Username, t.HasUsername, t.HasPassword = "u", true, true
		}), "mqtt://u:***@h:1883"},
		{"reads a password without a user", "mqtt://:p@h:1883", with(tcp("h", 1883), func(t *Target) {
			t.Password, t.HasPassword = "p", true
		}), "mqtt://:***@h:1883"},
		{"takes empty user information for none", "mqtt://@h:1883", tcp("h", 1883), "mqtt://h:1883"},
		{"decodes user and password", "mqtt://a%40b%3A:%2F%3F%25:x+%00@h:1883", with(tcp("h", 1883), func(t *Target) {
			t.Username, t.HasUsername, t.Password, t.HasPassword = "a@b:", true, "/?%:x+\x00", true
		}), "mqtt://a%40b%3A:***@h:1883"},
		{"takes an unencoded @ in a password", "mqtt://u:p@ss@h:1883", with(tcp("h", 1883), func(t *Target) {
			t.Username, t.HasUsername, t.Password, t.HasPassword = "u", true, "p@ss", true
		}), "mqtt://u:***@h:1883"},
		{"reads the topic", "mqtt://h:1883/a/b", with(tcp("h", 1883), func(t *Target) { t.Topic = "a/b" }), ""},
		{"takes / for no topic", "mqtt://h:1883/", tcp("h", 1883), "mqtt://h:1883"},
		{"keeps a topic's leading separator", "mqtt://h:1883//a/", with(tcp("h", 1883), func(t *Target) { t.Topic = "/a/" }), ""},
		{"decodes the topic", "mqtt://h:1883/a%20b%23/%C5%82", with(tcp("h", 1883), func(t *Target) { t.Topic = "a b#/ł" }), ""},
		{"takes wildcards as they are", "mqtt://h:1883/+/$x/#", with(tcp("h", 1883), func(t *Target) { t.Topic = "+/$x/#" }), "mqtt://h:1883/+/$x/%23"},
		{"takes an empty query for none", "mqtt://h:1883/a?", with(tcp("h", 1883), func(t *Target) { t.Topic = "a" }), "mqtt://h:1883/a"},
		{"reads ws", "ws://h", with(tcp("h", 80), func(t *Target) { t.WebSocket, t.Resource = true, "/mqtt" }), "ws://h:80/mqtt"},
		{"reads wss", "WSS://h/", with(tls("h", 443), func(t *Target) { t.WebSocket, t.Resource = true, "/" }), "wss://h:443/"},
		{"keeps path and query of ws", "ws://h:9001/a%20b?x=1&y", with(tcp("h", 9001), func(t *Target) { t.WebSocket, t.Resource = true, "/a%20b?x=1&y" }), "ws://h:9001/a%20b?***"},
		{"takes a query without path", "ws://h:9001?x", with(tcp("h", 9001), func(t *Target) { t.WebSocket, t.Resource = true, "/?x" }), "ws://h:9001/?***"},
		{"reads a user of ws", "ws://u:p@h", with(tcp("h", 80), func(t *Target) {
			t.WebSocket, t.Resource = true, "/mqtt"
			t.Username, t.HasUsername, t.Password, t.HasPassword = "u", true, "p", true
		}), "ws://u:***@h:80/mqtt"},
		{"reads a socket path", "unix:///run/x.sock", Target{Network: "unix", Path: "/run/x.sock"}, ""},
		{"reads mqtt+unix", "mqtt+unix:///run/a%20b", Target{Network: "unix", Path: "/run/a b"}, "unix:///run/a%20b"},
		{"reads a relative socket path", "unix:run/x.sock", Target{Network: "unix", Path: "run/x.sock"}, ""},
		{"reads an abstract socket", "unix:%40mqtt", Target{Network: "unix", Path: "@mqtt"}, ""},
		{"reads a user before a socket path", "unix://u:p@/run/x", Target{
			Network: "unix", Path: "/run/x", Username: "u", HasUsername: true, Password: "p", HasPassword: true,
		}, "unix://u:***@/run/x"},
	} {
		t.Run(c.it, func(t *testing.T) {
			got, err := ParseURL(c.url)
			if err != nil {
				t.Fatalf("%s: got error %v", c.url, err)
			}
			if *got != c.want {
				t.Errorf("%s: got %+v, want %+v", c.url, *got, c.want)
			}
			text := c.text
			if text == "" {
				text = c.url
			}
			if got.String() != text {
				t.Errorf("String: got %s, want %s", got, text)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, c := range []struct{ it, url, text string }{
		{"nothing", "", "no scheme"},
		{"a host alone", "localhost", "no scheme"},
		{"host and port alone", "localhost:1883", "no scheme"},
		{"an IPv6 address alone", "[::1]:1883", "no scheme"},
		{"a scheme without //", "mqtt:host", "no // after the scheme"},
		{"no host", "mqtt://", "no host"},
		{"no host before a port", "mqtt://:1883", "no host"},
		{"an empty port", "mqtt://h:", `port ""`},
		{"port 0", "mqtt://h:0", `port "0"`},
		{"port 65536", "mqtt://h:65536", `port "65536"`},
		{"a huge port", "mqtt://h:18446744073709553499", `port "18446744073709553499"`},
		{"a signed port", "mqtt://h:+1883", `port "+1883"`},
		{"a port with a leading zero", "mqtt://h:01883", `port "01883"`},
		{"a port with a space", "mqtt://h:1883 ", `port "1883 "`},
		{"a port by name", "mqtt://h:mqtt", `port "mqtt"`},
		{"a bare IPv6 address", "mqtt://::1", "more than one ':'"},
		{"an IPv6 address left open", "mqtt://[::1", "no ]"},
		{"text after an IPv6 address", "mqtt://[::1]x", `"x" after the ]`},
		{"IPv4 in brackets", "mqtt://[1.2.3.4]", "not an IPv6 address"},
		{"an empty zone", "mqtt://[fe80::1%]", "zone"},
		{"a zone with a slash's code", "mqtt://[fe80::1%25a%2F]", "zone"},
		{"a space in the host", "mqtt://my host", `' ' in the host name`},
		{"a percent in the host", "mqtt://a%20b", `'%' in the host name`},
		{"bytes that are not UTF-8 in the host", "mqtt://a\xff", "in the host name"},
		{"an unknown query key", "mqtt://h/t?qos=1", `unknown query key "qos"`},
		{"a key without a value", "mqtt://h?x", `unknown query key "x"`},
		{"a fragment", "mqtt://h#x", "'#' after the host"},
		{"bad encoding in the topic", "mqtt://h/%zz", "percent-encoding of the topic"},
		{"bad encoding in the user", "mqtt://%zz@h", "percent-encoding of the user name"},
		{"bad encoding in the password", "mqtt://u:%zz@h", "percent-encoding of the password"},
		{"a user that is not UTF-8", "mqtt://%ff@h", "user name"},
		{"a user with a null", "mqtt://a%00@h", "user name"},
		{"an @ in the topic", "mqtt://h/a@b", "unencoded @"},
		{"a host for a socket", "unix://run/x.sock", `the URL has "run"`},
		{"a fragment for a socket path", "unix://u@#x", "no '/'"},
		{"a socket without a path", "unix://", "no socket path"},
		{"a socket path of nothing", "unix:", "no socket path"},
		{"a null in a socket path", "unix:///a%00", "null"},
	} {
		t.Run(c.it, func(t *testing.T) {
			got, err := ParseURL(c.url)
			if err == nil {
				t.Fatalf("%s: got %+v, want an error", c.url, *got)
			}
			wantError(t, err, OpURL, InvalidURL, c.text)
		})
	}
	for _, c := range []struct{ url, text string }{
		{"http://h", `unknown scheme "http"`},
		{"https://h/mqtt", `unknown scheme "https"`},
	} {
		_, err := ParseURL(c.url)
		e := wantError(t, err, OpURL, UnsupportedScheme, c.text)
		if !strings.Contains(e.Hint, "mqtts") {
			t.Errorf("%s: got hint %q, want the schemes in it", c.url, e.Hint)
		}
	}
}

func TestErrorsHaveNoPassword(t *testing.T) {
	for _, url := range []string{
		"mqtt://u:hunter2@h:0", "mqtt://u:hunter2@", "u:hunter2@h", "foo://u:hunter2@h", "mqtt:u:hunter2@h",
		"mqtt://u:hun/hunter2@h", "mqtt://u:12/hunter2@h", "mqtt://u:x?hunter2@h", "mqtt://u:x#hunter2@h",
		"mqtt://u:%zzhunter2@h", "mqtt://u:x@y/hunter2@h", "unix:u:hunter2@/x", "unix://u:hunter2@host/x",
		"u:a://hunter2@h", "ws://u:hunter2@h/ł", "ws://u:x@h/hunter2@", "mqtt://h?password=hunter2", "://u:hunter2@h", "mqtt://u:hunter2@[h",
	} {
		_, err := ParseURL(url)
		if err == nil {
			t.Errorf("%s: got no error", url)
			continue
		}
		var e *Error
		if errors.As(err, &e); strings.Contains(fmt.Sprintf("%v %+v %s", err, *e, e.Hint), "hunter2") {
			t.Errorf("%s: the password is in %v", url, err)
		}
	}
}

func TestTargetPrintsNoPassword(t *testing.T) {
	target, err := ParseURL("mqtt://u:hunter2@h/t")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(map[string]any{"p": target, "v": *target})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		fmt.Sprint(target), fmt.Sprint(*target), fmt.Sprintf("%+v %#v %q %s", target, target, target, *target),
		fmt.Sprintf("%#v", *target), string(asJSON), target.Redacted(),
		fmt.Sprintf("%v %+v %#v", TLSOptions{KeyPassword: "hunter2"}, &TLSOptions{KeyPassword: "hunter2"}, TLSOptions{KeyPassword: "hunter2"}),
	} {
		if strings.Contains(got, "hunter2") || !strings.Contains(got, "***") {
			t.Errorf("got %s, want *** for the password", got)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("mqtt", "user", "", "", "host:1883/topic")
	f.Add("unix", "u", "12/", "", "/run/x.sock")
	f.Add("mqtts", "", "%", "@", "[fe80::1%25eth0]:1/a%20b/#")
	f.Add("ws", "a", "?x=", "#", "h")
	f.Add("u:p", "://", "/", "//", "")
	f.Fuzz(func(t *testing.T, scheme, user, before, after, rest string) {
		// A URL with a password in any surroundings.
		const secret = "hunter2secret"
		if strings.Contains(scheme+user+rest, secret) || strings.Contains(scheme+user, "@") || strings.Contains(user, ":") {
			return
		}
		secretURL := scheme + "://" + user + ":" + before + secret + after + "@" + rest
		if target, err := ParseURL(secretURL); err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%q: got %T", secretURL, err)
			}
			if strings.Contains(err.Error()+e.Hint, secret) {
				t.Fatalf("%q: the password is in %v", secretURL, err)
			}
		} else if strings.Contains(target.String(), secret) {
			t.Fatalf("%q: the password is in %v", secretURL, target)
		}
		// Parsing the text of any valid URL returns the same target.
		for _, s := range []string{scheme + "://" + rest, scheme + ":" + rest, rest, scheme + "://" + user + "@" + rest} {
			target, err := ParseURL(s)
			if err != nil || target.HasPassword {
				continue
			}
			again, err := ParseURL(target.String())
			if err != nil || *again != *target {
				t.Fatalf("%q: %s came back as %+v, %v; want %+v", s, target, again, err, *target)
			}
			if target.Network == "tcp" && (target.Port < 1 || target.Port > 65535 || target.Host == "") || target.Address() == "" {
				t.Fatalf("%q: got %+v", s, *target)
			}
		}
	})
}

func TestAResourceHasNoBlankAndNoControlCharacter(t *testing.T) {
	for _, bad := range []string{"/a b", "/\x7f", "/\t", "/\x00", "/\u00e4", "/a#b"} {
		if err := CheckResource(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, good := range []string{"/", "/!", "/~", "/a%20b?c=d&e"} {
		if err := CheckResource(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
