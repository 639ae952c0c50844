package plan

import (
	"strings"
	"testing"
)

const templateGroups = `
groups:
  other: {clients: 7, client-id: x}
  g:
    clients: 10
    first: 100
    username: user-%i
    client-id: "id-%u"
    publish: {topic: "TOPIC", rate: 1}
`

func TestTemplates(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{ // of client 3, message 12
		"plain":             "plain",
		"%i":                "103",
		"a%%b":              "a%b",
		"%i/%s/%n/%g":       "103/12/10/g",
		"%c":                "id-user-103",
		"%u":                "user-103",
		"%j":                "123",
		"%{i%100}":          "3",
		"%{i/10}":           "10",
		"%{i+1%n}":          "4",
		"%{i%@other}":       "5",
		"%{i+h}":            "108",
		"%{s*3+1:05}":       "00037",
		"%{i*0+7}":          "7",
		"%{n:03}":           "010",
		"€%{i}€":            "€103€",
		"%{i%10}%{s%10}%%i": "32%i",
	} {
		p := mustParse(t, strings.Replace(templateGroups, "TOPIC", source, 1), Options{})
		if got := string(p.Groups[1].Publish[0].AppendTopic(nil, 3, 12)); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
}

func TestRandomFieldsAreRepeatable(t *testing.T) {
	t.Parallel()
	p := mustParse(t, strings.Replace(templateGroups, "TOPIC", "%{r%1000}/%rand_6", 1), Options{})
	s := p.Groups[1].Publish[0]
	seen, dice := map[string]bool{}, map[string]bool{}
	for seq := range uint32(200) {
		a, b := string(s.AppendTopic(nil, 3, seq)), string(s.AppendTopic(nil, 3, seq))
		if a != b {
			t.Fatalf("message %d has the topics %q and %q", seq, a, b)
		}
		first, second, _ := strings.Cut(a, "/")
		seen[first], dice[second] = true, true
	}
	if len(seen) < 150 {
		t.Errorf("%d different numbers of 200 below 1000", len(seen))
	}
	if len(dice) != 6 || dice["0"] || !dice["6"] {
		t.Errorf("%%rand_6 gives %v, want 1 to 6", dice)
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"%":                  "ends in a lone %",
		"%x":                 `unknown field "%x"`,
		"%€":                 `unknown field "%€"`,
		"%{i":                "a %{ without }",
		"%{}":                "begins with none of",
		"%{c}":               "begins with none of",
		"%{i%}":              "belongs behind %",
		"%{i%0}":             "not 0 to divide by",
		"%{i/0}":             "not 0 to divide by",
		"%{i-1}":             "one of + * / % belongs",
		"%{i+9999999999999}": "belongs behind +",
		"%{i:0}":             "width is not from 1 to 20",
		"%{i:21}":            "width is not from 1 to 20",
		"%rand_":             "%rand_ without a number",
		"%rand_0":            "%rand_ without a number",
	} {
		if _, err := parseTemplate(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", source, err, want)
		}
	}
}

func TestTemplatesDoNotAllocate(t *testing.T) {
	p := mustParse(t, strings.Replace(templateGroups, "TOPIC", "a/%c/%{i%100:05}/%s/%r", 1), Options{})
	s, buf := p.Groups[1].Publish[0], make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() { buf = s.AppendTopic(buf[:0], 7, 9) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTemplate(b *testing.B) {
	p := mustParse(b, strings.Replace(templateGroups, "TOPIC", "bench/%i/test", 1), Options{})
	s, buf := p.Groups[1].Publish[0], make([]byte, 0, 200)
	for b.Loop() {
		buf = s.AppendTopic(buf[:0], 7, 9)
	}
}
