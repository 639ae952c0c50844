package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// readRows returns what is read, one text for each message or error.
func readRows(t testing.TB, r io.Reader, o RowReader, limit int) (all []string) {
	t.Helper()
	rows := NewRowReader(r, limit)
	rows.CSV, rows.Header, rows.Strict = o.CSV, o.Header, o.Strict
	for len(all) < 10000 {
		rec, err := rows.Next()
		var bad *RecordError
		var head *HeaderError
		switch {
		case err == io.EOF:
			if names := rows.Unknown(); len(names) > 0 {
				all = append(all, fmt.Sprintf("unknown %q", names))
			}
			return all
		case errors.As(err, &head):
			return append(all, "header "+head.Error())
		case errors.As(err, &bad):
			if bad.Line < 1 || bad.Column < 1 {
				t.Errorf("%+v has no place", bad)
			}
			all = append(all, bad.Error())
		case err != nil:
			return append(all, err.Error())
		default:
			s := fmt.Sprintf("%d: %s=%q", rec.Line, rec.Topic, rec.Payload)
			if rec.HasQoS {
				s += fmt.Sprint(" qos ", rec.QoS)
			}
			if rec.HasRetain {
				s += fmt.Sprint(" retain ", rec.Retain)
			}
			if len(rec.Properties) > 0 {
				s += " " + string(appendProperties(nil, rec.Properties))
			}
			all = append(all, s)
		}
	}
	t.Fatal("more rows than bytes")
	return nil
}

func TestRowsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    RowReader
		in   string
		want []string
	}{
		{RowReader{}, "", nil},
		{RowReader{}, "a\tx\n\nb/c\t\n\r\nc\ty", []string{`1: a="x"`, `3: b/c=""`, `5: c="y"`}},
		{RowReader{}, "a\\tb\\\\\\n\\r\tx\\ty\x00\xff \\\\t\r\n", []string{"1: a\tb\\\n\r" + `="x\ty\x00\xff \\t"`}},
		{RowReader{}, "a\nb\tx\tz\nc\ty\n", []string{"line 1:1: 1 column, not 2: topic and payload", "line 2:5: 3 columns, not 2: topic and payload", `3: c="y"`}},
		{RowReader{}, "a\tx\\y\na\tx\\\nb\\\tz\n", []string{`line 1:4: unknown escape \y; a backslash is written \\`, `line 2:4: unknown escape \; a backslash is written \\`,
			`line 3:2: unknown escape \; a backslash is written \\`}},
		{RowReader{Header: true}, "\npayload\tretain\ttopic\tqos\ttst\n1\ttrue\ta\t2\tnow\n2\t\tb\t\t\n3\t0\tc\t0\t\n", []string{
			`3: a="1" qos 2 retain true`, `4: b="2"`, `5: c="3" qos 0 retain false`}},
		{RowReader{Header: true}, "topic\tqos\tretain\na\t3\t\nb\t\tyes\nc\t01\t\nd\n", []string{
			`line 2:3: qos is "3", not 0, 1 or 2`, `line 3:4: retain is "yes", not true or false`, `line 4:3: qos is "01", not 0, 1 or 2`, "line 5:1: 1 column, and the header names 3"}},
		{RowReader{Header: true}, "topic\tpayload\tpayload_encoding\na\tAP8=\tbase64\nb\tAP8=\ttext\nc\t[1]\tjson\nd\t!\tbase64\ne\tx\thex\nf\t\tbase64\n", []string{
			`2: a="\x00\xff"`, `3: b="AP8="`, `4: c="[1]"`, "line 5:3: not base64: illegal base64 data at input byte 0", `line 6:5: payload_encoding is "hex", not text, base64 or json`, `7: f=""`}},
		{RowReader{Header: true}, "topic\tcontent-type\tmessage-expiry-interval\tuser-properties\tcorrelation-data\tsubscription-identifiers\n" +
			"a\ttext/plain\t60\t[{\"k\":\"v\\\\n\"},{\"k\":\"\"}]\t\xff\t[7]\nb\t\t\t\t\t\nc\t\t-1\t\t\t\nd\t\t\t[{]\t\t\ne\t\t\t[] []\t\t\nf\t\xff\t\t\t\t\n", []string{
			`2: a="" {"content-type":"text/plain","message-expiry-interval":60,"user-properties":[{"k":"v\n"},{"k":""}],"correlation-data":{"base64":"/w=="}}`, `3: b=""`,
			`line 4:4: message-expiry-interval is "-1", not a whole number from 0 to 4294967295`, "line 5:5: no string where one is expected", "line 6:5: more than one value in the column",
			"line 7:3: malformed packet: content-type is not well-formed UTF-8 [MQTT-1.5.4-1]"}},
		{RowReader{Header: true}, "topic\t.temp\tstation\ta\tstation\n1\t2\t3\t4\t5\n", []string{`2: 1=""`, `unknown [".temp" "station" "a"]`}},
		{RowReader{Header: true, Strict: true}, "topic\t.temp\n1\t2\n", []string{`header line 1:7: unknown column ".temp"`}},
		{RowReader{Header: true}, "topic\tpyload\n1\t2\n", []string{`header line 1:7: unknown column "pyload"; did you mean payload?`}},
		{RowReader{Header: true}, "topic\tqos\ttopic\n", []string{`header line 1:11: the column topic appears twice`}},
		{RowReader{Header: true}, "a/b\tx\n", []string{`header line 1:1: no column is named topic`}},
		{RowReader{Header: true}, "a\\/b\tx\n", []string{`header line 1:2: unknown escape \/; a backslash is written \\`}},
		{RowReader{CSV: true}, "a,x\r\n\r\n\"b,\"\"c\",\"1\r\n2\"\"\n\"\r\n\"d\",\" \"\ne, y ", []string{`1: a="x"`, `3: b,"c="1\r\n2\"\n"`, `6: d=" "`, `7: e=" y "`}},
		{RowReader{CSV: true}, "a\\t,x\\n\tz\n", []string{`1: a\t="x\\n\tz"`}},
		{RowReader{CSV: true}, "a,x\"y\nb,\"x\"y\nc,\"x\ny\"z\nd,1\n,\"\n", []string{"line 1:4: a quote in a column that does not begin with one", `line 2:6: 'y' behind the quote that ends a column`,
			`line 4:3: 'z' behind the quote that ends a column`, `5: d="1"`, "line 6:2: the quote at the beginning of this column has no end"}},
		{RowReader{CSV: true}, "a\nb,1,2\nc,\n,\n", []string{"line 1:1: 1 column, not 2: topic and payload", "line 2:5: 3 columns, not 2: topic and payload", `3: c=""`, `4: =""`}},
		{RowReader{CSV: true, Header: true}, "topic,content-type,qos\n\"a\nb\",\"\",1\nb,,x\n", []string{"2: a\nb=\"\" qos 1 {\"content-type\":\"\"}", `line 4:4: qos is "x", not 0, 1 or 2`}},
		{RowReader{CSV: true, Header: true}, "\"topic\npayload", []string{"header line 1:1: the quote at the beginning of this column has no end"}},
		{RowReader{}, strings.Repeat("\t", maxColumns) + "\na\tb\n", []string{"line 1:1001: more than 1000 columns", `2: a="b"`}},
	} {
		for _, in := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			if got := readRows(t, in, c.o, 0); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%+v of %q: got\n%s\nwant\n%s", c.o, c.in, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		}
	}
}

// A row that is too long is reported, and those behind it are read.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		o    RowReader
		in   string
		want []string
	}{
		{RowReader{}, "a\t" + long + "\nb\ty\n", []string{"line 1:1: longer than 1000 bytes", `2: b="y"`}},
		{RowReader{CSV: true}, "a,\"" + strings.Repeat("0123456\n", 126) + "\"\nb,y\n", []string{"line 1:3: longer than 1000 bytes", `128: b="y"`}},
	} {
		got := readRows(t, strings.NewReader(c.in), c.o, 1000)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	broken := errors.New("broken")
	if got := readRows(t, io.MultiReader(strings.NewReader("a,1\nb,\"2\n"), iotest.ErrReader(broken)), RowReader{CSV: true}, 0); len(got) != 2 || got[1] != "broken" {
		t.Errorf("got %q", got)
	}
}

// A quote that is never closed takes no memory.
func TestARowThatIsTooLongTakesNoMemory(t *testing.T) {
	in := "a,\"" + strings.Repeat("0123456\n", 2<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := readRows(t, strings.NewReader(in), RowReader{CSV: true}, 1000)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || len(got) != 1 || got[0] != "line 1:3: the quote at the beginning of this column has no end" {
		t.Errorf("%d bytes of memory for %d, %q", took, len(in), got)
	}
}

func TestReadingRowsTakesNoMemory(t *testing.T) {
	for _, csv := range []bool{true, false} {
		f := &Rows{Columns: columns(t, "topic,payload,qos,content-type"), CSV: csv, Header: true}
		m := &mqtt.Message{Topic: "a\tb", Payload: []byte(lamp + "\t\n\""), Properties: properties(t)}
		var b []byte
		for range 300 {
			b, _ = f.Append(b, m, arrival)
		}
		r := NewRowReader(bytes.NewReader(b), 0)
		r.CSV, r.Header = csv, true
		next := func() {
			if rec, err := r.Next(); err != nil || len(rec.Payload) != len(m.Payload) {
				t.Fatal(err)
			}
		}
		next()
		if n := testing.AllocsPerRun(200, next); n != 0 {
			t.Errorf("CSV %v: %v allocations", csv, n)
		}
	}
}

const allColumns = "tst,topic,qos,retain,payload,payload_encoding,content-type,response-topic,correlation-data,message-expiry-interval,payload-format-indicator,user-properties"

// survives checks that a message is the same after it was written and read. Only the columns
// that it has an encoding for can hold all bytes, and in TSV an empty text is none.
func survives(t *testing.T, m *mqtt.Message, csv bool) {
	t.Helper()
	if data, _ := m.Properties.Bytes(packet.CorrelationData); csv && !utf8.Valid(data) {
		return
	}
	f := &Rows{Columns: columns(t, allColumns), CSV: csv, Header: true}
	one, _ := f.Append(nil, m, arrival)
	two, _ := f.Append(one, m, arrival)
	line := two[len(one):]
	r := NewRowReader(bytes.NewReader(two), 0)
	r.CSV, r.Header = csv, true
	for range 2 {
		rec, err := r.Next()
		if err != nil || rec.Topic != m.Topic || rec.QoS != m.QoS || rec.Retain != m.Retain || !bytes.Equal(rec.Payload, m.Payload) {
			t.Fatalf("CSV %v: %q is read as %+v, %v", csv, two, rec, err)
		}
		if again, _ := f.Append(nil, &rec.Message, arrival); !bytes.Equal(again, line) {
			t.Fatalf("CSV %v: %q becomes %q", csv, line, again)
		}
	}
	if rec, err := r.Next(); err != io.EOF {
		t.Fatalf("CSV %v: %q has a third row: %+v, %v", csv, two, rec, err)
	}
	f = &Rows{Columns: columns(t, "topic,payload"), CSV: csv}
	if b, _ := f.Append(nil, m, arrival); !csv || utf8.Valid(m.Payload) {
		r := NewRowReader(bytes.NewReader(b), 0)
		r.CSV = csv
		if rec, err := r.Next(); err != nil || rec.Topic != m.Topic || !bytes.Equal(rec.Payload, m.Payload) {
			t.Fatalf("CSV %v: %q is read as %+v, %v", csv, b, rec, err)
		}
	}
	if !csv && bytes.Count(two, []byte("\n")) != 3 {
		t.Fatalf("%q is not three lines", two)
	}
}

func TestRowsSurvive(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	parts := []string{"a", ",", `"`, "\n", "\r", "\r\n", "\t", `\`, " ", "\x00", "ä", "\xff", `\n`, `\t`, `""`, "'", ";", "\ufeff"}
	for range 5000 {
		text := func(all int) (s string) {
			for range r.IntN(5) {
				s += parts[r.IntN(all)]
			}
			return s
		}
		valid := func() string { return strings.ToValidUTF8(text(len(parts)), "?") }
		m := &mqtt.Message{Topic: "t" + valid(), Payload: []byte(text(len(parts))), QoS: packet.QoS(r.IntN(3)), Retain: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			m.Properties, _ = m.Properties.AppendBytes(packet.ContentType, []byte(strings.ReplaceAll(valid(), "\x00", "0")))
			m.Properties, _ = m.Properties.AppendUser([]byte(strings.ReplaceAll(valid(), "\x00", "0")), []byte("v"))
			m.Properties, _ = m.Properties.AppendBytes(packet.CorrelationData, []byte(text(len(parts))))
		}
		survives(t, m, true)
		survives(t, m, false)
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	survives(t, &mqtt.Message{Topic: "a\tb", Payload: all}, true)
	survives(t, &mqtt.Message{Topic: "a\tb", Payload: all}, false)
}

// FuzzRows checks that every message survives.
func FuzzRows(f *testing.F) {
	f.Add("a\tb", []byte("x\x00\xff\\t\r\n,\""), []byte{})
	f.Add("\u202e", []byte(" text\n"), []byte("\x26\x00\x01k\x00\x01v\x03\x00\x00"))
	f.Fuzz(func(t *testing.T, topic string, payload, props []byte) {
		p, err := packet.ParseProperties(props, packet.PUBLISH)
		if err != nil || !utf8.ValidString(topic) {
			return
		}
		m := &mqtt.Message{Topic: topic, Payload: payload, Properties: p}
		survives(t, m, true)
		survives(t, m, false)
	})
}

// FuzzRowReader checks that any input is read, the same whatever is read at once, and that
// what is CSV for encoding/csv is so here.
func FuzzRowReader(f *testing.F) {
	for _, s := range []string{"a,\"b\n\"\"\"\r\n", "topic,payload,qos\na,b,1\n", "a\tb\\t\\\\\n\r\n\t", "topic\tuser-properties\na\t[{\"k\":\"v\"}]\n", "\"a\",\"\"x", "topic,payload_encoding,payload\na,base64,AP8="} {
		for flags := range byte(4) {
			f.Add([]byte(s), flags)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, flags byte) {
		o := RowReader{CSV: flags&1 != 0, Header: flags&2 != 0, Strict: flags&4 != 0}
		whole := readRows(t, bytes.NewReader(b), o, 0)
		if single := readRows(t, iotest.OneByteReader(bytes.NewReader(b)), o, 0); strings.Join(whole, "\n") != strings.Join(single, "\n") {
			t.Fatalf("%q: %q, byte by byte %q", b, whole, single)
		}
		if !o.CSV || o.Header || bytes.IndexByte(b, '\r') >= 0 {
			return
		}
		std := csv.NewReader(bytes.NewReader(b))
		std.FieldsPerRecord = 2
		rows, err := std.ReadAll()
		if err != nil {
			return
		}
		if len(rows) != len(whole) {
			t.Fatalf("%q: %q, encoding/csv reads %q", b, whole, rows)
		}
		for i, row := range rows {
			if want := fmt.Sprintf(": %s=%q", row[0], row[1]); !strings.HasSuffix(whole[i], want) {
				t.Fatalf("%q: %q, encoding/csv reads %q", b, whole, rows)
			}
		}
	})
}

// FuzzColumns checks that a list of columns is refused with a place, or has a row that can be
// read.
func FuzzColumns(f *testing.F) {
	for _, s := range []string{DefaultColumns, `.a["b,c"].d, ."x\",y"[0],.`, allColumns, "topic,,", `."`, ".a[", " topic "} {
		f.Add(s, []byte(`{"a":{"b,c":{"d":[1,"x"]}}}`))
	}
	f.Fuzz(func(t *testing.T, list string, payload []byte) {
		c, err := ParseColumns(list)
		if err != nil {
			var e *ColumnError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(list) {
				t.Fatalf("%q: %v", list, err)
			}
			return
		}
		for i := range c.list {
			if again, err := ParseColumns(c.list[i].name); err != nil || len(again.list) != 1 || again.list[0].name != c.list[i].name {
				t.Fatalf("%q of %q: %+v, %v", c.list[i].name, list, again, err)
			}
		}
		for _, csv := range []bool{true, false} {
			b, _ := (&Rows{Columns: c, CSV: csv, Header: true}).Append(nil, &mqtt.Message{Topic: "t", Payload: payload}, arrival)
			r := NewRowReader(bytes.NewReader(b), 0)
			r.CSV = csv
			for range 2 {
				if err := r.readRow(); err != nil || len(r.cells) != len(c.list) && (csv || len(c.list) > 1) && len(c.list) <= maxColumns {
					t.Fatalf("%q: %q has a row of %d columns, %v", list, b, len(r.cells), err)
				}
			}
		}
	})
}
