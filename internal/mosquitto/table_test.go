package mosquitto

import (
	"slices"
	"testing"

	"github.com/mqtools/mqtools/internal/option"
)

func TestTableAgreesWithOurs(t *testing.T) {
	seen := map[string]bool{}
	for i := range options {
		o := &options[i]
		for _, s := range []string{o.short, o.long} {
			if s != "" && seen[s] {
				t.Errorf("%s is there twice", s)
			}
			seen[s] = true
		}
		if o.name == "" {
			continue
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
			case ours != nil && (o.short != "" && !slices.Contains(ours.Spellings(), o.short) || o.long != "" && !slices.Contains(ours.Spellings(), o.long)):
				t.Errorf("%s: is spelled %q with ours", o.label(), ours.Spellings()) // the manual says that it is not
			case ours != nil && ours.Repeat != (o.adds&c.in != 0) && o.name != "tls-alpn" && !(o.name == "topic" && c.tools == option.Pub): // the manual says so
				t.Errorf("%s: adds up: %v, but ours", o.label(), o.adds&c.in != 0)
			}
		}
	}
	if len(seen) < 90 {
		t.Errorf("only %d spellings", len(seen))
	}
}
