package man

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

// checkUnit returns what prevents systemd from restarting a service of ours after a crash,
// a hang or a refusal. A crash and the watchdog's SIGABRT end a tool by that signal.
// systemd's default limit is five starts in ten seconds, see systemd.unit(5).
func checkUnit(unit string) (problems []string) {
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	set := map[string][]string{} // a setting may be repeated
	for line := range strings.Lines(strings.ReplaceAll(unit, "\\\n", " ")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			set[name] = append(set[name], strings.Fields(value)...)
		}
	}
	if !slices.Contains([]string{"on-failure", "always"}, strings.Join(set["Restart"], " ")) {
		complain("Restart=%q does not start it again", set["Restart"])
	}
	// Only a usage error is permanent: a signal, by name or by number (SIGABRT is 6 and
	// 134), and a refusal are not.
	for _, word := range set["RestartPreventExitStatus"] {
		if word != strconv.Itoa(option.ExitUsage) {
			complain("RestartPreventExitStatus=%s", word)
		}
	}
	if success := set["SuccessExitStatus"]; len(success) > 0 {
		complain("SuccessExitStatus=%q: after success it is not restarted", success)
	}
	if signal := strings.Join(set["WatchdogSignal"], " "); signal != "" && signal != "SIGABRT" {
		complain("WatchdogSignal=%s leaves no trace", signal)
	}
	const interval, burst = 10 * time.Second, 5
	pause, err := time.ParseDuration(strings.Join(set["RestartSec"], ""))
	if err != nil || pause*burst <= interval {
		complain("RestartSec=%q: systemd gives up after %d starts in %v", set["RestartSec"], burst, interval)
	}
	return problems
}

func TestNoUnitPreventsARestartAfterACrash(t *testing.T) {
	t.Parallel()
	units := map[string]string{}
	files, err := filepath.Glob("../packaging/systemd/*.service")
	if err != nil || len(files) == 0 {
		t.Fatalf("units of packages: %q, %v", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		units[name] = string(b)
	}
	pages := 0
	for _, name := range names(t) {
		for i, block := range strings.Split(read(t, name), ".Bd -literal")[1:] {
			block, _, _ = strings.Cut(block, "\n.Ed")
			if strings.Contains(block, "[Service]") {
				units[fmt.Sprintf("example %d of %s", i+1, name)] = strings.ReplaceAll(block, `\e`, `\`)
				pages++
			}
		}
	}
	if pages == 0 {
		t.Error("no page has a unit")
	}
	for name, unit := range units {
		for _, problem := range checkUnit(unit) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	const good = "[Service]\nRestart=on-failure\nRestartSec=5s\nRestartPreventExitStatus=2\n"
	if problems := checkUnit(good); len(problems) > 0 {
		t.Errorf("a good unit: %q", problems)
	}
	for it, unit := range map[string]string{
		"does not restart":               "RestartSec=5s",
		"restarts after success only":    "Restart=on-success\nRestartSec=5s",
		"names the signal":               good + "RestartPreventExitStatus=SIGABRT",
		"names the signal by its number": good + "RestartPreventExitStatus=6",
		"names the status of a shell":    good + "RestartPreventExitStatus=134",
		"takes a refusal for final":      good + "RestartPreventExitStatus=4 5",
		"takes a crash for success":      good + "SuccessExitStatus=SIGABRT",
		"kills without a trace":          good + "WatchdogSignal=SIGKILL",
		"starts too often":               "Restart=on-failure\nRestartSec=2s",
		"starts every 100 ms":            "Restart=on-failure",
	} {
		if len(checkUnit(unit)) == 0 {
			t.Errorf("one that %s is accepted", it)
		}
	}
}
