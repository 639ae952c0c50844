package format

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/mqtt"
)

func influx(t testing.TB, settings, fields string) *Influx {
	t.Helper()
	var c *Columns
	if fields != "" {
		c = columns(t, fields)
	}
	f, err := CompileInflux(settings, c)
	if err != nil {
		t.Fatalf("%s: %v", settings, err)
	}
	return f
}

func TestInflux(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ settings, fields, topic, payload, want string }{
		{"", "", "a/b", "21.5", "mqtt,topic=a/b value=21.5"},
		{"", "", "a/b", ` {"a":21,"b":21.50,"c":true,"d":false,"e":null,"f":[1],"g":"x"} `, `mqtt,topic=a/b a=21,b=21.50,c=true,d=false,g="x"`},
		{"", "", "a b,c=d", `{"x y":"q\"\\","k,=":-1e-3,"\n\t\u0001":0}`, `mqtt,topic=a\ b\,c\=d x\ y="q\"\\",k\,\==-1e-3,\n\t\x01=0`},
		{"", "", "a", `{"o":{"p":{"q":1},"r":2,"":3},"s":4}`, `mqtt,topic=a o_p_q=1,o_r=2,o_=3,s=4`},
		{"", "", "a", `{"_id":1,"time":2,"":{"x":3},"_":{"y":4},"time\\":5,"t\\":6,"\\":7,"a":8,"x":{"time":9,"_y":10}}`, `mqtt,topic=a t=6,a=8,x_time=9,x__y=10`},
		{"", "", "a", `{"a":1e400,"b":-1e400,"c":1e300,"d":12345678901234567890123}`, `mqtt,topic=a c=1e300,d=12345678901234567890123`},
		{"", "", "a", `"two\nlines ä"`, "mqtt,topic=a value=\"two\nlines ä\""},
		{"", "", "a", "true", "mqtt,topic=a value=true"},
		{"", "", `a\`, "1", `mqtt,topic=a value=1`},
		{"", "", `\`, "1", `mqtt value=1`},
		{"", "", `a\\,b\c`, "1", `mqtt,topic=a\,b\c value=1`},
		{"", "", "a\nb\rc\x7f", "1", `mqtt,topic=a\nb\rc\x7f value=1`},
		{"name=%{level 3},room=%{level 2}", "", "sensors/hall/temp", "1", "temp,topic=sensors/hall/temp,room=hall value=1"},
		{"name=%{level 3},room=%{level 2},topic=", "", "sensors/living room/temp", "1", `temp,room=living\ room value=1`},
		{"name=%{level 2} %%,site=a=b c,none=%{level 9},topic=<%{topic}>", "", "x/y=,z", "1", `y=\,z\ %,topic=<x/y\=\,z>,site=a\=b\ c value=1`},
		{"k k=v", "", "/", "1", `mqtt,topic=/,k\ k=v value=1`},
		{"name=é%{level 1}", "", "x", "1", "éx,topic=x value=1"},
		{"", ".temperature,.update.state", "a", lamp, `mqtt,topic=a temperature=21.57,update_state="idle"`},
		{"", ".update,.nothing", "a", lamp, `mqtt,topic=a update_state="idle",update_installed_version=16777241,update_latest_version=16777241`},
		{"", `.a[1],."b c"`, "a", `{"a":[1,2],"b c":true}`, `mqtt,topic=a a_1=2,b\ c=true`},
		{"", ".", "a", "7", "mqtt,topic=a value=7"},
	} {
		got := draw(t, influx(t, c.settings, c.fields), &mqtt.Message{Topic: c.topic, Payload: []byte(c.payload)})
		if want := c.want + " " + strconv.FormatInt(arrival.UnixNano(), 10) + "\n"; got != want {
			t.Errorf("%s %s of %s: got\n%q, want\n%q", c.settings, c.fields, c.payload, got, want)
		}
	}
}

func TestSettingsOfInfluxThatAreRefused(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]PatternError{
		"name":              {Offset: 0, Text: `want KEY=VALUE, not "name"`},
		"name=a,":           {Offset: 7, Text: `want KEY=VALUE, not ""`},
		"name=a,=b":         {Offset: 7, Text: `want KEY=VALUE, not "=b"`},
		"a=1,a=2":           {Offset: 4, Text: "a is set twice"},
		"time=1":            {Offset: 0, Text: "InfluxDB keeps the name time for itself"},
		"a=1,_b=1":          {Offset: 4, Text: "InfluxDB keeps the name _b for itself"},
		"name=":             {Offset: 0, Text: "want a measurement that does not begin with #"},
		"name=#a":           {Offset: 0, Text: "want a measurement that does not begin with #"},
		`\=a`:               {Offset: 0, Text: `"\\" is not a name`},
		"name=a%t":          {Offset: 6, Text: `want %{topic}, %{level N} or %% at "%t"`},
		"name=%{level 0}":   {Offset: 5, Text: `want %{topic}, %{level N} or %% at "%{level 0"`},
		"x=1,y=%{level 1":   {Offset: 6, Text: `want %{topic}, %{level N} or %% at "%{level 1"`},
		"y=%{level 65536}":  {Offset: 2, Text: `want %{topic}, %{level N} or %% at "%{level 65536"`},
		"y=100%":            {Offset: 5, Text: `want %{topic}, %{level N} or %% at "%"`},
		"y=%%%{topic}%{to}": {Offset: 12, Text: `want %{topic}, %{level N} or %% at "%{to"`},
	} {
		_, err := CompileInflux(settings, nil)
		if pe, ok := errors.AsType[*PatternError](err); !ok || *pe != want {
			t.Errorf("%s: got %+v, want %+v", settings, err, want)
		}
	}
	_, err := CompileInflux("", columns(t, ".a,qos"))
	if e, ok := errors.AsType[*ColumnError](err); !ok || e.Offset != 3 {
		t.Errorf("got %v", err)
	}
}

// A message without a field is skipped with a warning, and many of them with few warnings.
func TestMessagesWithoutAPoint(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "ON", "null", "[1,2]", "{}", `{"a":null}`, `{"a":1}}`, `{"time":1}`, "\xff", `{"":1}`, "1e999"} {
		f := influx(t, "", "")
		b, err := f.Append([]byte("x"), &mqtt.Message{Topic: "a", Payload: []byte(payload)}, arrival)
		if string(b) != "x" || !errors.Is(err, errNoFields) {
			t.Errorf("%q: got %q, %v", payload, b, err)
		}
	}
	f := influx(t, "name=%{level 2}", "")
	if b, err := f.Append(nil, &mqtt.Message{Topic: "a", Payload: []byte("1")}, arrival); len(b) > 0 || !errors.Is(err, errNoMeasurement) {
		t.Errorf("got %q, %v", b, err)
	}
	warnings := 0
	var last error
	for range 100 {
		if _, err := f.Append(nil, &mqtt.Message{Topic: "a"}, arrival); err != nil {
			warnings, last = warnings+1, err
		}
	}
	if warnings != maxInfluxWarnings-1 || !errors.Is(last, errManySkipped) {
		t.Errorf("%d warnings, the last is %v", warnings, last)
	}
}

func TestInfluxTakesNoMemory(t *testing.T) {
	for name, f := range map[string]*Influx{"all": influx(t, "name=%{level 1},room=%{level 2}", ""), "some": influx(t, "", ".temperature,.update.state")} {
		m := &mqtt.Message{Topic: "zigbee2mqtt/living room", Payload: []byte(lamp)}
		var buf []byte
		if n := testing.AllocsPerRun(200, func() { buf, _ = f.Append(buf[:0], m, arrival) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkInflux(b *testing.B) {
	for name, f := range map[string]*Influx{"all": influx(b, "", ""), "three": influx(b, "", ".temperature,.humidity,.update.state")} {
		b.Run(name, func(b *testing.B) {
			m := &mqtt.Message{Topic: "zigbee2mqtt/living room", Payload: []byte(lamp)}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = f.Append(buf[:0], m, arrival)
			}
		})
	}
}

// point is a line of line protocol, as its specification reads it.
type point struct {
	name         string
	tags, fields map[string]string
	time         int64
}

// parsePoint reads one point, whose strings may contain line ends.
func parsePoint(s string) (p point, rest string, err error) {
	p = point{tags: map[string]string{}, fields: map[string]string{}}
	// name reads to the next of some bytes that has no backslash before it.
	name := func(special, until string) (string, error) {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(special, s[i+1]) >= 0:
				i++
				b.WriteByte(s[i])
			case strings.IndexByte(until, s[i]) >= 0:
				s = s[i:]
				if b.Len() == 0 {
					return "", errors.New("an empty name")
				}
				return b.String(), nil
			case s[i] < ' ' || s[i] == 0x7f:
				return "", errors.New("a control character in a name")
			default:
				b.WriteByte(s[i])
			}
		}
		return "", errors.New("a name has no end")
	}
	if strings.HasPrefix(s, "#") {
		return p, "", errors.New("a comment")
	}
	if p.name, err = name(", ", ", "); err != nil {
		return p, "", err
	}
	for s[0] == ',' {
		s = s[1:]
		key, err := name(",= ", "=")
		if err != nil {
			return p, "", err
		}
		s = s[1:]
		value, err := name(",= ", ", ")
		if err != nil {
			return p, "", err
		}
		if strings.HasPrefix(key, "_") || key == "time" || strings.HasSuffix(value, `\`) {
			return p, "", errors.New("tag " + key)
		}
		p.tags[key] = value
	}
	for more := true; more; more = s[0] == ',' {
		s = s[1:]
		key, err := name(",= ", "=")
		if err != nil {
			return p, "", err
		}
		if strings.HasPrefix(key, "_") || key == "time" {
			return p, "", errors.New("field " + key)
		}
		s = s[1:]
		value := ""
		if strings.HasPrefix(s, `"`) {
			i := 1
			for ; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
					i++
				}
				value += s[i : i+1]
			}
			value, s = "text "+value, s[min(i+1, len(s)):]
		} else if value, err = name("", ", "); err != nil {
			return p, "", err
		} else if _, err := strconv.ParseFloat(value, 64); err != nil && value != "true" && value != "false" {
			return p, "", err
		}
		if s == "" {
			return p, "", errors.New("no time")
		}
		p.fields[key] = value
	}
	stamp, rest, whole := strings.Cut(s[1:], "\n")
	if !whole {
		return p, "", errors.New("no line end")
	}
	p.time, err = strconv.ParseInt(stamp, 10, 64)
	return p, rest, err
}

// FuzzInflux checks that every message is one point or none, with the topic that it had.
func FuzzInflux(f *testing.F) {
	f.Add("a b,c=d", []byte(`{"x y":"q\"\\","b":[{"c":1}],"n":{"m":-1e5,"":true}}`))
	f.Add(`a\,b\\`, []byte(`{"a\\ ":"\\","\\":1,"=\\\u0000":2}`))
	f.Add("\x01/\n", []byte(`"\n"`))
	f.Add("a", []byte(`{"":{"":1},"_":1,"e":1e999}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		if !utf8.ValidString(topic) || topic == "" {
			return
		}
		for _, settings := range []string{"", "name=m %{level 1},a b=%{topic}"} {
			line, err := influx(t, settings, "").Append(nil, &mqtt.Message{Topic: topic, Payload: payload}, arrival)
			if len(line) == 0 && err != nil {
				return
			}
			p, rest, perr := parsePoint(string(line))
			if err != nil || perr != nil || rest != "" || p.time != arrival.UnixNano() {
				t.Fatalf("%q %q becomes %q: %v, %v, %q behind it", topic, payload, line, err, perr, rest)
			}
			if got := p.tags["topic"]; !strings.ContainsAny(topic, "\\\n\r\t\x00\x01\x7f") && printable([]byte(topic)) && got != topic {
				t.Fatalf("%q becomes %q: topic %q", topic, line, got)
			}
		}
	})
}

// What was written is what a parser of the protocol reads.
func TestInfluxIsReadBack(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "a b,c=d", Payload: []byte(`{"x y":"q\"\\","i":21,"f":21.5,"t":true,"n":null,"o":{"p,q":{"r=":"two\nlines"}},"l":[1]}`)}
	p, rest, err := parsePoint(draw(t, influx(t, "name=m %{level 1},empty=%{level 2}", ""), m))
	fields := map[string]string{"x y": `text q"\`, "i": "21", "f": "21.5", "t": "true", "o_p,q_r=": "text two\nlines"}
	if err != nil || rest != "" || p.name != "m a b,c=d" || !maps.Equal(p.tags, map[string]string{"topic": "a b,c=d"}) || !maps.Equal(p.fields, fields) {
		t.Errorf("got %+v, %v, %q behind it", p, err, rest)
	}
	if !time.Unix(0, p.time).Equal(arrival) {
		t.Errorf("time %d", p.time)
	}
}
