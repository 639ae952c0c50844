package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"%t %q %r %l %m %p", "%.2:x|%.4-X", "%012.2:x", "@Y-@m-@d", "%", "%0", "\\", "@", "%j%J%f%d%P"} {
		f.Add(s, []byte("payload"))
	}
	f.Fuzz(func(t *testing.T, pattern string, payload []byte) {
		p, err := Compile(pattern, "\n")
		if err != nil {
			var pe *PatternError
			if !errors.As(err, &pe) || pe.Offset < 0 || pe.Offset >= len(pattern) {
				t.Errorf("%q: %v", pattern, err)
			}
			return
		}
		m := &mqtt.Message{Topic: "t", Payload: payload}
		out, _ := p.Append([]byte("x"), m, arrival)
		if len(out) < 2 || out[0] != 'x' || out[len(out)-1] != '\n' {
			t.Errorf("%q: %q", pattern, out)
		}
	})
}

// FuzzRecordReader checks that whatever is read is written and read back as the same
// message.
func FuzzRecordReader(f *testing.F) {
	for _, s := range []string{`{"topic":"a","payload":"\ud83d\ude00","qos":1}`, `{"topic":"a","payload":"aGk=","payload_encoding":"base64"}`,
		`{"topic":"a","properties":{"user-properties":[{"k":"v"}],"correlation-data":{"base64":"AP8="}}}`, "{}\n\n{", `{"topic":"a","payload":[1,2,{"x":null}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewRecordReader(bytes.NewReader(b), 1<<20)
		for lines := 0; ; lines++ {
			rec, err := r.Next()
			var re *RecordError
			if err == io.EOF {
				return
			}
			if lines > len(b)+1 {
				t.Fatal("more records than bytes")
			}
			if errors.As(err, &re) {
				if re.Line < 1 || re.Column < 1 {
					t.Errorf("%q: %+v", b, re)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(rec.Topic) {
				t.Fatalf("topic %q", rec.Topic)
			}
			line, _ := (&Record{}).Append(nil, &rec.Message, arrival)
			if !json.Valid(line) {
				t.Fatalf("%q becomes %q", b, line)
			}
			again, err := NewRecordReader(bytes.NewReader(line), 0).Next()
			if err != nil || !same(&again.Message, &rec.Message) {
				t.Fatalf("%q becomes %q, %v", b, line, err)
			}
		}
	})
}

// FuzzRecord checks that every message survives.
func FuzzRecord(f *testing.F) {
	f.Add("a/b", []byte("x\x00\xff"), []byte{}, true)
	f.Add("\u202e", []byte("text\n"), []byte("\x26\x00\x01k\x00\x01v"), false)
	f.Fuzz(func(t *testing.T, topic string, payload, props []byte, inline bool) {
		if !utf8.ValidString(topic) {
			return
		}
		p, err := packet.ParseProperties(props, packet.PUBLISH)
		if err != nil {
			return
		}
		p = p.Without(nil, packet.TopicAlias)
		p = p.Without(nil, packet.SubscriptionIdentifier)
		m := &mqtt.Message{Topic: topic, Payload: payload, Properties: p}
		line, _ := (&Record{JSONPayload: inline}).Append(nil, m, arrival)
		if !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q", line)
		}
		rec, err := NewRecordReader(bytes.NewReader(line), 0).Next()
		if err != nil || !same(&rec.Message, m) {
			t.Fatalf("%q: %v", line, err)
		}
	})
}

// FuzzEscaped checks that no text can control a terminal.
func FuzzEscaped(f *testing.F) {
	f.Add([]byte("a\x1b[2J\u202e\x9b\u009b"))
	f.Add([]byte(`{"a":"\u001b[2J\u202e\u0000\u007f"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &mqtt.Message{Topic: "t", Payload: b}
		lines := influx(t, "", "")
		lines.Terminal = true
		for _, fm := range []Formatter{&Escaped{End: "\n"}, &Pretty{}, &Record{Terminal: true}, lines,
			&Rows{Columns: columns(t, "payload,.,.a"), CSV: true, Header: true, Terminal: true}, &Rows{Columns: columns(t, "payload,.,.a"), Terminal: true}} {
			out, _ := fm.Append(nil, m, arrival)
			if !utf8.Valid(out) {
				t.Fatalf("%T: %q is not UTF-8", fm, out)
			}
			for _, r := range string(out) {
				if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && hidden(r) {
					t.Fatalf("%T: %q contains %U", fm, out, r)
				}
			}
		}
	})
}
