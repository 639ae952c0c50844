package mqbench

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/plan"
)

func TestPresets(t *testing.T) {
	t.Parallel()
	list := mqbench(t, "presets")
	lines := strings.Split(strings.TrimSuffix(list.out, "\n"), "\n")
	if list.code != 0 || list.err != "" || len(lines) != len(plan.Presets())+1 {
		t.Fatalf("status %d, %d lines, stderr %q", list.code, len(lines), list.err)
	}
	for n, name := range append(plan.Presets(), "bifro:PUBS_SUBS_qosQ_pBYTES_Nmps") {
		if got, about, _ := strings.Cut(lines[n], " "); got != name || strings.TrimSpace(about) == "" {
			t.Errorf("line %d: %q, want %s and what it is", n+1, lines[n], name)
		}
	}
	for _, name := range []string{"rr", "oms/p2p-1K-1K-1K-1K", "bifro:5k_5k_qos1_p256_1mps"} {
		shown := mqbench(t, "presets", name)
		if shown.code != 0 || !strings.HasPrefix(shown.out, "name: ") {
			t.Errorf("%s: status %d, %q", name, shown.code, shown.out)
		}
		// What is printed is a scenario that can be changed and run.
		if r := mqbench(t, "doctor", file(t, "mine.yaml", shown.out), "--scale", "0.01"); r.code != 0 {
			t.Errorf("%s: doctor: status %d, %s%s", name, r.code, r.out, r.err)
		}
	}
	refused(t, "unknown preset \"rx\"\nmqbench: did you mean rr?\n", "presets", "rx")
	refused(t, "no preset or scenario given\nmqbench: 'mqbench presets' lists them; scenario files end in .yaml\n", "run")
	refused(t, "--out has no effect on presets\n", "presets", "--out", "x")
}
