package packet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// table24 is table 2-4 of MQTT 5.0, copied by hand: identifier, name, type and
// packets.
const table24 = `
01 | payload-format-indicator | bool | PUBLISH, Will
02 | message-expiry-interval | uint32 | PUBLISH, Will
03 | content-type | string | PUBLISH, Will
08 | response-topic | string | PUBLISH, Will
09 | correlation-data | binary | PUBLISH, Will
0B | subscription-identifier | varint | PUBLISH, SUBSCRIBE
11 | session-expiry-interval | uint32 | CONNECT, CONNACK, DISCONNECT
12 | assigned-client-identifier | string | CONNACK
13 | server-keep-alive | uint16 | CONNACK
15 | authentication-method | string | CONNECT, CONNACK, AUTH
16 | authentication-data | binary | CONNECT, CONNACK, AUTH
17 | request-problem-information | bool | CONNECT
18 | will-delay-interval | uint32 | Will
19 | request-response-information | bool | CONNECT
1A | response-information | string | CONNACK
1C | server-reference | string | CONNACK, DISCONNECT
1F | reason-string | string | CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH
21 | receive-maximum | uint16 | CONNECT, CONNACK
22 | topic-alias-maximum | uint16 | CONNECT, CONNACK
23 | topic-alias | uint16 | PUBLISH
24 | maximum-qos | bool | CONNACK
25 | retain-available | bool | CONNACK
26 | user-property | pair | CONNECT, CONNACK, PUBLISH, Will, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH
27 | maximum-packet-size | uint32 | CONNECT, CONNACK
28 | wildcard-subscription-available | bool | CONNACK
29 | subscription-identifier-available | bool | CONNACK
2A | shared-subscription-available | bool | CONNACK
`

// table26 is table 2-6 of MQTT 5.0, copied by hand: code, name and packets.
// The three names of code 0 share a line.
const table26 = `
00 | success | CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, AUTH, DISCONNECT, SUBACK
01 | granted QoS 1 | SUBACK
02 | granted QoS 2 | SUBACK
04 | disconnect with will message | DISCONNECT
10 | no matching subscribers | PUBACK, PUBREC
11 | no subscription existed | UNSUBACK
18 | continue authentication | AUTH
19 | re-authenticate | AUTH
80 | unspecified error | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
81 | malformed packet | CONNACK, DISCONNECT
82 | protocol error | CONNACK, DISCONNECT
83 | implementation specific error | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
84 | unsupported protocol version | CONNACK
85 | client identifier not valid | CONNACK
86 | bad user name or password | CONNACK
87 | not authorized | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
88 | server unavailable | CONNACK
89 | server busy | CONNACK, DISCONNECT
8A | banned | CONNACK
8B | server shutting down | DISCONNECT
8C | bad authentication method | CONNACK, DISCONNECT
8D | keep alive timeout | DISCONNECT
8E | session taken over | DISCONNECT
8F | topic filter invalid | SUBACK, UNSUBACK, DISCONNECT
90 | topic name invalid | CONNACK, PUBACK, PUBREC, DISCONNECT
91 | packet identifier in use | PUBACK, PUBREC, SUBACK, UNSUBACK
92 | packet identifier not found | PUBREL, PUBCOMP
93 | receive maximum exceeded | DISCONNECT
94 | topic alias invalid | DISCONNECT
95 | packet too large | CONNACK, DISCONNECT
96 | message rate too high | DISCONNECT
97 | quota exceeded | CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT
98 | administrative action | DISCONNECT
99 | payload format invalid | CONNACK, PUBACK, PUBREC, DISCONNECT
9A | retain not supported | CONNACK, DISCONNECT
9B | QoS not supported | CONNACK, DISCONNECT
9C | use another server | CONNACK, DISCONNECT
9D | server moved | CONNACK, DISCONNECT
9E | shared subscriptions not supported | SUBACK, DISCONNECT
9F | connection rate exceeded | CONNACK, DISCONNECT
A0 | maximum connect time | DISCONNECT
A1 | subscription identifiers not supported | SUBACK, DISCONNECT
A2 | wildcard subscriptions not supported | SUBACK, DISCONNECT
`

// tableRows splits a table into its cells, keyed by the number in the first
// cell.
func tableRows(t *testing.T, table string) map[int][]string {
	t.Helper()
	rows := map[int][]string{}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		n, err := strconv.ParseUint(cells[0], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		rows[int(n)] = cells[1:]
	}
	return rows
}

// packetsOf returns the names of the packet types for which allowed returns
// true.
func packetsOf(allowed func(Type) bool) map[string]bool {
	in := map[string]bool{}
	for typ := WillProperties; typ <= AUTH; typ++ {
		if allowed(typ) {
			name := typ.String()
			if typ == WillProperties {
				name = "Will"
			}
			in[name] = true
		}
	}
	return in
}

func samePackets(in map[string]bool, cell string) bool {
	names := strings.Split(cell, ", ")
	for _, name := range names {
		if !in[name] {
			return false
		}
	}
	return len(names) == len(in)
}

func TestPropertiesAreThoseOfTable24(t *testing.T) {
	types := map[string]PropertyType{"bool": TypeBool, "uint16": TypeUint16, "uint32": TypeUint32,
		"varint": TypeVarint, "string": TypeString, "binary": TypeBinary, "pair": TypePair}
	rows := tableRows(t, table24)
	for n := range 256 {
		id := PropertyID(n)
		row, known := rows[n]
		in := packetsOf(id.AllowedIn)
		if !known {
			if id.Type() != TypeNone || len(in) != 0 || !strings.HasPrefix(id.String(), "property 0x") {
				t.Errorf("0x%02x is %v of type %v in %v, want none", n, id, id.Type(), in)
			}
			continue
		}
		if id.String() != row[0] || id.Type() != types[row[1]] || !samePackets(in, row[2]) {
			t.Errorf("0x%02x is %v of type %v in %v, want %v", n, id, id.Type(), in, row)
		}
		if got, ok := PropertyByName(row[0]); !ok || got != id {
			t.Errorf("PropertyByName(%q) is %v, %v", row[0], got, ok)
		}
	}
	for _, name := range []string{"", "Content-Type", "content_type", "property 0x4"} {
		if id, ok := PropertyByName(name); ok {
			t.Errorf("PropertyByName(%q) is %v, want none", name, id)
		}
	}
}

func TestReasonCodesAreThoseOfTable26(t *testing.T) {
	rows := tableRows(t, table26)
	for n := range 256 {
		code := ReasonCode(n)
		row, known := rows[n]
		in := packetsOf(code.AllowedIn)
		if !known {
			if len(in) != 0 || !strings.HasPrefix(code.String(), "unknown reason code 0x") {
				t.Errorf("0x%02x is %q in %v, want none", n, code.String(), in)
			}
		} else if code.String() != row[0] || !samePackets(in, row[1]) {
			t.Errorf("0x%02x is %q in %v, want %v", n, code.String(), in, row)
		}
		if code.Failed() != (n >= 0x80) {
			t.Errorf("0x%02x: Failed is %v", n, code.Failed())
		}
		if known {
			if want := row[0] + " (0x" + strconv.FormatUint(uint64(n)+256, 16)[1:] + ")"; code.Error() != want {
				t.Errorf("0x%02x: Error is %q, want %q", n, code.Error(), want)
			}
		}
	}
}

func TestReturnCodesAreThoseOfTable31(t *testing.T) {
	want := map[ReasonCode]byte{Success: 0, UnsupportedProtocolVersion: 1, ClientIdentifierNotValid: 2,
		ServerUnavailable: 3, BadUserNameOrPassword: 4, NotAuthorized: 5, Banned: 5, BadAuthenticationMethod: 5}
	for n := range 256 {
		code := ReasonCode(n)
		if !code.AllowedIn(CONNACK) {
			continue
		}
		w, ok := want[code]
		if !ok {
			w = 3 // server unavailable, for any reason
		}
		if got := code.ReturnCode(); got != w {
			t.Errorf("%v becomes return code %d, want %d", code, got, w)
		}
	}
}

func TestNamesOfVersionsAndPackets(t *testing.T) {
	for v, want := range map[Version]string{V31: "3.1", V311: "3.1.1", V5: "5.0", 0: "level 0", 132: "level 132"} {
		if v.String() != want || v.Valid() != strings.Contains(want, ".") {
			t.Errorf("%d is %q, valid: %v, want %q", byte(v), v.String(), v.Valid(), want)
		}
		if got, ok := ParseVersion(want); ok != v.Valid() || ok && got != v {
			t.Errorf("%q is read as %v, %v", want, got, ok)
		}
	}
	names := strings.Fields("CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH")
	for i, name := range names {
		if got := Type(i + 1).String(); got != name {
			t.Errorf("packet type %d is %s, want %s", i+1, got, name)
		}
	}
}

func TestEveryRuleInTheSourcesHasTheFormOfAStatementIdentifier(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`^MQTT-\d+\.\d+(\.\d+)*(-\d+)?$`)
	bracketed := regexp.MustCompile(`\[(MQTT[^\]]*)\]`)
	fset := token.NewFileSet()
	found := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			if strings.HasPrefix(s, "MQTT-") {
				rules = append(rules, s)
			}
			for _, m := range bracketed.FindAllStringSubmatch(s, -1) {
				rules = append(rules, m[1])
			}
			for _, r := range rules {
				found++
				if !rule.MatchString(r) {
					t.Errorf("%v: %q is no statement identifier", fset.Position(lit.Pos()), r)
				}
			}
			return true
		})
	}
	if found < 30 {
		t.Errorf("found %d rules in the sources, want more", found)
	}
}
