package option

import (
	"slices"
	"strings"
	"testing"
)

// TestAChildHasOnlyTheOptionsOfItsParent also covers a variable that is a fallback for one
// of ours and would send the child to another broker.
func TestAChildHasOnlyTheOptionsOfItsParent(t *testing.T) {
	t.Setenv("MQTT_URL", "mqtt://elsewhere")
	t.Setenv("MQ_HOST", "elsewhere")
	t.Setenv("MQTOOLS_OTHER", "kept")
	got := Environ([]Variable{{"MQ_HOST", "here"}})
	for _, want := range []string{"MQ_HOST=here", "MQTOOLS_OTHER=kept", "MQ_CONFIG=none"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if i := slices.IndexFunc(got, func(e string) bool { return strings.Contains(e, "elsewhere") }); i >= 0 {
		t.Errorf("%q is handed on", got[i])
	}
}
