package format

import (
	"slices"
	"strings"
	"testing"
)

func TestKeysOfOthersArePassedOverAndNamedOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it, lines string
		unknown   []string
	}{
		{"mosquitto's %j", `{"tst":"2026-12-01T00:00:00.000000Z+0000","topic":"a","qos":1,"retain":0,"payloadlen":1,"mid":7,"properties":{"content-type":"x"},"payload":"x"}`, nil},
		{"HiveMQ's client", `{"topic":"a","payload":"x","qos":"AT_LEAST_ONCE","receivedAt":"2026-12-01 00:00:00","retain":false}`, []string{"receivedAt"}},
		{"MQTTX's client", `{"topic":"a","payload":"x","qos":1,"packet":{"cmd":"publish","qos":1,"a":[1,"]"]}}`, []string{"packet"}},
		{"enriched by jq", `{"topic":"a","payload":"x","qos":1,"ts":1,"host":"h","type":null,"pos":[1,2],"time":0}`, []string{"ts", "host", "type", "pos", "time"}},
		{"twice", `{"topic":"a","payload":"x","qos":1,"ts":1,"ts":2}`, []string{"ts"}},
	} {
		r := NewRecordReader(strings.NewReader(row.lines+"\n"+row.lines), 0)
		for i := range 2 {
			rec, err := r.Next()
			if err != nil || rec.Topic != "a" || string(rec.Payload) != "x" || rec.QoS != 1 {
				t.Fatalf("%s: %+v, %v", row.it, rec, err)
			}
			if got := r.Unknown(); i == 0 && !slices.Equal(got, row.unknown) || i == 1 && len(got) > 0 {
				t.Errorf("%s, record %d: unknown %q, want %q", row.it, i+1, got, row.unknown)
			}
		}
		r = NewRecordReader(strings.NewReader(row.lines), 0)
		r.Strict = true
		if _, err := r.Next(); (err != nil) != (len(row.unknown) > 0) {
			t.Errorf("%s, strict: %v", row.it, err)
		}
	}
}

func TestAKeyThatMayBeMisspeltIsRefused(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{
		"retian": "retain", "retained": "retain", "Retain": "retain", "qso": "qos", "QoS": "qos", "Topic": "topic", "tpoic": "topic", "topics": "topic",
		"pyload": "payload", "payloads": "payload", "payload-encoding": "payload_encoding", "payloadEncoding": "payload_encoding", "propertys": "properties",
		"ts": "", "pos": "", "id": "", "type": "", "payloadFormat": "", "raw": "", "top": "",
	} {
		_, err := NewRecordReader(strings.NewReader(`{"topic":"a","`+name+`":1}`), 0).Next()
		switch {
		case meant == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case meant != "" && (err == nil || !strings.Contains(err.Error(), "did you mean "+meant+"?")):
			t.Errorf("%s: %v, want %s", name, err, meant)
		}
	}
}

func TestNamesOfUnknownKeysAreBounded(t *testing.T) {
	t.Parallel()
	line := `{"topic":"a"`
	for c := 'a'; c < 'z'; c++ {
		line += `,"` + strings.Repeat(string(c), 4) + `":1`
	}
	r := NewRecordReader(strings.NewReader(line+"}"), 0)
	if _, err := r.Next(); err != nil || len(r.Unknown()) != maxUnknown {
		t.Errorf("%v, %d names", err, len(r.known))
	}
}
