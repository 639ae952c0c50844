package option

var outputOptions = []Option{
	{
		Name: "verbose", Short: "v", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "print the topic before the payload",
	},
	{
		Name: "no-newline", Short: "N", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"print0"}}},
		Needs:    []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:     "don't add a newline after each message",
	},
	{
		Name: "format", Short: "F", Tools: PubSub, Group: GroupOutput, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"json"}},
			{With: []string{"pretty"}, Native: true},
		},
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "FORMAT",
		Help:        "print messages as FORMAT, e.g. '%t %q %p'",
	},
	{
		Name: "json", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{
			{With: []string{"pretty"}, Native: true},
			{With: []string{"verbose", "no-newline", "print0"}},
		},
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "print one JSON object per line (lossless)",
	},
	{
		Name: "pretty", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"no-newline", "print0"}, Native: true}},
		Needs:    []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:     "print for people: details, JSON, hex dumps",
	},
	{
		Name: "json-payload", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{
			{With: []string{"request"}, Or: []string{"response-topic"}},
			{With: []string{"json"}},
		},
		Help: "with --json: embed JSON payloads as JSON",
	},
	{
		Name: "as", Tools: PubSub, Group: GroupOutput, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"json", "pretty", "format"}},
			{With: []string{"verbose", "no-newline", "print0"}, Hint: "--fields chooses what a row has"},
			{With: []string{"watch", "message-rate"}},
		},
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "FORM", Choices: []Choice{{"csv", nil}, {"tsv", nil}, {"influx", nil}}, Complete: CompleteChoice,
		Help: "print rows: csv, tsv or influx[:KEY=VALUE,...]",
	},
	{
		Name: "fields", Tools: PubSub, Group: GroupOutput, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"json", "pretty", "format"}},
			{With: []string{"verbose", "no-newline", "print0"}, Hint: "--fields chooses what a row has"},
			{With: []string{"watch", "message-rate"}},
		},
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "LIST",
		Help:        "columns of a row, e.g. topic,.state,.a[0]",
	},
	{
		Name: "ts", Tools: Sub, Group: GroupOutput, Type: TypeChoice, Optional: true, Implied: "absolute",
		Excludes: []Relation{
			{With: []string{"json", "pretty", "as", "fields"}, Hint: "a record has its time of arrival"},
			{With: []string{"format"}, Hint: "a format has times of its own: %I, %U, @Y"},
			{With: []string{"watch", "message-rate"}},
		},
		Placeholder: "FORM", Choices: []Choice{{"absolute", nil}, {"relative", nil}, {"delta", nil}}, Complete: CompleteChoice,
		Help: "put the time first: {values}",
	},
	{
		Name: "jq", Tools: Sub, Group: GroupOutput, Type: TypeString,
		Excludes:    []Relation{{With: []string{"watch", "message-rate"}, Hint: "--jq prints messages"}},
		Placeholder: "EXPR",
		Help:        "print what jq EXPR, or @FILE, makes of payloads",
	},
	{
		Name: "arg", Tools: Sub, Group: GroupOutput, Type: TypeString, Repeat: true,
		Needs:       []Relation{{With: []string{"jq", "where", "until", "changed"}}},
		Placeholder: "NAME=TEXT",
		Help:        "set $NAME in expressions (repeatable)",
	},
	{
		Name: "strict", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"jq", "where", "until", "changed"}}},
		Help:  "exit 1 if an expression fails for a message",
	},
	{
		Name: "print0", Short: "0", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Help: "end each message with a NUL byte",
	},
	{
		Name: "watch", Short: "w", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"message-rate", "retained-only"}}},
		Help:     "show each topic's latest message (terminal)",
	},
	{
		Name: "message-rate", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"retained-only"}}},
		Help:     "print messages per second, not messages",
	},
	{
		Name: "raw", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "don't escape control characters on a terminal",
	},
	{
		Name: "output-file", Tools: Sub, Group: GroupOutput, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"watch", "message-rate"}, Hint: "--output-file takes messages"},
			{With: []string{"exit-after-subscribe"}, Hint: "-E exits before messages are written"},
			{With: []string{"echo", "reply-command"}, Hint: "use a second mqsub for the replies"},
		},
		Needs:       []Relation{{With: []string{"topic"}, Or: []string{"sub"}}},
		Placeholder: "TEMPLATE", Complete: CompleteFile,
		Help: "append messages to a file, e.g. log/%t.log",
	},
	{
		Name: "rotate", Tools: Sub, Group: GroupOutput, Type: TypeString,
		Needs:       []Relation{{With: []string{"output-file"}}},
		Placeholder: "SIZE|DURATION",
		Help:        "begin new files, e.g. at 10MB or every 24h",
	},
	{
		Name: "sync", Tools: Sub, Group: GroupOutput, Type: TypeChoice,
		Needs:       []Relation{{With: []string{"output-file"}}},
		Placeholder: "WHEN", Default: "always", Complete: CompleteChoice,
		Choices: []Choice{{"always", nil}, {"interval", nil}, {"never", nil}},
		Help:    "fsync: {values}",
	},
	{
		Name: "repair", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"output-file"}}},
		Help:  "open a damaged journal; loses what follows",
	},
}
