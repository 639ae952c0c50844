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
	{name: "publish", before: programs + `program tail 'echo line'
		: > seen
		mqsub -v -q 1 -t probe -t hello -t lamp/hall -t logs/app >> seen & s=$!
		until grep -q probe seen; do mqpub -t probe -m x; done
		mqsub -t lamp/ask --reply-command 'printf on' > /dev/null & p=$!
		until mqpub -t lamp/ask -m x --request -W 1 > /dev/null 2>&1; do :; done`,
		swap: []string{"seq 1000000", "seq 1000"}, after: `until grep -q logs/app seen; do sleep 0.05; done
		kill $p $s; wait $p $s || :; sort seen | uniq`, want: "on\nhello world\nlamp/hall on\nlogs/app line\nprobe x\n"},
	{name: "subscribe", tools: "jq", before: `mqpub -r -t lamp/hall -m on; export MQ_COUNT=1; exec > >(sed 's/[0-9][0-9]:[0-9.:]*/TIME/') 2>&1`,
		swap:  []string{"-W 5", "-W 0.2", "mqsub --json", "(until [ -e over ]; do mqpub -t z2m/x -m '{}'; done) & p=$!\nmqsub --json"},
		after: `touch over; wait $p`, want: "lamp/hall on\nlamp/hall  TIME  QoS 0  retained  2 bytes\n  on\nlamp/hall on\n" +
			"mqsub: timed out after 200ms (no messages received)\nno value in five seconds\nz2m/x\n"},
	{name: "bench", before: `exec 3>&1 > out 2>&1`, swap: []string{
		"--serve --rate", `--serve "unix://$PWD/own" --rate`, "--duration 5s", "--duration 500ms --warm-up 0s",
		"'p99>10ms' -h broker", "'loss>0' --scale 0.01 --duration 500ms --warm-up 0s",
		// A busy machine may not sustain any load.
		"'p99<10ms,loss=0' -h broker", "'rate.sent<150' --rate 100 --clients 2 --duration 500ms --warm-up 0s --precision 1 || case $? in 4|6) ;; *) exit 9 ;; esac",
		"verify -h broker", "verify --qos 1 --clients 2 --rate 100 --duration 1s --faults none",
	}, after: `exec >&3; grep -q '^ok   QoS 1' out; grep -q '^  delivered ' out; grep -q 'rate.sent<150' out; ls a.mqb page.html`, want: "a.mqb\npage.html\n"},
	{name: "mosquitto", before: `cp "$(command -v mqpub)" "$(command -v mqsub)" .; PATH=$PWD:$PATH`,
		after: `mosquitto_pub --unix "$MQ_UNIX" -r -t a -m x; mosquitto_sub --unix "$MQ_UNIX" -t a -C 1; test -L mosquitto_rr`, want: "x\n"},
	{name: "play", before: `ln -s "$SCRIPTS" scripts`, swap: []string{"scripts/broker/*.yaml", "scripts/broker/ping.yaml", "--connect localhost", `--connect "unix://$MQ_UNIX" > out`,
		"--listen 1884 &", `--listen "unix://$PWD/l" --quiet >> out & p=$!; export MQ_UNIX=$PWD/l`, "-p 1884", "--wait-for 10 --quiet"}, after: `wait $p; cat out`,
		want: "ok    PINGREQ is answered (3.1.1)\nok    PINGREQ is answered (5.0)\nok    a command publishes at QoS 1 (5.0)\n"},
	{name: "contexts", before: programs + `export HOME=$PWD; unset MQ_CONFIG MQ_UNIX; program pass 'echo s3cret'; exec 2> log; mkdir -p .local/share/bash-completion/completions`,
		swap:  []string{"-t 'a/#' ", "-t 'a/#' --no-reconnect 2> err || echo $?"},
		after: `grep -o broker.home err; bash -n .local/share/bash-completion/completions/mqsub`, want: "3\nbroker.home\n"},
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
		case line == "```sh" && readmeNot.MatchString(before), line == "```text":
			inside = true
		case strings.HasPrefix(line, "```"):
			t.Errorf("README.md:%d: a block that is no example, and no reason why not", i+1)
		}
		before = line
	}
	runExamples(t, page, readmeRecipes)
}
