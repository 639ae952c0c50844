package option

import (
	"slices"
	"strings"
)

// The tables behind Table are literals of constants alone, so that the compiler puts them
// into the program's data. Building them at every start took mqpub longer than publishing
// its message.

// Options is a list of options, in the order of --help.
type Options []*Option

// Table returns the options of some tools, grouped in the order of --help. All calls share
// the rows, which must not be modified.
func Table(tools ToolSet) Options {
	table := make(Options, 0, 96)
	for _, group := range [...][]Option{
		loadOptions,
		scaleOptions,
		reportOptions,
		checkOptions,
		kubernetesOptions,
		playOptions,
		messageOptions,
		spoolOptions,
		requestOptions,
		subscribeOptions,
		filterOptions,
		stopOptions,
		replyOptions,
		outputOptions,
		brokerOptions,
		authOptions,
		sessionOptions,
		retryOptions,
		tlsOptions,
		willOptions,
		serveOptions,
		configOptions,
		generalOptions,
	} {
		for i := range group {
			if group[i].Tools&tools != 0 {
				table = append(table, &group[i])
			}
		}
	}
	return table
}

// Find returns the option that has a spelling, "-t" or "--topic", or nil. A linear search
// is cheaper than an index for the few words of a command line.
func (t Options) Find(spelling string) *Option {
	switch {
	case len(spelling) == 2 && spelling[0] == '-':
		for _, o := range t {
			if o.Short == spelling[1:] {
				return o
			}
		}
	case len(spelling) > 2 && spelling[:2] == "--":
		name := spelling[2:]
		for _, o := range t {
			if o.Name == name || slices.Contains(o.Aliases, name) {
				return o
			}
		}
	}
	return nil
}

// Long returns the option with a long name, such as --host, or nil.
func (t Options) Long(word string) *Option {
	if !strings.HasPrefix(word, "--") {
		return nil
	}
	return t.Find(word)
}
