package mqbench

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	r := mqbench(t, "doctor", "conn", "--clients", "10", "-h", "broker.lan")
	if r.code != 0 || r.err != "" || !regexp.MustCompile(`(?m)^open files +42 +\S+ +ok$`).MatchString(r.out) || strings.Contains(r.out, "listen queue") {
		t.Errorf("of what fits: status %d, stderr %q, stdout\n%s", r.code, r.err, r.out)
	}
	if r := mqbench(t, "doctor", "conn", "--clients", "10", "-h", "127.0.0.1"); r.code != 0 || !strings.Contains(r.out, "listen queue") {
		t.Errorf("of a broker on this machine: status %d, stdout\n%s", r.code, r.out)
	}
	if r := mqbench(t, "doctor"); r.code != 0 || r.err != "" || !regexp.MustCompile(`^\d+ clients fit`).MatchString(r.out) {
		t.Errorf("without a plan: status %d, stderr %q, stdout %q", r.code, r.err, r.out)
	}
}

// Only the lite engine uses ports beyond the system's range.
func TestDoctorCountsThePortsOfTheEngine(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip(err)
	}
	var low, high int
	if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
		t.Fatal(err)
	}
	const sources = 3
	certs := certtest.New(t).Server
	for line, want := range map[string]int{
		"":                                 sources * (65535 - 1024 + 1),
		"--engine std":                     sources * (high - low + 1),
		"--tls":                            sources * (high - low + 1),
		"--proxy socks5://proxy.lan":       sources * (high - low + 1),
		"--proxy-command cat":              sources * (high - low + 1),
		"--serve 127.0.0.1:0":              sources * (65535 - 1024 + 1),
		"--serve mqtt://127.0.0.1:0":       sources * (65535 - 1024 + 1),
		"--serve ws://127.0.0.1:0":         sources * (high - low + 1),
		"--serve 127.0.0.1:0 --engine std": sources * (high - low + 1),
		fmt.Sprintf("--serve 127.0.0.1:0 --serve-cert %s --serve-key %s", certs.CertFile, certs.KeyFile): sources * (high - low + 1),
	} {
		if !strings.Contains(line, "--serve") {
			line += " -h broker.lan"
		}
		r := mqbench(t, append([]string{"doctor", "conn", "--clients", "100", "--source-ip", "127.0.0.1-3"}, strings.Fields(line)...)...)
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^local ports +100 +%d +ok$`, want)).MatchString(r.out) {
			t.Errorf("%s: want %d ports:\n%s%s", line, want, r.out, r.err)
		}
	}
}

// What doctor calls impossible, run refuses with the same words before it connects: there
// is no listener on the port.
func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	limit := result.ThisEnvironment().NoFileHard
	if limit == 0 || limit > 10_000_000 {
		t.Skip("this machine has no bound of files that a plan could exceed")
	}
	plan := []string{"conn", "--clients", "12000000", "-p", "1"}
	r := mqbench(t, append([]string{"doctor"}, plan...)...)
	if r.code != 1 || r.err != "" || !strings.Contains(r.out, "\nopen files: 12000032 open files are needed in a process, and") || !strings.Contains(r.out, "  divide the run with --procs ") {
		t.Errorf("doctor: status %d, stderr %q, stdout\n%s", r.code, r.err, r.out)
	}
	refused(t, "12000032 open files are needed in a process, and", plan...)
}

// Go's runtime raises the soft limit of open files to the hard one at its start.
func TestSoftLimitIsRaised(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no such limit")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `ulimit -Sn 100 && exec "$0" doctor conn --clients 1000 -h broker.lan`, exe)
	cmd.Env = append(os.Environ(), "MQ_CONFIG=none")
	out, err := cmd.CombinedOutput()
	if !regexp.MustCompile(`(?m)^open files +1032 +\S+ +ok$`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDoctorRefuses(t *testing.T) {
	t.Parallel()
	refused(t, "--clients needs a plan", "doctor", "--clients", "3")
	refused(t, `unknown preset "x"`, "doctor", "x")
	refused(t, `--source-ip: invalid address "x" (e.g. 10.0.0.10 or 10.0.0.10-20)`, "doctor", "conn", "--source-ip", "x")
	refused(t, `--shard: invalid value "4" (want I/N, e.g. 0/4)`, "doctor", "conn", "--shard", "4")
	refused(t, "JOB_COMPLETION_INDEX is set, and MQBENCH_SHARDS", "JOB_COMPLETION_INDEX=1", "doctor", "conn")
	refused(t, "--out has no effect on doctor", "doctor", "conn", "--out", "x")
}
