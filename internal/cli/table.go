package cli

// Table returns the options of a tool, grouped in the order of --help. The
// slice is fresh on every call.
func Table(tools ToolSet) []Option {
	table := make([]Option, 0, 96)
	for _, group := range [...]func() []Option{
		publishOptions,
		subscribeOptions,
		outputOptions,
		connectionOptions,
		tlsOptions,
		willOptions,
		generalOptions,
	} {
		for _, o := range group() {
			if o.Tools&tools != 0 {
				table = append(table, o)
			}
		}
	}
	return table
}

// spellings maps every way to write an option of the table to its row.
func spellings(table []Option) map[string]*Option {
	index := make(map[string]*Option, 2*len(table))
	for i := range table {
		o := &table[i]
		if o.Short != "" {
			index["-"+o.Short] = o
		}
		index["--"+o.Name] = o
		for _, a := range o.Aliases {
			index["--"+a] = o
		}
	}
	return index
}
