package plan

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/spelling"
)

// presets are scenario files; they also show how to write one.
//
//go:embed presets/*.yaml presets/oms/*.yaml
var presets embed.FS

// Presets returns the names of the presets, sorted. "bifro:" followed by the name of a workload is
// a preset, too (see Preset).
func Presets() []string {
	var names []string
	_ = fs.WalkDir(presets, "presets", func(path string, d fs.DirEntry, _ error) error {
		if name, ok := strings.CutSuffix(path, ".yaml"); ok {
			names = append(names, strings.TrimPrefix(name, "presets/"))
		}
		return nil
	})
	return names
}

// PresetText returns the scenario file of a preset.
func PresetText(name string) ([]byte, error) {
	if text, err := presets.ReadFile("presets/" + name + ".yaml"); err == nil {
		return text, nil
	}
	if spec, ok := strings.CutPrefix(name, "bifro:"); ok {
		return bifro(name, spec)
	}
	hint := ""
	if near := spelling.Nearest(name, Presets()); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return nil, fmt.Errorf("there is no preset %q%s", name, hint)
}

// Preset returns the plan of a preset. A name of a workload in BifroMQ's reports after "bifro:" is
// a preset, too: bifro:PUBS_SUBS_qosQ_pBYTES_Nmps, such as bifro:50k_50k_qos1_p256_1mps, where
// each publisher sends N messages per second; with "shared_" in front the subscribers share one
// subscription.
func Preset(name string, o Options) (*Plan, error) {
	text, err := PresetText(name)
	if err != nil {
		return nil, err
	}
	p, err := Parse("preset "+name, text, o)
	if err != nil {
		return nil, err
	}
	p.Preset = name
	return p, nil
}

// BifroForm is the form of such a name.
const BifroForm = "bifro:PUBS_SUBS_qosQ_pBYTES_Nmps"

// bifro returns the scenario for the name of a workload.
func bifro(name, spec string) ([]byte, error) {
	bad := fmt.Errorf("the preset %q is not of the form %s, such as bifro:50k_50k_qos1_p256_1mps", name, BifroForm)
	words, shared := strings.CutPrefix(spec, "shared_")
	part := strings.Split(words, "_")
	if len(part) != 5 {
		return nil, bad
	}
	pubs, ok1 := thousands(part[0])
	subs, ok2 := thousands(part[1])
	qos, ok3 := strings.CutPrefix(part[2], "qos")
	size, ok4 := strings.CutPrefix(part[3], "p")
	mps, ok5 := strings.CutSuffix(part[4], "mps")
	bytes, err := strconv.ParseUint(size, 10, 31)
	_, rateErr := ParseRate(mps)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || err != nil || rateErr != nil || strings.Contains(mps, "/") || len(qos) != 1 || qos < "0" || qos > "2" {
		return nil, bad
	}
	// With as many subscribers as publishers each pair has its own topic; otherwise the smaller
	// side has one topic each, and the clients of the larger side take them in turn.
	topic, filter := "bifro/%i", "bifro/%i"
	switch {
	case shared:
		filter = "$share/bifro/bifro/#"
	case pubs > subs:
		topic = "bifro/%{i%@subscribers}"
	case pubs < subs:
		filter = "bifro/%{i%@publishers}"
	}
	return fmt.Appendf(nil, `name: %q
description: "%s publishers, %s subscribers, %s a second each"
source: BifroMQ test reports
phases: {connect: {rate: 5000/s}, warm-up: 10s, measure: 5m}
groups:
  subscribers:
    clients: %d
    subscribe: {filter: %q, qos: %s}
  publishers:
    clients: %d
    publish: {topic: %q, qos: %s, payload: %d, rate-each: %q}
`, name, part[0], part[1], mps, subs, filter, qos, pubs, topic, qos, bytes, mps), nil
}

// thousands parses 5, 10k or 2M.
func thousands(s string) (uint64, bool) {
	factor := uint64(1)
	if n := strings.TrimRight(s, "kK"); len(n)+1 == len(s) {
		s, factor = n, 1000
	} else if n := strings.TrimRight(s, "mM"); len(n)+1 == len(s) {
		s, factor = n, 1_000_000
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return n * factor, err == nil && n > 0
}
