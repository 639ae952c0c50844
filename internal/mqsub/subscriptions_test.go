package mqsub

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt"
)

func TestParseSub(t *testing.T) {
	t.Parallel()
	base := mqtt.Subscription{QoS: 1, RetainHandling: mqtt.RetainedNever, ID: 5}
	for _, c := range []struct {
		text, filter string
		want         mqtt.Subscription
	}{
		{"a/#", "a/#", base},
		{"a;qos=2", "a", mqtt.Subscription{QoS: 2, RetainHandling: mqtt.RetainedNever, ID: 5}},
		{"a;nl;rap;rh=1;id=268435455", "a", mqtt.Subscription{QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: mqtt.RetainedIfNew, ID: 268435455}},
		{"a;rh=0;qos=0", "a", mqtt.Subscription{ID: 5}},
	} {
		filter, s, err := parseSub(c.text, base)
		if err != nil || filter != c.filter || !reflect.DeepEqual(s, c.want) {
			t.Errorf("%s: got %q %+v, %v", c.text, filter, s, err)
		}
	}
	for text, says := range map[string]string{
		"a;qos=3": "want qos from 0 to 2", "a;qos": `unknown option "qos"`, "a;rh=3": "want rh from 0 to 2", "a;id=0": "want id from 1 to 268435455", "a;id=268435456": "268435455",
		"a;qoz=1": `"qoz=1"`, "a;": `unknown option ""`, "a;nl=1": `"nl=1"`, "a;qos=+1": "want qos from",
	} {
		if _, _, err := parseSub(text, base); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
}

func TestWatchDrawsWhatFits(t *testing.T) {
	t.Parallel()
	w := &watch{broker: func() string { return "h:1" }, at: map[string]int{}, size: func() (int, int) { return 12, 6 }}
	for _, m := range []struct{ topic, payload string }{
		{"a", "1"}, {"b", "long enough to be cut"}, {"a", "2\nmore"}, {"c\x1b[2J", "x"},
	} {
		w.take(&mqtt.Message{Topic: m.topic, Payload: []byte(m.payload)})
	}
	const end = "\x1b[K\r\n"
	want := "\x1b[Hh:1: 3 topic" + end + "a 2 …" + end + "b long enoug" + end + `c\x1b[2J x` + end + "\x1b[J"
	if got := string(w.picture(nil)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	w.take(&mqtt.Message{Topic: "d", Payload: []byte("y")})
	w.take(&mqtt.Message{Topic: "e", Payload: []byte("z")})
	want = "\x1b[Hh:1: 5 topic" + end + "a 2 …" + end + "b long enoug" + end + `c\x1b[2J x` + end + "… and 2 topi" + end + "\x1b[J"
	if got := string(w.picture(nil)); got != want {
		t.Errorf("more than fits: got  %q\nwant %q", got, want)
	}
	if w.dirty {
		t.Error("drawn, and dirty")
	}
}
