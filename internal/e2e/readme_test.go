package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var readmeRecipes = []recipe{
	{name: "serve", before: `unset MQ_UNIX; : > out`, swap: []string{"--serve", `--serve "unix://$PWD/b" --quiet`, "-t '#'", "-t '#' -C 1 > out & p=$!"},
		// The broker ends with its message, before mqpub perhaps.
		after: `until [ -s out ] || mqpub --unix "$PWD/b" --no-reconnect -t hello -m world 2> /dev/null; do :; done; wait $p; cat out`, want: "hello world\n"},
	{name: "publish", before: `mqsub -i s -c -q 1 -t numbers -E`, after: `mqsub -i s -c -q 1 -t numbers -C 1000 | cmp - <(seq 1000)`, want: "lamp/hall on\n"},
	{name: "everyday", tools: "jq", before: programs + `program tail 'echo line'; printf '\xff\xd8' > photo.jpg
		mqsub -i s -c -q 1 -t logs/app -t cam/1 -E
		mqsub -t lamp/ask --reply-command 'printf on' > /dev/null & p=$!
		until mqpub -t lamp/ask -m x --request -W 1 > /dev/null 2>&1; do :; done
		mqsub --serve "unix://$PWD/other" --quiet -t x & q=$!
		mqsub --quiet --unix "$PWD/other" --wait-for 20 -E -t y
		mqpub -r -t a/b -m copied; export MQ_COUNT=1`,
		swap: []string{"-h other.example", `--unix "$PWD/other"`}, after: `unset MQ_COUNT; mqsub --unix "$PWD/other" --retained-only -t '#'
		mqsub -i s -c -q 1 -t logs/app -t cam/1 -C 2 -F '%t %x'; kill $p $q; wait $p $q || :`, want: "on\ncopied\nlogs/app 6c696e65\ncam/1 ffd8\n"},
	{name: "subscribe", tools: "jq", before: `mqpub -r -t lamp/hall -m on; export MQ_COUNT=1; exec > >(sed 's/[0-9][0-9]:[0-9.:]*/TIME/') 2>&1`,
		swap: []string{"-W 5", "-W 0.2", "mqsub --json", "(until [ -e over ]; do mqpub -t z2m/x -m '{}'; done) & p=$!\nmqsub --json",
			"mqsub -c", "touch over; wait $p\nmqsub -c -i logger -x 24h -q 1 -t 'orders/#' -E; mqpub -q 1 -t orders/1 -m order\nmqsub -c"},
		after: `cat log`, want: "lamp/hall on\nlamp/hall  TIME  QoS 0  retained  2 bytes\n  on\nz2m/x\n" +
			"mqsub: timed out after 200ms (no messages received)\nno value within 5 s\norder\n"},
	{name: "bench", before: `exec 3>&1 > out 2>&1`, swap: []string{
		"--serve --rate", `--serve "unix://$PWD/own" --rate`, "--duration 5s", "--duration 500ms --warm-up 0s",
		"'p99>10ms' -h broker", "'loss>0' --scale 0.01 --duration 500ms --warm-up 0s",
		// A busy machine may not sustain any load.
		"'p99<10ms,loss=0' -h broker", "'rate.sent<150' --rate 100 --clients 2 --duration 500ms --warm-up 0s --precision 1 || case $? in 4|6) ;; *) exit 9 ;; esac",
		"verify -h broker", "verify --qos 1 --clients 2 --rate 100 --duration 1s --faults none",
	}, after: `exec >&3; grep -q '^ok   QoS 1' out; grep -q '^  delivered ' out; grep -q 'rate.sent<150' out; ls a.mqb page.html`, want: "a.mqb\npage.html\n"},
	{name: "contexts", before: programs + `export HOME=$PWD; unset MQ_CONFIG MQ_UNIX; program pass 'echo s3cret'; exec 2> log`,
		swap:  []string{"-t 'a/#' ", "-t 'a/#' --no-reconnect 2> err || echo $?"},
		after: `grep -o broker.home err`, want: "3\nbroker.home\n"},
}

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
	runExamples(t, page, readmeRecipes)
}
