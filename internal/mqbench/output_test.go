package mqbench

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

// A full disk costs the result, not the run, and the status shows it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no " + full)
	}
	got := mqbench(t, words(short1s+"--quiet --out "+full)...)
	if got.code != 1 || !strings.Contains(got.err, `the result is incomplete: cannot write "`+full+`": no space left on device`) {
		t.Errorf("%d %q", got.code, got.err)
	}
	if !strings.Contains(got.out, "Latency") {
		t.Errorf("the report is missing:\n%s", got.out)
	}
	if got := mqbench(t, words(short1s+"--json --quiet --out "+full)...); got.code != 1 || !strings.Contains(got.out, `"type":"error","text":"the result is incomplete`) {
		t.Errorf("--json: %d\n%s", got.code, got.out)
	}
}

func TestARateIsAboveZero(t *testing.T) {
	t.Parallel()
	refused(t, "--rate: invalid rate \"0\" (want more than 0)\n", "pubsub", "--rate", "0")
	refused(t, "--connect-rate: invalid rate \"0/s\" (want more than 0)\n", "conn", "--connect-rate", "0/s")
}
