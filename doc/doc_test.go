// Package doc checks what doc/stability.md promises to programs.
package doc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
	"github.com/mqtools/mqtools/internal/mqpub"
	"github.com/mqtools/mqtools/internal/mqsub"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// schema is a schema as it stands, and one that refuses members that it does not describe.
func schema(t *testing.T, name string) (open, closed *jsonschema.Schema) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("schema", name))
	if err != nil {
		t.Fatal(err)
	}
	compile := func(change func(any)) *jsonschema.Schema {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		change(doc)
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("file:///"+name, doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := c.Compile("file:///" + name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return s
	}
	return compile(func(any) {}), compile(closeObjects)
}

// closeObjects has every object schema refuse other members.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, object := v["properties"]
		_, says := v["additionalProperties"]
		if object && !says && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for child := range maps.Values(v) {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

// run runs a tool and returns what it prints.
func run(t *testing.T, tool cli.Tool, stdin string, code int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	got := cli.Run(context.Background(), cli.Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}, tool)
	if got != code {
		t.Fatalf("%s %q: status %d, want %d; %s", tool.Name, args, got, code, errs.String())
	}
	return out.String()
}

// validate checks a document against both forms of a schema.
func validate(t *testing.T, open, closed *jsonschema.Schema, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := open.Validate(doc); err != nil {
		t.Errorf("%v\nof %s", err, text)
	} else if err := closed.Validate(doc); err != nil {
		t.Errorf("a member that the schema does not describe: %v\nof %s", err, text)
	}
}

// TestRecordsFollowTheirSchema has records with every member that there is.
func TestRecordsFollowTheirSchema(t *testing.T) {
	t.Parallel()
	open, closed := schema(t, "record.schema.json")
	_, addr := brokertest.Start(t)
	for i, args := range [][]string{
		{"-m", "text \u202e \" \x01"},
		{"-m", "x", "-q", "1"},
		{"-s", "-q", "2"}, // binary
		{"-m", `{"n": 1.50}`},
		{"-m", "x", "-D", "publish", "payload-format-indicator", "1", "-D", "publish", "message-expiry-interval", "1000",
			"-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "r", "-D", "publish", "correlation-data", "id",
			"-D", "publish", "user-property", "k", "1", "-D", "publish", "user-property", "k", "2"},
	} {
		run(t, mqpub.Tool(), "\x00\xff", 0, append([]string{"-h", addr, "-r", "-t", fmt.Sprintf("a/%d", i)}, args...)...)
	}
	seen := map[string]bool{}
	for _, more := range [][]string{nil, {"--json-payload"}, {"-D", "subscribe", "subscription-identifier", "7"}} {
		out := run(t, mqsub.Tool(), "", 0, append([]string{"-h", addr, "--json", "--retained-only", "-q", "2", "-t", "a/#"}, more...)...)
		if n := strings.Count(out, "\n"); n != 5 {
			t.Errorf("%d records, want 5: %s", n, out)
		}
		for line := range strings.Lines(out) {
			validate(t, open, closed, line)
			var members map[string]any
			if err := json.Unmarshal([]byte(line), &members); err != nil {
				t.Fatal(err)
			}
			properties, _ := members["properties"].(map[string]any)
			for name := range properties {
				seen[name] = true
			}
			seen[fmt.Sprint(members["payload_encoding"])] = true
		}
	}
	for _, name := range []string{"base64", "json", "payload-format-indicator", "message-expiry-interval", "content-type", "response-topic", "correlation-data", "user-properties", "subscription-identifiers"} {
		if !seen[name] {
			t.Errorf("no record has %s", name)
		}
	}
	for _, bad := range []string{`{}`, `[]`, `{"tst":"2026-01-02T03:04:05.000000+00:00","topic":"a","qos":3,"retain":false,"payloadlen":0,"payload":""}`,
		`{"tst":"2026-01-02T03:04:05.000000+00:00","topic":"a","qos":0,"retain":false,"payloadlen":0,"payload":7}`,
		`{"tst":"today","topic":"a","qos":0,"retain":false,"payloadlen":0,"payload":""}`} {
		if doc, _ := jsonschema.UnmarshalJSON(strings.NewReader(bad)); open.Validate(doc) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}

func TestReportsFollowTheirSchema(t *testing.T) {
	t.Parallel()
	open, closed := schema(t, "report.schema.json")
	dir := t.TempDir()
	file := filepath.Join(dir, "a.mqb")
	args := func(more ...string) []string {
		return append([]string{"pubsub", "--serve", "127.0.0.1:0", "--clients", "2", "--rate", "200", "--warm-up", "0", "--duration", "1.2", "--quiet", "-F", "json"}, more...)
	}
	validate(t, open, closed, run(t, mqbench.Tool(), "", 0, args("--qos", "1", "--out", file)...))
	validate(t, open, closed, run(t, mqbench.Tool(), "", 4, args("--fail-on", "rate.sent>1")...))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	cut := filepath.Join(dir, "cut.mqb")
	if err := os.WriteFile(cut, bytes.Join(lines[:len(lines)-3], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	validate(t, open, closed, run(t, mqbench.Tool(), "", 8, "report", cut, "-F", "json")) // a partial one
}

// TestExitCodesAreThoseOfTheTools: every code of the tools' table but those of signals has
// its row, in the table's own words.
func TestExitCodesAreThoseOfTheTools(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("stability.md")
	if err != nil {
		t.Fatal(err)
	}
	column := func(tools option.ToolSet, code int) string {
		for _, row := range option.ExitCodes(tools) {
			if row.Code == code {
				text, _, _ := strings.Cut(row.Text, " (")
				text, _, _ = strings.Cut(text, ";")
				return text
			}
		}
		return "-"
	}
	for code := range option.Signaled {
		both := [2]string{column(option.PubSub, code), column(option.Bench, code)}
		row := fmt.Sprintf("| %d | %s | %s |\n", code, both[0], both[1])
		if has := strings.Contains(string(b), fmt.Sprintf("| %d |", code)); has != (both != [2]string{"-", "-"}) || has && !strings.Contains(string(b), row) {
			t.Errorf("stability.md does not have the row\n%s", row)
		}
	}
}
