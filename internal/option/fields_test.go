package option

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the fields of Values")

// initials are the parts of names that are written in capitals.
var initials = map[string]string{
	"id": "ID", "url": "URL", "tls": "TLS", "ws": "WS", "srv": "SRV", "json": "JSON", "qos": "QoS", "ip": "IP", "psk": "PSK", "alpn": "ALPN", "ca": "CA", "os": "OS", "sha1": "SHA1", "kpass": "KPass", "cafile": "CAFile", "capath": "CAPath", "slo": "SLO", "jq": "JQ", "ipv4": "IPv4", "ipv6": "IPv6", "ts": "TS",
	"fields": "FieldList", // Fields is the type
}

// fieldOf returns the field of Values for the option with a name.
func fieldOf(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		if s := initials[part]; s != "" {
			b.WriteString(s)
		} else {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// TestEveryOptionHasAField compares fields.go with the tables; "go test ./internal/option
// -run Field -update" writes it.
func TestEveryOptionHasAField(t *testing.T) {
	t.Parallel()
	var names []string
	for _, o := range slices.Concat(Table(All), Options{&ContextForce[0], &ContextNone[0], &ContextNames[0], &FollowOptions[0], &FollowOptions[1]}) {
		if !slices.Contains(names, o.Name) {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("// Code generated from the tables by go test -run Field -update; DO NOT EDIT.\n\npackage option\n\n" +
		"// Fields has a field for the option of each name, nil where the tool has none.\ntype Fields struct {\n")
	for _, name := range names {
		fmt.Fprintf(&b, "%s *Value // --%s\n", fieldOf(name), name)
	}
	b.WriteString("}\n\n// at returns the field for the option of a name; nil where no tool has one.\nfunc (f *Fields) at(name string) **Value {\nswitch name {\n")
	for _, name := range names {
		fmt.Fprintf(&b, "case %q:\nreturn &f.%s\n", name, fieldOf(name))
	}
	b.WriteString("}\nreturn nil\n}\n")
	want, err := format.Source([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("fields.go", want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("fields.go"); err != nil || string(got) != string(want) {
		t.Errorf("fields.go does not fit the tables (%v): go test ./internal/option -run Field -update", err)
	}
}
