package mosquitto

import (
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

func TestTableAgreesWithOurs(t *testing.T) {
	seen := map[string]bool{}
	for i := range options {
		o := &options[i]
		for _, s := range o.spellings() {
			if s != "" && seen[s] {
				t.Errorf("%s is there twice", s)
			}
			seen[s] = true
		}
		if o.do != nil || o.name == "help" || o.name == "version" || o.name == "options-file" || o.name == "property" {
			continue // these are parsed separately
		}
		for _, c := range []struct {
			in    client
			tools option.ToolSet
		}{{pub, option.Pub}, {sub, option.Sub}, {rr, option.Pub}} {
			if o.in&c.in == 0 {
				continue
			}
			ours := option.Table(c.tools).Long("--" + o.name)
			dropped := c.in == rr && (o.name == "skip-retained" || o.name == "retain-handling" || o.name == "retain-as-published")
			switch {
			case ours == nil && !dropped:
				t.Errorf("%s: tool %d has no --%s", o.label(), c.tools, o.name)
			case ours != nil && o.takesValue() == (ours.Type == option.TypeBool):
				t.Errorf("%s: takes a value: %v, but ours", o.label(), o.takesValue())
			case ours != nil && ours.Repeat != (o.adds&c.in != 0) && o.name != "tls-alpn" && !(o.name == "topic" && c.tools == option.Pub): // the manual says so
				t.Errorf("%s: adds up: %v, but ours", o.label(), o.adds&c.in != 0)
			}
		}
	}
	if len(seen) < 90 {
		t.Errorf("only %d spellings", len(seen))
	}
}
