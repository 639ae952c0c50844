package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/mqtt"
)

// InfluxData's decoder reads what the formatter writes as what was meant.
func TestInfluxIsWhatItsDecoderReads(t *testing.T) {
	t.Parallel()
	at := time.Unix(1772887503, 12345678)
	nasty := []string{"a b,c=d", "x y", `q"\`, `\\`, `a\,b`, "\x01\n\t", "é=😀", "#", "'", "", " ", "a\\ ", "_x", "time"}
	f, err := format.CompileInflux("name=m %{level 1},second=%{level 2},a b=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range nasty {
		for _, key := range nasty {
			for _, text := range nasty {
				payload, err := json.Marshal(map[string]any{"i": 21, "f": 21.5, "t": true, "n": nil, "l": []int{1}, "o": map[string]any{key: text}, key: -1e30})
				if err != nil {
					t.Fatal(err)
				}
				line, err := f.Append(nil, &mqtt.Message{Topic: "/" + topic, Payload: payload}, at)
				if err != nil {
					t.Fatal(err)
				}
				if err := decodePoint(line, at, topic, key, text); err != nil {
					t.Errorf("topic %q, key %q, text %q: %q: %v", topic, key, text, line, err)
				}
			}
		}
	}
}

func decodePoint(line []byte, at time.Time, topic, key, text string) error {
	d := lineprotocol.NewDecoderWithBytes(line)
	if !d.Next() {
		return fmt.Errorf("no point")
	}
	if name, err := d.Measurement(); err != nil || string(name) != "m " {
		return fmt.Errorf("measurement %q, %w", name, err)
	}
	tags, fields := map[string]string{}, map[string]any{}
	for {
		k, v, err := d.NextTag()
		if err != nil {
			return err
		}
		if k == nil {
			break
		}
		tags[string(k)] = string(v)
	}
	for {
		k, v, err := d.NextField()
		if err != nil {
			return err
		}
		if k == nil {
			break
		}
		fields[string(k)] = v.Interface()
	}
	if got, err := d.Time(lineprotocol.Nanosecond, time.Time{}); err != nil || !got.Equal(at) {
		return fmt.Errorf("time %v, %w", got, err)
	}
	if d.Next() || d.Err() != nil {
		return fmt.Errorf("more than one point: %w", d.Err())
	}
	// What cannot be written is changed in the way that the manual describes.
	change := func(s string) string {
		b := bytes.ReplaceAll([]byte(s), []byte("\x01\n\t"), []byte(`\x01\n\t`))
		for _, special := range []string{" ", ",", "="} {
			b = bytes.ReplaceAll(b, []byte(`\`+special), []byte(special))
		}
		return string(bytes.TrimRight(b, `\`))
	}
	wantTags := map[string]string{"topic": change("/" + topic), "a b": "x"}
	if level := change(topic); level != "" {
		wantTags["second"] = level
	}
	want := map[string]any{"i": 21.0, "f": 21.5, "t": true, change("o_" + key): text}
	if name := change(key); name != "" && name != "time" && name[0] != '_' {
		want[name] = -1e30
	}
	if !maps.Equal(tags, wantTags) || !maps.Equal(fields, want) {
		return fmt.Errorf("tags %q, fields %v; want %q, %v", tags, fields, wantTags, want)
	}
	return nil
}
