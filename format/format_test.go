package format

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

var arrival = time.Date(2026, 3, 7, 9, 5, 3, 12345678, time.FixedZone("XYZ", -(3*3600+1800)))

func draw(t testing.TB, f Formatter, m *mqtt.Message) string {
	t.Helper()
	b, err := f.Append([]byte("> "), m, arrival)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[2:])
}

func properties(t testing.TB) (p packet.Properties) {
	t.Helper()
	var err error
	step := func(q packet.Properties, e error) {
		if e != nil {
			t.Fatal(e)
		}
		p = q
	}
	step(p.AppendUint(packet.PayloadFormatIndicator, 1))
	step(p.AppendUser([]byte("k"), []byte("v 1")))
	step(p.AppendUint(packet.MessageExpiryInterval, 3000000000))
	step(p.AppendBytes(packet.ContentType, []byte("text/plain")))
	step(p.AppendUser([]byte("k"), nil))
	step(p.AppendBytes(packet.CorrelationData, []byte{0, 255}))
	step(p.AppendBytes(packet.ResponseTopic, []byte("r/t")))
	step(p.AppendUint(packet.SubscriptionIdentifier, 7))
	_ = err
	return p
}

func TestPlain(t *testing.T) {
	t.Parallel()
	full, empty := &mqtt.Message{Topic: "a/b", Payload: []byte("x\x00y")}, &mqtt.Message{Topic: "a/b"}
	for _, c := range []struct {
		f    Plain
		m    *mqtt.Message
		want string
	}{
		{Plain{End: "\n"}, full, "x\x00y\n"},
		{Plain{End: "\n"}, empty, ""},
		{Plain{Topic: true, End: "\n"}, full, "a/b x\x00y\n"},
		{Plain{Topic: true, End: "\n"}, empty, "a/b (null)\n"},
		{Plain{End: ""}, full, "x\x00y"},
		{Plain{End: "\x00"}, full, "x\x00y\x00"},
	} {
		if got := draw(t, &c.f, c.m); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.f, got, c.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "top/ic", Payload: []byte("hello"), QoS: 1, Retain: true, PacketID: 42, Properties: properties(t)}
	bare := &mqtt.Message{Topic: "t"}
	for _, c := range []struct {
		pattern string
		m       *mqtt.Message
		want    string
	}{
		{"%t %q %r %l %m %p", m, "top/ic 1 1 5 42 hello"},
		{"%x %X", m, "68656c6c6f 68656C6C6F"},
		{"%.2:x|%.4-X|%.1x", m, "68:65:6c:6c:6f|6865-6C6C-6F|6 8 6 5 6 c 6 c 6 f"},
		{"%12x|%-12x|%012x", m, "  68656c6c6f|68656c6c6f  |0068656c6c6f"},
		{"%3x|%014.2:x", m, "68656c|00:00:68:65:6c:6c:6f"},
		{"%3p|%8p|%-8p|%08p|", m, "hel|   hello|hello   |000hello|"},
		{"%10t|%-10t|%.3t|%8.3t|%010t|", m, "    top/ic|top/ic    |top|     top|    top/ic|"},
		{"%5l|%-5l|%05l|", m, "    5|5    |00005|"},
		{"%A|%3A|%03A", aliased(m), "3|  3|003"},
		{"%C %R %E %F %S %A|%D|%P", m, "text/plain r/t 3000000000 1 7 |\x00\xff|k:v 1 k:"},
		{"%C|%R|%E|%3F|%03S|%D|%P|%p|%x", bare, "||||   |000||||"[1:]},
		{"100%% @@ \\\\ \\t\\n\\r\\a\\e\\0\\v", m, "100% @ \\ \t\n\r\a\x1b\x00\v"},
		{"@Y-@m-@dT@H:@M:@S.@N@z @Z", m, "2026-03-07T09:05:03.012345678-0330 XYZ"},
		{"@a @A @b @B @h @C @y @D @x @F @T @X @R @r @e @k @l @I @p @P @n@t@j @u @w @U @W @V @G @g @c @%", m,
			"Sat Saturday Mar March Mar 20 26 03/07/26 03/07/26 2026-03-07 09:05:03 09:05:03 09:05 09:05:03 AM  7  9  9 09 AM am \n\t066 6 6 09 09 10 2026 26 Sat Mar  7 09:05:03 2026 %"},
		{"%I", m, "2026-03-07T09:05:03-0330"},
		{"%U @s", m, "1772886903.012345678 1772886903"},
		{"%j", aliased(m), `{"tst":"2026-03-07T09:05:03.012345-0330","topic":"top/ic","qos":1,"retain":true,"payloadlen":5,"mid":42,"properties":{"payload-format-indicator":1,"user-properties":[{"k":"v 1"},{"k":""}],"message-expiry-interval":3000000000,"content-type":"text/plain","correlation-data":{"base64":"AP8="},"response-topic":"r/t","subscription-identifier":7,"topic-alias":3},"payload":"hello"}`},
		{"%j", m, `{"tst":"2026-03-07T09:05:03.012345-0330","topic":"top/ic","qos":1,"retain":true,"payloadlen":5,"mid":42,"properties":{"payload-format-indicator":1,"user-properties":[{"k":"v 1"},{"k":""}],"message-expiry-interval":3000000000,"content-type":"text/plain","correlation-data":{"base64":"AP8="},"response-topic":"r/t","subscription-identifier":7},"payload":"hello"}`},
		{"%J", bare, `{"tst":"2026-03-07T09:05:03.012345-0330","topic":"t","qos":0,"retain":false,"payloadlen":0,"payload":null}`},
		{"%J", &mqtt.Message{Topic: "t", Payload: []byte(" { \"a b\" : [ 1.50 , 1e400 ] } ")}, `{"tst":"2026-03-07T09:05:03.012345-0330","topic":"t","qos":0,"retain":false,"payloadlen":30,"payload":{"a b":[1.50,1e400]}}`},
		{"plain", m, "plain"}, {"", m, ""},
	} {
		p, err := Compile(c.pattern, "\n")
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if got := draw(t, p, c.m); got != c.want+"\n" {
			t.Errorf("%q:\n got %q\nwant %q", c.pattern, got, c.want+"\n")
		}
	}
}

func TestFloats(t *testing.T) {
	t.Parallel()
	f4 := func(f float32) []byte { return binary.NativeEndian.AppendUint32(nil, math.Float32bits(f)) }
	f8 := func(f float64) []byte { return binary.NativeEndian.AppendUint64(nil, math.Float64bits(f)) }
	for _, c := range []struct {
		pattern string
		payload []byte
		want    string
	}{
		{"%f", f4(1.5), "1.500000"}, {"%.1f", f4(-0.25), "-0.2"}, {"%8.2f|", f4(3.14159), "    3.14|"},
		{"%-8.2f|", f4(3.14159), "3.14    |"}, {"%08.2f", f4(-3.14159), "-0003.14"}, {"%d", f8(1e21), "1000000000000000000000.000000"},
		{"%d", f8(math.Inf(-1)), "-inf"}, {"%6f", f4(float32(math.NaN())), "   nan"},
	} {
		p, err := Compile(c.pattern, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := draw(t, p, &mqtt.Message{Payload: c.payload}); got != c.want {
			t.Errorf("%q: got %q, want %q", c.pattern, got, c.want)
		}
	}
	for _, pattern := range []string{"<%f>", "<%d>", "<%J>"} {
		p, _ := Compile(pattern, "\n")
		b, err := p.Append(nil, &mqtt.Message{Payload: []byte("abc")}, arrival)
		if err == nil || string(b) != "<>\n" {
			t.Errorf("%s of three bytes: %q, %v; want an error and the rest", pattern, b, err)
		}
	}
}

func TestPatternsAreRefused(t *testing.T) {
	t.Parallel()
	for pattern, says := range map[string]string{
		"%": "incomplete", "%0": "incomplete", "%-": "incomplete", "%12": "incomplete", "%.": "incomplete", "%.1": "incomplete",
		"@": "incomplete", "\\": "incomplete", "%z": `unknown specifier "%z"`, "a%5.2kb": `"%5.2k"`, "@Q": `"@Q"`, "\\q": `escape`,
		"%99999p": "above 10000", "%.99999x": "above 10000", "%0-5l": "unknown", "%é": "unknown",
	} {
		_, err := Compile(pattern, "")
		var pe *PatternError
		if !errors.As(err, &pe) || !strings.Contains(pe.Text, says) || pe.Offset >= len(pattern) {
			t.Errorf("%q: %v, want %q", pattern, err, says)
		}
	}
}

func TestRecordsComeBack(t *testing.T) {
	t.Parallel()
	for _, m := range []*mqtt.Message{
		{Topic: "a"},
		{Topic: "ü/\"\\/\u2028", Payload: []byte("text \x01\x7f \u202e ü 😀 \"\\\b\f\n\r\t"), QoS: 2, Retain: true},
		{Topic: "a", Payload: []byte{0, 0xff}, QoS: 1},
		{Topic: "a", Payload: []byte(`{"n": 1.0}`)},
		{Topic: "a", Payload: []byte(`null`)},
		{Topic: "a", Payload: []byte("x"), Properties: properties(t).Without(nil, packet.SubscriptionIdentifier)},
	} {
		for _, f := range []*Record{{}, {JSONPayload: true}, {Terminal: true}} {
			line := draw(t, f, m)
			if !json.Valid([]byte(line)) || strings.Count(line, "\n") != 1 {
				t.Errorf("not one line of JSON: %q", line)
			}
			if f.Terminal && strings.ContainsAny(line[:len(line)-1], "\u202e\x7f") {
				t.Errorf("steers the terminal: %q", line)
			}
			r := NewRecordReader(strings.NewReader(line), 0)
			rec, err := r.Next()
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if !same(&rec.Message, m) || !rec.HasQoS || !rec.HasRetain || rec.Line != 1 {
				t.Errorf("%s:\n got %+v\nwant %+v", line, rec.Message, *m)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
		}
	}
}

// same compares messages. A record groups user properties, so the property blocks are
// compared by their members.
func same(a, b *mqtt.Message) bool {
	list := func(p packet.Properties) (users, others string) {
		m := map[packet.PropertyID]string{}
		for q := range p.All() {
			if q.ID == packet.UserProperty {
				users += string(q.Bytes) + "=" + string(q.Value) + ";"
			} else {
				m[q.ID] = string(q.Bytes) + "/" + time.Duration(q.Uint).String()
			}
		}
		for id := range packet.PropertyID(64) {
			others += m[id] + ";"
		}
		return users, others
	}
	ua, oa := list(a.Properties)
	ub, ob := list(b.Properties)
	return a.Topic == b.Topic && string(a.Payload) == string(b.Payload) && a.QoS == b.QoS && a.Retain == b.Retain && ua == ub && oa == ob
}

func TestRecordsOfOthersAreRead(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]mqtt.Message{
		`{"topic":"a"}`:                         {Topic: "a"},
		` { "payload" : "x" , "topic" : "a" } `: {Topic: "a", Payload: []byte("x")},
		`{"tst":"x","topic":"a","qos":1,"retain":1,"payloadlen":2,"mid":7,"payload":"hi"}`:                   {Topic: "a", Payload: []byte("hi"), QoS: 1, Retain: true},
		`{"topic":"a","payload":{"x": 1.50}}`:                                                                {Topic: "a", Payload: []byte(`{"x": 1.50}`)},
		`{"topic":"a","payload":"\ud83d\ude00\u00fc"}`:                                                       {Topic: "a", Payload: []byte("😀ü")},
		`{"topic":"a","payload":"aGk=","payload_encoding":"base64"}`:                                         {Topic: "a", Payload: []byte("hi")},
		`{"payload_encoding":"json","topic":"a","payload":"hi"}`:                                             {Topic: "a", Payload: []byte(`"hi"`)},
		`{"topic":"a","payload":null}`:                                                                       {Topic: "a"},
		`{"topic":"a","properties":{"user-property":{"k":"v"},"topic-alias":3,"subscription-identifier":1}}`: {Topic: "a", Properties: packet.Properties("\x26\x00\x01k\x00\x01v")},
	} {
		rec, err := NewRecordReader(strings.NewReader("\n"+line), 0).Next()
		if err != nil || !same(&rec.Message, &want) || rec.Line != 2 {
			t.Errorf("%s: %v, got %+v", line, err, rec)
		}
	}
}

func TestBrokenRecordsAreReportedWithTheirPosition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{`x`, `line 1:1: not a JSON object`},
		{`[{"topic":"a"}]`, `line 1:1: not a JSON object`},
		{` "x"`, `line 1:2: not a JSON object`},
		{`{`, `line 1:2: no string where one is expected`},
		{`{"topic":"a"`, `line 1:13: ends early: ',' is missing`},
		{`{}`, `line 1:3: the topic is missing`},
		{`{"topic":"a"}{}`, `line 1:14: more than one value in the line`},
		{`{"topic":1}`, `line 1:10: no string where one is expected`},
		{`{"topic":"a","topc":1}`, `line 1:14: unknown key "topc"; did you mean topic?`},
		{`{"topic":"a","topic":"b"}`, `line 1:22: key "topic" appears twice`},
		{`{"topic":"a","qos":3}`, `line 1:20: qos is 3, not a whole number from 0 to 2`},
		{`{"topic":"a","qos":1.0}`, `line 1:20: qos is 1.0, not a whole number from 0 to 2`},
		{`{"topic":"a","retain":"yes"}`, `line 1:23: retain is "yes", not true or false`},
		{`{"topic":"a","payload":"\ud800"}`, `line 1:24: lone surrogate in a string`},
		{`{"topic":"a","payload":"\x"}`, `not valid JSON`},
		{`{"topic":"a","payload":"*","payload_encoding":"base64"}`, `not base64`},
		{`{"topic":"a","payload":"x","payload_encoding":"rot13"}`, `payload_encoding is "rot13"`},
		{`{"topic":"a","payload":"x","payloadlen":2}`, `payloadlen is 2, and the payload has 1 bytes`},
		{`{"topic":"a","properties":{"receive-maximum":1}}`, `unknown property "receive-maximum"`},
		{`{"topic":"a","properties":{"content-type":"a","content-type":"b"}}`, `appears twice`},
		{`{"topic":"a","properties":{"payload-format-indicator":2}}`, `line 1:55`},
		{`{"topic":"a","properties":{"content-type":"\u0000"}}`, `line 1:43`},
	} {
		r := NewRecordReader(strings.NewReader(c.line+"\n{\"topic\":\"next\"}"), 0)
		_, err := r.Next()
		var re *RecordError
		if !errors.As(err, &re) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.line, err, c.want)
		}
		if rec, err := r.Next(); err != nil || rec.Topic != "next" {
			t.Errorf("%s: the next record: %v, %v", c.line, rec, err)
		}
	}
	_, err := NewRecordReader(strings.NewReader(`{"topic":"`+strings.Repeat("x", 200_000)), 100_000).Next()
	if err == nil || !strings.Contains(err.Error(), "longer than 100000 bytes") {
		t.Errorf("a long line: %v", err)
	}
}

func TestTerminalOutputSteersNothing(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "t\x1b]0;x\a", Payload: []byte("a\x1b[2J\r\n\u202eb\x9b\u009b\ttab ü 日本 👩‍💻")}
	want := "t\\x1b]0;x\\x07 a\\x1b[2J\\r\\n\\u202eb\\x9b\\u009b\ttab ü 日本 👩‍💻\n"
	if got := draw(t, &Escaped{Topic: true, End: "\n"}, m); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, f := range []Formatter{&Pretty{}, &Escaped{Topic: true, End: "\n"}, &Record{Terminal: true}} {
		if got := draw(t, f, m); strings.ContainsAny(got, "\x1b\a\r\u202e\u009b") || !utf8.ValidString(got) {
			t.Errorf("%T: %q", f, got)
		}
	}
	p, _ := Compile(`\e[1m%t\e[0m`, "")
	p.Terminal = true
	if got := draw(t, p, m); got != "\x1b[1mt\\x1b]0;x\\x07\x1b[0m" {
		t.Errorf("the pattern's own escapes stay and the message's do not: %q", got)
	}
}

func TestPretty(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "a/b", Payload: []byte(`{"a":[1,{}],"b":"x"}`), QoS: 1, Retain: true}
	m.Properties, _ = m.Properties.AppendUser([]byte("k"), []byte("v"))
	want := `a/b  09:05:03.012  QoS 1  retained  20 bytes
  k: v
  {
    "a": [
      1,
      {}
    ],
    "b": "x"
  }
`
	if got := draw(t, &Pretty{}, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m = &mqtt.Message{Topic: "b", Payload: append([]byte("binary\x00\xff0123456789"), make([]byte, 2000)...)}
	got := draw(t, &Pretty{}, m)
	if !strings.Contains(got, "  00000000  62 69 6e 61 72 79 00 ff  30 31 32 33 34 35 36 37  |binary..01234567|\n") || !strings.HasSuffix(got, "  ... 994 more bytes\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestFormattersDoNotAllocate(t *testing.T) {
	m := &mqtt.Message{Topic: "sensors/kitchen/temperature", Payload: []byte(`{"celsius": 21.5, "humidity": 45}`), QoS: 1}
	p, err := Compile("%t %q %l %p %x @H:@M:@S.@N", "\n")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	for _, f := range []Formatter{&Plain{Topic: true, End: "\n"}, &Record{}, &Record{JSONPayload: true}, p} {
		buf, _ = f.Append(buf[:0], m, arrival)
		if n := testing.AllocsPerRun(100, func() { buf, _ = f.Append(buf[:0], m, arrival) }); n != 0 {
			t.Errorf("%T: %v allocations", f, n)
		}
	}
	var all []byte
	for range 1000 {
		all, _ = (&Record{}).Append(all, m, arrival)
	}
	if n := testing.AllocsPerRun(5, func() {
		r := NewRecordReader(strings.NewReader(string(all)), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}); n > 50 {
		t.Errorf("reading 1000 records: %v allocations", n)
	}
}

func TestARecordThatIsTooLongIsPassedOver(t *testing.T) {
	t.Parallel()
	long := `{"topic":"` + strings.Repeat("x", 200_000) + `"}`
	r := NewRecordReader(strings.NewReader(long+"\n"+`{"topic":"b"}`+"\n"+long+long+"\n"+long), 1000)
	var got []string
	for range 10 {
		rec, err := r.Next()
		var bad *RecordError
		switch {
		case err == io.EOF:
			got = append(got, "end")
		case errors.As(err, &bad):
			got = append(got, bad.Error())
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, rec.Topic)
		}
		if err == io.EOF {
			break
		}
	}
	want := []string{"line 1:1: longer than 1000 bytes", "b", "line 3:1: longer than 1000 bytes", "line 4:1: longer than 1000 bytes", "end"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEmptyMessagesBetweenNULBytesCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f    Formatter
		want string
	}{
		{&Plain{End: "\n"}, ""}, {&Plain{End: "\x00"}, "\x00"}, {&Plain{}, ""}, {&Escaped{End: "\n"}, ""}, {&Escaped{End: "\x00"}, "\x00"},
	} {
		if got := draw(t, c.f, &mqtt.Message{Topic: "t"}); got != c.want {
			t.Errorf("%#v: got %q, want %q", c.f, got, c.want)
		}
	}
}

func TestRawIsRawBesideColours(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "t\u202e", Payload: []byte("a\x1b[2J")}
	f := &Escaped{Topic: true, End: "\n", Palette: Colors, Raw: true}
	if got, want := draw(t, f, m), "\x1b[96mt\u202e\x1b[0m a\x1b[2J\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// aliased returns m as received with a topic alias.
func aliased(m *mqtt.Message) *mqtt.Message {
	c := m.Clone()
	c.TopicAlias = 3
	return c
}
