package option

import (
	"os"
	"slices"
	"strings"
)

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Handover returns the options of this run for another process or another machine: words
// holds those of the command line, each as --name=value, and vars those of the environment,
// of options files and of configuration files. It omits the options for which keep returns
// false, and those that select where options are read from.
//
// After Connection was called, vars has no value that another option overrides.
func (t *Program) Handover(v *Values, args []string, keep func(*Option) bool) (words []string, vars []Variable, err error) {
	table := Table(t.Bit)
	all, err := Normalize(table, args)
	if err != nil {
		return nil, nil, err // cannot happen: args were parsed before
	}
	wanted := func(o *Option) bool {
		return o.Name != optionsFile && o.Name != "config" && o.Name != "context" && keep(o)
	}
	uses, _ := split(table, all)
	for i, use := range uses {
		if wanted(use.Opt) {
			words = append(words, all[i])
		}
	}
	for _, o := range table {
		val := v.Of(o.Name)
		if val.origin == OriginDefault || val.origin == OriginFlag || o.Env() == "" || !wanted(o) {
			continue
		}
		vars = append(vars, Variable{o.Env(), strings.Join(val.raw, "\n")})
	}
	return words, vars, nil
}

// Environ returns this process's environment without the tools' own variables and with vars
// in their place, for a child that reads no configuration file.
func Environ(vars []Variable) []string {
	var all []string
	table := Table(All)
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(e, "MQ_") && !slices.ContainsFunc(table, func(o *Option) bool { return o.EnvFallback == name }) {
			all = append(all, e)
		}
	}
	for _, v := range vars {
		all = append(all, v.Name+"="+v.Value)
	}
	return append(all, "MQ_CONFIG=none")
}
