package mqbench

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// shortForms are the commands that make a plan of options alone.
var shortForms = map[string]func(plan.Short, plan.Options) (*plan.Plan, error){
	"conn": plan.Conn, "pub": plan.Pub, "sub": plan.Sub, "pubsub": plan.PubSub,
}

// checkShort refuses options of the command line that have no effect on a short form, and
// those that another option overrides.
func checkShort(inv *cli.Invocation, form string) error {
	v := inv.Values
	if name := inv.Tool.Idle(inv.Values, form); name != "" {
		e := option.Usagef("%s has no effect on %s", v.Of(name).Name(), form)
		switch {
		case form == "sub" && name == "filter":
			return e.WithHint("the topic filters of sub are its -t")
		case form == "pub", form == "sub":
			return e.WithHint("pubsub publishes and subscribes")
		}
		return e
	}
	return nil
}

// readPlan returns the plan of a command line: of a short form, or of the preset or
// scenario that is named. The user name and the password are those of conn, if it is not
// nil.
func readPlan(inv *cli.Invocation, words []string, conn *connection.Connection, change func(*plan.Options)) (*plan.Plan, error) {
	o, err := planOptions(inv)
	if err != nil {
		return nil, err
	}
	if conn != nil {
		if name := conn.Options.Username; name != "" {
			o.Username = &name
		}
		if p := conn.Options.Password; p != nil {
			o.Password = new(string(p))
		}
	}
	if change != nil {
		change(&o)
	}
	name := inv.Tool.Command.Name
	form := shortForms[name]
	if form == nil && len(words) > 0 && shortForms[words[0]] != nil {
		name, form, words = words[0], shortForms[words[0]], words[1:]
		if len(words) > 0 {
			return nil, option.Usagef("unexpected argument %q", words[0])
		}
	}
	var p *plan.Plan
	switch {
	case form != nil:
		if err := checkShort(inv, name); err != nil {
			return nil, err
		}
		var s plan.Short
		if s, err = short(inv, cmp.Or(o.Version, o.Default, packet.V5)); err == nil {
			p, err = form(s, o)
		}
	case len(words) == 0:
		return nil, option.Usagef("no preset or scenario given").WithHint(listPresets)
	default:
		if name := inv.Tool.Idle(inv.Values, words[0]); name != "" {
			return nil, option.Usagef("%s has no effect on a preset or a scenario", inv.Values.Of(name).Name()).WithHint("--scale, --load, --duration, --warm-up and --seed have; or write a scenario of your own")
		}
		p, err = namedPlan(words[0], o)
	}
	return p, usage(err)
}

// namedPlan returns a preset, or the scenario in a file.
func namedPlan(name string, o plan.Options) (*plan.Plan, error) {
	if isPreset(name) {
		return plan.Preset(name, o)
	}
	if isScenario(name) {
		return plan.Read(name, o)
	}
	return nil, unknownPreset(name)
}

// unknownPreset returns the error for a word that is neither a preset nor the name of a
// scenario file.
func unknownPreset(name string) error {
	unknown := option.Usagef("unknown preset %q", name)
	if s := spelling.Nearest(name, plan.Presets()); s != "" {
		return unknown.WithHint("did you mean %s?", s)
	}
	return unknown.WithHint(listPresets)
}

// listPresets is the hint if a preset is missing or unknown.
const listPresets = "'mqbench presets' lists them; scenario files end in .yaml"

// isPreset reports whether a word is the name of a preset.
func isPreset(word string) bool {
	return slices.Contains(plan.Presets(), word) || strings.HasPrefix(word, "bifro:")
}

// isScenario reports whether a word names a scenario file.
func isScenario(word string) bool {
	return strings.HasSuffix(word, ".yaml") || strings.HasSuffix(word, ".yml")
}

// planOptions returns the options of the command line that change any plan.
func planOptions(inv *cli.Invocation) (o plan.Options, err error) {
	v := inv.Values
	for name, to := range map[string]*float64{"scale": &o.Scale, "load": &o.Load} {
		if v.Of(name).IsSet() {
			if *to, err = factor(v.Of(name)); err != nil {
				return o, err
			}
		}
	}
	if v.Seed.IsSet() {
		o.Seed = new(uint64(v.Seed.Int64()))
	}
	for name, to := range map[string]**time.Duration{"warm-up": &o.WarmUp, "duration": &o.Measure, "connect-timeout": &o.ConnectTimeout} {
		if v.Of(name).IsSet() {
			*to = new(v.Of(name).Duration())
		}
	}
	o.Version, o.TopicPrefix = connection.ProtocolVersion(v), v.TopicPrefix.Text()
	o.Run, err = runNamer(inv)
	return o, err
}

// runNamer returns a function that names a run. Processes that are parts of one run must
// use the same name: they share the plan and the start time, or the name is passed to them.
func runNamer(inv *cli.Invocation) (func(hash string) string, error) {
	v := inv.Values
	name := v.RunID.Text()
	switch {
	case v.RunID.IsSet() && !plan.IsRunName(name):
		return nil, v.RunID.Invalid("name", name, "want up to 32 letters, digits, - and _")
	case !v.RunID.IsSet() && v.StartAt.IsSet():
		start, err := startAt(v)
		return func(hash string) string { return plan.RunName(hash, start.UTC().Format(time.RFC3339Nano)) }, err
	case !v.RunID.IsSet():
		name = plan.NewRunName()
	}
	return func(string) string { return name }, nil
}

// readSessions reads whether the clients' sessions are kept or resumed.
func (r *runner) readSessions() error {
	v, o := r.inv.Values, &r.opts
	if !v.Resume.Known() {
		return nil
	}
	o.Resume, o.KeepSessions = v.Resume.On(), v.KeepSessions.On()
	kept, renamed := false, ""
	for _, g := range r.plan.Groups {
		kept = kept || g.Persistent()
		if g.Persistent() && g.NamesRun() {
			renamed = g.Name
		}
	}
	for _, name := range [...]string{"resume", "keep-sessions"} {
		if v.Of(name).On() && !kept {
			return option.Usagef("%s has no effect: no session outlives its connection", v.Of(name).Name()).WithHint("give -c, or clean-start: false in a scenario, and a session-expiry in MQTT 5")
		}
	}
	if o.Resume && renamed != "" && !v.RunID.IsSet() {
		return option.Usagef("%s: the client IDs of group %s are new in every run", v.Resume.Name(), renamed).WithHint("give both runs the same --run-id, or client IDs of your own")
	}
	return nil
}

// factor parses a number above zero.
func factor(val *option.Value) (float64, error) {
	f, err := strconv.ParseFloat(val.Text(), 64)
	if err != nil || !(f > 0 && f <= 1e9) {
		return 0, val.Invalid("value", val.Text(), "want a number above 0")
	}
	return f, nil
}

// rate parses a rate.
func rate(val *option.Value) (plan.Rate, error) {
	r, err := plan.ParseRate(val.Text())
	switch {
	case err != nil:
		return r, val.Invalid("rate", val.Text(), units.RateHint)
	case r.Events == 0:
		return r, val.Invalid("rate", val.Text(), "want more than 0")
	}
	return r, nil
}

// short returns the settings of a short form for a version of MQTT.
func short(inv *cli.Invocation, version packet.Version) (s plan.Short, err error) {
	v := inv.Values
	s = plan.Short{
		Clients: v.Clients.Int(), Subscribers: v.Subscribers.Int(),
		Topics: v.Topic.Texts(), Filters: v.Filter.Texts(), QoS: packet.QoS(v.QoS.Int()), Retain: v.Retain.On(),
		Payload: v.Message.Text(), Interval: v.Interval.Duration(), Window: v.MaxInflight.Int(), Limit: uint64(v.Limit.Int64()),
		WarmUp: v.WarmUp.Duration(), Duration: v.Duration.Duration(),
		ClientID: v.ID.Text(), First: uint64(v.First.Int64()),
		KeepAlive:  new(v.Keepalive.Duration()),
		Persistent: v.DisableCleanSession.On(), SessionExpiry: v.SessionExpiryInterval.Duration(),
	}
	if s.Persistent && !v.SessionExpiryInterval.IsSet() && version >= packet.V5 {
		s.SessionExpiry = time.Hour // without one nothing is kept; not forever, in case a run cannot clean up
	}
	if s.Payload == "" {
		s.Size = new(int(v.Size.Int64()))
	}
	switch r := v.Rate.Text(); {
	case r == "unlimited":
		s.Unlimited = true
	case r != "":
		if s.Rate, err = rate(v.Rate); err != nil {
			return s, err
		}
	}
	if v.ConnectRate.IsSet() {
		if s.ConnectRate, err = rate(v.ConnectRate); err != nil {
			return s, err
		}
	}
	return s, nil
}
