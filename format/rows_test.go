package format

import (
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func columns(t testing.TB, list string) *Columns {
	t.Helper()
	c, err := ParseColumns(list)
	if err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	return c
}

func TestColumnsThatAreRefused(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                      "column 1: a column is missing",
		"topic,":                "column 7: a column is missing",
		"topic, ,qos":           "column 8: a column is missing",
		"topic,pyload":          "column 7: unknown column \"pyload\"; did you mean payload?",
		"user-property":         "column 1: unknown column \"user-property\"; did you mean user-properties?",
		"topic-alias":           "column 1: unknown column \"topic-alias\"",
		"reason-string":         "column 1: unknown column \"reason-string\"",
		"temperature":           "column 1: unknown column \"temperature\"; a path into JSON payloads begins with a dot",
		"topic,  .a.[0]":        "column 12: a name is missing",
		"topic,.a[x]":           "column 10: want an index from 0 on, or a string",
		`qos,."a,b,topic`:       "column 16: malformed string",
		`topic,.["a,b"],.["c]]`: "column 22: malformed string",
		"topic,.a b":            "column 9: want . or [",
	} {
		c, err := ParseColumns(list)
		var e *ColumnError
		if !errors.As(err, &e) || e.Error() != want && !strings.HasPrefix(e.Error(), want+"; did you mean") {
			t.Errorf("%q: got %v, %v, want %s", list, c, err, want)
		}
	}
}

// row returns the row of a message without its line end.
func row(t *testing.T, f *Rows, m *mqtt.Message) string {
	t.Helper()
	s := draw(t, f, m)
	if !strings.HasSuffix(s, "\n") {
		t.Fatalf("%q has no line end", s)
	}
	return s[:len(s)-1]
}

func TestRows(t *testing.T) {
	t.Parallel()
	odd := `{"a":"","b":null,"n":12345678901234567890,"f":1.10,"s":" x","t":"y\t","q":"a\"b\\c","l":"1\n2\r","c":"1,2",` +
		`"o":{ "k" : [ 1, "x y" ] },"true":true,"u":"\u00e4\ud83d\ude00\u0000","a b":{"x,y":"z"},"e":1e1000,"formula":"=1+1"}`
	full := &mqtt.Message{Topic: "a,b", QoS: 2, Retain: true, Payload: []byte("q\"x\ny"), Properties: properties(t)}
	binary := &mqtt.Message{Topic: "t\tx", Payload: []byte("\x00\xff\t\\")}
	empty := &mqtt.Message{Topic: "t"}
	for _, c := range []struct {
		list, payload string
		m             *mqtt.Message
		csv, tsv      string
	}{
		{list: DefaultColumns, m: full, csv: "2026-03-07T09:05:03.012345-03:30,\"a,b\",2,true,\"q\"\"x\ny\"", tsv: `2026-03-07T09:05:03.012345-03:30	a,b	2	true	q"x\ny`},
		{list: "topic,payload,payload_encoding", m: binary, csv: "t\tx,AP8JXA==,base64", tsv: "t\\tx\t\x00\xff\\t\\\\\t"},
		{list: "payload,payload_encoding", m: full, csv: "\"q\"\"x\ny\",", tsv: `q"x\ny` + "\t"},
		{list: "payload,topic", m: empty, csv: `"",t`, tsv: "\tt"},
		{list: "payload", m: empty, csv: `""`, tsv: ""},
		{list: "content-type,correlation-data,message-expiry-interval,payload-format-indicator,response-topic", m: full,
			csv: "text/plain,AP8=,3000000000,1,r/t", tsv: "text/plain\t\x00\xff\t3000000000\t1\tr/t"},
		{list: "user-properties,subscription-identifiers", m: full, csv: `"[{""k"":""v 1""},{""k"":""""}]",[7]`, tsv: `[{"k":"v 1"},{"k":""}]` + "\t[7]"},
		{list: "content-type,user-properties,subscription-identifiers,qos,message-expiry-interval", m: empty, csv: ",,,0,", tsv: "\t\t\t0\t"},
		{list: ".a,.b,.x,.a.b,.n.x", payload: odd, csv: `"",,,,`, tsv: "\t\t\t\t"},
		{list: ".b", payload: odd, csv: `""`, tsv: ""},
		{list: ".n,.f,.e,.true", payload: odd, csv: "12345678901234567890,1.10,1e1000,true", tsv: "12345678901234567890\t1.10\t1e1000\ttrue"},
		{list: ".s,.t,.q,.l,.c", payload: odd, csv: "\" x\",\"y\t\",\"a\"\"b\\c\",\"1\n2\r\",\"1,2\"", tsv: " x\ty\\t\ta\"b\\\\c\t1\\n2\\r\t1,2"},
		{list: ".o,.o.k[1],.u,.formula", payload: odd, csv: `"{""k"":[1,""x y""]}",x y,ä😀` + "\x00,=1+1", tsv: `{"k":[1,"x y"]}` + "\tx y\tä😀\x00\t=1+1"},
		{list: ` .["a b"]."x,y" , ."a b"["x,y"],topic`, payload: odd, csv: "z,z,t", tsv: "z\tz\tt"},
		{list: ".,.a", payload: ` "x" `, csv: "x,", tsv: "x\t"},
		{list: ".", payload: " 21.50 ", csv: "21.50", tsv: "21.50"},
		{list: ".[1],.[9]", payload: "[1,[2, 3]]", csv: `"[2,3]",`, tsv: "[2,3]\t"},
		{list: ".,.a", payload: "ON", csv: ",", tsv: "\t"},
		{list: ".a,topic", payload: `{"a":1}}`, csv: ",t", tsv: "\tt"},
		{list: ".a,.a", payload: `{"a":1,"a":2}`, csv: "2,2", tsv: "2\t2"},
		{list: "payload", payload: "\ufeffx", csv: "\"\ufeffx\"", tsv: "\ufeffx"},
	} {
		m := c.m
		if m == nil {
			m = &mqtt.Message{Topic: "t", Payload: []byte(c.payload)}
		}
		if got := row(t, &Rows{Columns: columns(t, c.list), CSV: true}, m); got != c.csv {
			t.Errorf("CSV of %s: got %q, want %q", c.list, got, c.csv)
		}
		if got := row(t, &Rows{Columns: columns(t, c.list)}, m); got != c.tsv {
			t.Errorf("TSV of %s: got %q, want %q", c.list, got, c.tsv)
		}
	}
}

func TestTheHeaderComesOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f    Rows
		want string
	}{
		{Rows{CSV: true, Header: true}, "topic,\".[\"\"a,b\"\"]\"\nt,\nt,\n"},
		{Rows{Header: true}, "topic\t.[\"a,b\"]\nt\t\nt\t\n"},
		{Rows{CSV: true}, "t,\nt,\n"},
		{Rows{Header: true, Terminal: true}, "topic\t.[\"a,b\"]\nt\t\nt\t\n"},
	} {
		f := c.f
		f.Columns = columns(t, `topic,.["a,b"]`)
		m := &mqtt.Message{Topic: "t"}
		if got := draw(t, &f, m) + draw(t, &f, m); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.f, got, c.want)
		}
	}
}

// No row is a line that readers of CSV skip.
func TestARowOfNothingIsARow(t *testing.T) {
	t.Parallel()
	f := &Rows{Columns: columns(t, ".a"), CSV: true}
	text := ""
	for _, payload := range []string{`{"a":""}`, "{}", `{"a":null}`, "", "no JSON"} {
		text += draw(t, f, &mqtt.Message{Payload: []byte(payload)})
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Errorf("%q is read as %q, %v", text, rows, err)
	}
}

func TestRowsOnATerminal(t *testing.T) {
	t.Parallel()
	m := &mqtt.Message{Topic: "t", Payload: []byte("a\x1b[2J\n\u202e\x9b\t")}
	for _, c := range []struct {
		csv  bool
		want string
	}{{true, "t,YRtbMkoK4oCumwk="}, {false, `t	a\x1b[2J\n\u202e\x9b\t`}} {
		if got := row(t, &Rows{Columns: columns(t, "topic,payload"), CSV: c.csv, Terminal: true}, m); got != c.want {
			t.Errorf("CSV %v: got %q, want %q", c.csv, got, c.want)
		}
	}
	m.Payload = []byte("a\x1b[2J\nb")
	if got, want := row(t, &Rows{Columns: columns(t, "payload"), CSV: true, Terminal: true}, m), `"a\x1b[2J\nb"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// lamp is a payload as zigbee2mqtt publishes them: 342 bytes, 13 keys.
const lamp = `{"battery":87,"humidity":48.32,"linkquality":7,"power_outage_count":15,"pressure":1013.2,"temperature":21.57,"voltage":2985,"last_seen":"2026-11-21T10:15:30+01:00","update_available":false,` +
	`"device_name":"living room sensor","update":{"state":"idle","installed_version":16777241,"latest_version":16777241},"trigger_count":120,"mode":"measure"}`

// The budget is 2.5 us for the row of three columns.
func BenchmarkRows(b *testing.B) {
	if len(lamp) != 342 {
		b.Fatalf("%d bytes", len(lamp))
	}
	for name, f := range rowsOfLamp(b) {
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

func rowsOfLamp(t testing.TB) map[string]Formatter {
	return map[string]Formatter{
		"csv":          &Rows{Columns: columns(t, ".temperature,.humidity,.update.state"), CSV: true},
		"tsv":          &Rows{Columns: columns(t, ".temperature,.humidity,.update.state")},
		"six columns":  &Rows{Columns: columns(t, "tst,topic,.temperature,.humidity,.battery,.last_seen"), CSV: true},
		"default":      &Rows{Columns: columns(t, DefaultColumns), CSV: true},
		"unquoted":     &Rows{Columns: columns(t, ".update,.device_name,content-type,user-properties"), CSV: true},
		"default, tsv": &Rows{Columns: columns(t, DefaultColumns)},
	}
}

func TestRowsTakeNoMemory(t *testing.T) {
	props, err := packet.Properties(nil).AppendUser([]byte("k"), []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range rowsOfLamp(t) {
		m := &mqtt.Message{Topic: "zigbee2mqtt/living room", Payload: []byte(lamp), Properties: props}
		at, buf := arrival, []byte(nil)
		if n := testing.AllocsPerRun(200, func() {
			at = at.Add(time.Millisecond)
			buf, _ = f.Append(buf[:0], m, at)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
