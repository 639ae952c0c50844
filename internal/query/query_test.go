package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

var arrival = time.Date(2026, 5, 6, 7, 8, 9, 1000, time.UTC)

func item(payload string) *Item {
	it := &Item{}
	it.Set(&mqtt.Message{Topic: "a/b", QoS: 1, Payload: []byte(payload)}, arrival)
	return it
}

func compile(t testing.TB, src string, opt Options) *Expr {
	t.Helper()
	e, err := Compile(src, opt)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return e
}

// results returns the results of an expression, separated by " | ", and the error.
func results(t testing.TB, src, payload string, quoted bool) string {
	t.Helper()
	var r Results
	err := compile(t, src, Options{Args: map[string]string{"name": "x"}}).Results(item(payload), quoted, &r)
	var all []string
	for i := range r.Len() {
		all = append(all, string(r.At(i)))
	}
	if err != nil {
		all = append(all, "error: "+err.Error())
	}
	return strings.Join(all, " | ")
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ src, payload, want string }{
		{".id", `{"id":12345678901234567890}`, "12345678901234567890"},
		{".id+1", `{"id":12345678901234567890}`, "12345678901234567891"},
		{".f", `{"f":1.10}`, "1.10"},
		{".f+0", `{"f":1.10}`, "1.1"},
		{".n", `{"n":-0}`, "-0"},
		{".n", `{"n":-5}`, "-5"},
		{".a", `{"a":"x\ny"}`, "x\ny"},
		{".", `{"z":1, "a":1.0}`, `{"z":1, "a":1.0}`},
		{".", "{\"z\":1,\n \"a\":2}", `{"z":1,"a":2}`},
		{". ", `"text"`, "text"},
		{".", `plain text`, "plain text"},
		{".|.", `{"z":1, "a":2}`, `{"a":2,"z":1}`},
		{"., .", "1", "1 | 1"},
		{"empty", "1", ""},
		{".a[]", `{"a":[1,"b",null,{"c":[]}]}`, `1 | b | null | {"c":[]}`},
		{"$encoding", "\x00\xff", "binary"},
		{"$encoding", "", "empty"},
		{"$encoding", "{}", "json"},
		{"$encoding", "ON", "text"},
		{".", "\x00\xff", "null"},
		{".", "", "null"},
		{"[$topic,$levels,$qos,$retain,$dup]", "1", `["a/b",["a","b"],1,false,false]`},
		{"$tst", "1", "2026-05-06T07:08:09.000001+00:00"},
		{"$props", "1", "{}"},
		{"$name", "1", "x"},
		{"$message.payload.t, $message.payload_encoding", `{"t":5}`, "5 | json"},
		{"env, $ENV", "1", "{} | {}"},
		{"nan, infinite, -infinite", "1", "null | 1.7976931348623157e+308 | -1.7976931348623157e+308"},
		{"1e1000", "1", "1.7976931348623157e+308"},
		{".[0]", "{}", "error: expected an array but got: object ({})"},
		{"1, error(\"x\")", "1", "1 | error: error: x"},
		{"halt", "1", "error: halt"},
		{"1, (\"no\"|halt_error)", "1", "1 | error: halt_error: no"},
		{"@base64d", `"AP8="`, "\x00\xff"},
		{"{a:1}|.a", "", "1"},
		{".\"\\ud800\"", "{}", "null"},
	} {
		if got := results(t, c.src, c.payload, false); got != c.want {
			t.Errorf("%s of %q: %q, want %q", c.src, c.payload, got, c.want)
		}
	}
	if got := results(t, ".a, .", `{"a":"x\ny"}`, true); got != `"x\ny" | {"a":"x\ny"}` {
		t.Errorf("quoted: %q", got)
	}
	if got := results(t, "@base64d", `"AP8="`, true); got != `"\u0000`+"\ufffd\"" {
		t.Errorf("quoted bytes: %q", got)
	}
}

func TestPropertiesOfTheMessage(t *testing.T) {
	t.Parallel()
	p, err := packet.Properties(nil).AppendUser([]byte("k"), []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.AppendBytes(packet.ContentType, []byte("text/x")); err != nil {
		t.Fatal(err)
	}
	it := &Item{}
	it.Set(&mqtt.Message{Topic: "a", Payload: []byte("x"), Properties: p}, arrival)
	var r Results
	if err := compile(t, `$props["content-type"], $props["user-properties"][0].k, $message.topic`, Options{}).Results(it, false, &r); err != nil {
		t.Fatal(err)
	}
	if string(r.At(0)) != "text/x" || string(r.At(1)) != "v" || string(r.At(2)) != "a" {
		t.Errorf("%q", r.buf)
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src, want string
		condition bool
	}{
		{".[", "unexpected end (column 3)", false},
		{".a ]", `unexpected token "]" (column 4)`, false},
		{".ä | ]", `unexpected token "ä" (column 2)`, false},
		{".a |\n.b |\n ]", `unexpected token "]" (line 3, column 2)`, false},
		{"", `missing query (try ".")`, false},
		{"input", "input(s)/0 is not allowed", false},
		{`import "a" as a; .`, `cannot load module: "a"`, false},
		{"nosuch", "function not defined: nosuch/0", false},
		{"$nosuch", "variable not defined: $nosuch; a message has $topic $levels $qos $retain $dup $tst $props $encoding $message", false},
		{"__product(1;2)", "function not defined: __product", false},
		{"_add(1;2)", "function not defined: _add", false},
		{".a=1", "= changes the value; a condition compares with ==", true},
		{".a|=1", "|= changes the value; a condition compares with ==", true},
		{"def f: .a+=1; f", "+= changes the value; a condition compares with ==", true},
		{`setpath(["a"];1)`, "setpath and fromstream change the value; a condition only looks at it", true},
		{"[fromstream(.)]", "setpath and fromstream change the value; a condition only looks at it", true},
		{"debug", "function not defined: debug/0", true},
	} {
		_, err := Compile(c.src, Options{Condition: c.condition})
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.src, err, c.want)
		}
	}
	_, err := Compile(".a |\n.bc ]", Options{})
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Excerpt() != ".bc ]\n    ^" {
		t.Errorf("%v, %q", err, syntax.Excerpt())
	}
	for name, ok := range map[string]bool{"a": true, "a1_": true, "1a": false, "": false, "a b": false, "topic": false, "message": false, "ENV": false, "ä": false} {
		if err := CheckArg(name); (err == nil) != ok {
			t.Errorf("--arg %s: %v", name, err)
		}
	}
}

// TestPayloadsCannotFillMemory evaluates sensible expressions on the payloads of a stranger.
func TestPayloadsCannotFillMemory(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ src, payload, want string }{
		{".s * .n", `{"s":"ab","n":3}`, "ababab"},
		{".s * .n", `{"s":"ab","n":-1}`, "null"},
		{".n * .s", `{"s":"ab","n":1000000000}`, "error: the repeated string would have more than 67108864 bytes"},
		{"(1,2) * (10,20)", "1", "10 | 20 | 20 | 40"},
		{".s *= .n", `{"s":"ab","n":2}`, `{"n":2,"s":"abab"}`},
		{".s *= .n", `{"s":"ab","n":1e9}`, "error: the repeated string would have more than 67108864 bytes"},
		{".[.i] = 1", `{"i":"k"}`, `{"i":"k","k":1}`},
		{".a[.i] = 1", `{"a":[],"i":2}`, `{"a":[null,null,1],"i":2}`},
		{". as $x | .a[$x.i] = 1", `{"a":[],"i":2}`, `{"a":[null,null,1],"i":2}`},
		{". as $x | .a[$x.i] = 1", `{"a":[],"i":500000000}`, "error: index 500000000 is above 1048576"},
		{"setpath(.p; 1)", `{"p":["a",2]}`, `{"a":[null,null,1],"p":["a",2]}`},
		{"setpath(.p; 1)", `{"p":["a",500000000]}`, "error: index 500000000 is above 1048576"},
		{"getpath(.p) |= 1", `{"p":["a",500000000]}`, "error: index 500000000 is above 1048576"},
		{"fromstream(.[])", `[[[0],1],[[0]]]`, "[1]"},
		{"fromstream(.[])", `[[[500000000],1],[[500000000]]]`, "error: index 500000000 is above 1048576"},
		{".a | join(\", \")", `{"a":["b",1,null]}`, "b, 1, "},
		{". as $x | .a | join($x.s)", `{"s":"` + long + `","a":[` + strings.Repeat("1,", 100) + `1]}`, "error: the joined string would have more than 67108864 bytes"},
		{"[limit(1000; repeat(.s))] | add | length", `{"s":"` + long + `"}`, "error: the sum would have more than 67108864 bytes"},
		{"add", "[1,2]", "3"},
		{"add(.[])", "[1,2]", "3"},
		{"reduce range(40) as $i (.; [., .]) | .[0][0]", "1", "error: the result has more than 67108864 bytes"},
		{"fromjson", `"[1,2]"`, "[1,2]"},
		{"fromjson", `"[1,"`, `error: fromjson cannot be applied to "[1,": not JSON`},
		{"fromjson", `"[` + strings.Repeat("1,", 1<<20) + `1]"`, "error: fromjson cannot be applied to \"[1,1,1,1,1,1,1,1,1,1,1,1 ...\": JSON payload has more than 1048576 values"},
		{"length", "[" + strings.Repeat("1,", 1<<20) + "1]", "error: JSON payload has more than 1048576 values"},
		{"length", "[" + strings.Repeat("1,", 1<<20) + "1", "2097154"}, // text
		{"length", strings.Repeat("[", 1002) + strings.Repeat("]", 1002), "2004"},
		{". + 1", strings.Repeat("9", 1001), "error: JSON payload has a number of more than 1000 digits"},
		{"reduce range(30) as $i (.; . * .) | 1", "12345678901234567890", "error: the number is too large to multiply"},
		{"length", `"` + strings.Repeat("x", 16<<20) + `"`, "error: payload of 16777218 bytes is larger than expressions read (16777216)"},
		{"def join(x): 7; join(1)", "1", "7"},
		{`strftime("%099999999d") | length < 2000`, "0", "true"},
	} {
		got := results(t, c.src, c.payload, false)
		if !strings.HasPrefix(got, c.want) || len(c.want) == 0 || !strings.Contains(c.want, "error") && got != c.want {
			t.Errorf("%s of %.40q: %.200q, want %q", c.src, c.payload, got, c.want)
		}
	}
}

func TestAnExpressionWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"range(1e12)":                      "has more than 10000 results",
		"until(false; .)":                  "takes longer than 1s",
		"def f: f; f":                      "takes longer than 1s",
		"[range(1e12)]":                    "takes longer than 1s",
		"last(repeat(1))":                  "takes longer than 1s",
		"[limit(1e9; repeat(1))] | length": "takes longer than 1s",
	} {
		e := compile(t, src, Options{})
		e.limit.span = 20 * time.Millisecond
		if want != errTime.Error() {
			e.limit.span = time.Minute // on a busy machine, too
		}
		var r Results
		if err := e.Results(item("1"), false, &r); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
		// The next message has its own time.
		it := item("2")
		e2 := compile(t, "if . == 1 then until(false; .) else . end", Options{})
		e2.limit.span = 20 * time.Millisecond
		if err := e2.Results(item("1"), false, &r); !errors.Is(err, errTime) {
			t.Errorf("%v", err)
		}
		e2.limit.span = timeLimit
		if err := e2.Results(it, false, &r); err != nil || r.Len() != 1 {
			t.Errorf("after an expression that took too long: %v", err)
		}
	}
}

// conditions are evaluated in both ways, with each of the payloads.
var (
	conditions = []string{
		".", ".a", ".a.b", ".a[1]", `.["a"]`, `."a b"`, `.a == 1`, `.a != 1`, `.a > 1`, `.a < 1.5`, `.a >= -1`, `.a <= 1e3`, `.a == "x"`, `.a > "x"`, `.a == null`,
		`.a != null`, `.a == true`, `.a > false`, `. == "ON"`, `.a.b[0].c == "x"`, `.a[0] > 5`, `.a == 9007199254740993`, `.a == 12345678901234567890`, `.a == -0`,
		`. > 21`, `.a == "\u00e4"`, `.a <= true`, `.a < []`, `.a[0:1] == 1`, `.a[] == 1`, `.a? == 1`, `.a == 1 and .b == 2`, `.a == .b`, `"x" == .a`, `.a == [1]`,
	}
	payloads = []string{
		``, `1`, `22`, `ON`, `"ON"`, `null`, `true`, `false`, `{}`, `[]`, `{"a":1}`, `{"a":1.0}`, `{"a":1,"b":2}`, `{"a":"x"}`, `{"a":"y"}`, `{"a":"\u0078"}`, `{"a":null}`,
		`{"a":true}`, `{"a":false}`, `{"a":{"b":1}}`, `{"a":{"b":[{"c":"x"}]}}`, `{"a":[6,2]}`, `{"a":[1]}`, `{"a":{}}`, `{"a":1,"a":"x"}`, `{"a b":1}`, `{"\u0061":1}`,
		`{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":12345678901234567890}`, `{"a":1e400}`, `{"a":-0}`, `{"a":0}`, `{"a":"ä"}`, `{"a":1e3}`, `{"a":1000.5}`,
		` {"a" : 1 } `, `{"a":1}x`, "\xff", `{"a":"` + "\xff" + `"}`, `{"a":-1.5}`, `"x"`, `[1,2]`,
	}
)

// TestConditionsAreWhatTheExpressionSays compares the scanner with the compiled expression.
func TestConditionsAreWhatTheExpressionSays(t *testing.T) {
	t.Parallel()
	fast := 0
	for _, src := range conditions {
		for _, payload := range payloads {
			fast += compareCondition(t, src, payload)
		}
	}
	if fast < 500 {
		t.Errorf("only %d conditions were decided by the scanner", fast)
	}
}

func compareCondition(t *testing.T, src, payload string) (fast int) {
	t.Helper()
	e, err := Compile(src, Options{Condition: true})
	if err != nil {
		return 0
	}
	if e.cond == nil {
		return 0
	}
	got, sure := e.cond.holds([]byte(payload))
	if !sure {
		return 0
	}
	e.cond = nil
	if want, err := e.True(item(payload)); err != nil || got != want {
		t.Errorf("%s of %q: the scanner says %v, the expression %v, %v", src, payload, got, want, err)
	}
	return 1
}

func FuzzCondition(f *testing.F) {
	for i, src := range conditions {
		f.Add(src, payloads[i%len(payloads)])
	}
	f.Fuzz(func(t *testing.T, src, payload string) {
		if len(src) < 60 {
			compareCondition(t, src, payload)
		}
	})
}

// FuzzPayload puts any payload through some expressions: none panics, and "." is the payload
// where it is JSON.
func FuzzPayload(f *testing.F) {
	for _, p := range payloads {
		f.Add([]byte(p))
	}
	var all []*Expr
	for _, src := range []string{"type", "tojson", "..", "$message", "[paths]", "tostream", "keys?", "map(. * 2)?", "add?", "ascii_downcase?", "tonumber?", "@csv?"} {
		all = append(all, compile(f, src, Options{}))
	}
	self := compile(f, ".", Options{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r Results
		for _, e := range all {
			_ = e.Results(item(string(payload)), true, &r)
			for i := range r.Len() {
				if !jsontext.OneLine(r.At(i)) {
					t.Fatalf("%q: %q", payload, r.At(i))
				}
			}
		}
		if err := self.Results(item(string(payload)), true, &r); err == nil && jsontext.OneLine(payload) && string(r.At(0)) != string(payload) {
			t.Fatalf("%q becomes %q", payload, r.At(0))
		}
	})
}

// TestWritingIsAsTheLibraryWrites compares the encoders.
func TestWritingIsAsTheLibraryWrites(t *testing.T) {
	t.Parallel()
	for _, v := range []any{nil, true, 1, -5, 1e21, 1e-7, 1.5, 0.1, -1e-9, 123456789.125, json.Number("1.10"), "a\x00\x7f\"\\ä\n", []any{1, []any{}, "x"}, map[string]any{"b": 1, "a": map[string]any{}}} {
		want, err := gojq.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := AppendJSON(nil, v); err != nil || string(got) != string(want) {
			t.Errorf("%v: %s, %v, want %s", v, got, err, want)
		}
	}
	if _, err := AppendJSON(nil, struct{}{}); err == nil {
		t.Error("a foreign type is written")
	}
}

func TestShapesCompile(t *testing.T) {
	t.Parallel()
	one := compileQuery(t, "1")
	for name := range shapes {
		if q := shaped(name, one, one); q.String() == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

func compileQuery(t *testing.T, src string) *gojq.Query {
	t.Helper()
	q, err := gojq.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// sensor is a payload of zigbee2mqtt.
const sensor = `{"battery":97,"humidity":48.13,"last_seen":"2026-05-06T07:08:09+00:00","linkquality":120,"power_outage_count":17,"pressure":1013.4,` +
	`"temperature":21.47,"voltage":3005,"update":{"installed_version":16777241,"latest_version":16777241,"state":"idle"},"update_available":false,` +
	`"device":{"friendlyName":"kitchen","ieeeAddr":"0x00158d0001"},"action":null}`

func BenchmarkExpressions(b *testing.B) {
	for _, src := range []string{".temperature", ".", "{temperature, humidity, battery}", "[.temperature, .humidity]|@csv"} {
		b.Run(src, func(b *testing.B) {
			e, it, m := compile(b, src, Options{}), &Item{}, &mqtt.Message{Topic: "z/k", Payload: []byte(sensor)}
			var r Results
			b.ReportAllocs()
			for b.Loop() {
				it.Set(m, arrival)
				if err := e.Results(it, false, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, src := range []string{".temperature > 21", `.update.state == "idle"`, ".temperature > 21 and true"} {
		b.Run("where "+src, func(b *testing.B) {
			e, it, m := compile(b, src, Options{Condition: true}), &Item{}, &mqtt.Message{Topic: "z/k", Payload: []byte(sensor)}
			b.ReportAllocs()
			for b.Loop() {
				it.Set(m, arrival)
				if is, err := e.True(it); !is || err != nil {
					b.Fatal(is, err)
				}
			}
		})
	}
	b.Run("library", func(b *testing.B) { // as a program would do it
		q, _ := gojq.Parse(".temperature")
		code, err := gojq.Compile(q)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			d := json.NewDecoder(strings.NewReader(sensor))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				b.Fatal(err)
			}
			v, _ = code.Run(v).Next()
			if _, err := gojq.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestASimpleConditionAllocatesNothing(t *testing.T) {
	e, it, m := compile(t, ".temperature > 21", Options{Condition: true}), &Item{}, &mqtt.Message{Payload: []byte(sensor)}
	if n := testing.AllocsPerRun(100, func() {
		it.Set(m, arrival)
		if is, err := e.True(it); !is || err != nil {
			t.Fatal(fmt.Sprint(is, err))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
