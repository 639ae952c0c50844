package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	readmeName = regexp.MustCompile(`^<!-- example: ([a-z-]+) -->$`)
	readmeNot  = regexp.MustCompile(`^<!-- not run: .+ -->$`)
)

// Every command of the front page is run, or the page says why not.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Abs(filepath.Join("..", "..", "scripts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SCRIPTS", scripts)
	page, before, name := map[string]string{}, "", ""
	inside := false
	for i, line := range strings.Split(string(b), "\n") {
		m := readmeName.FindStringSubmatch(before)
		switch {
		case line == "```":
			inside, name = false, ""
		case inside && name != "":
			page[name] += line + "\n"
		case line == "```sh" && m != nil:
			inside, name = true, m[1]
		case (line == "```sh" || line == "```go") && readmeNot.MatchString(before), line == "```text":
			inside = true
		case strings.HasPrefix(line, "```"):
			t.Errorf("README.md:%d: a block that is no example, and no reason why not", i+1)
		}
		before = line
	}
	runExamples(t, page, "README")
}
