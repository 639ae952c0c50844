package option

var outputOptions = []Option{
	{
		Name: "verbose", Short: "v", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "write the topic before the payload",
	},
	{
		Name: "no-newline", Short: "N", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"print0"}}},
		Needs:    []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:     "write no newline after a message",
	},
	{
		Name: "format", Short: "F", Tools: PubSub, Group: GroupOutput, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"json"}},
			{With: []string{"pretty"}, Native: true},
		},
		Needs:       []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Placeholder: "FORMAT",
		Help:        "write messages after this pattern, as '%t %q %p'",
	},
	{
		Name: "json", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{
			{With: []string{"pretty"}, Native: true},
			{With: []string{"verbose", "no-newline", "print0"}},
		},
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "write each message as one line of JSON that loses nothing",
	},
	{
		Name: "pretty", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"no-newline", "print0"}, Native: true}},
		Needs:    []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:     "write messages for reading: details, indented JSON, hex dumps",
	},
	{
		Name: "json-payload", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{
			{With: []string{"request"}, Or: []string{"response-topic"}},
			{With: []string{"json"}},
		},
		Help: "with --json, put payloads that are JSON in as they are",
	},
	{
		Name: "print0", Short: "0", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Help: "end each message with a NUL byte",
	},
	{
		Name: "watch", Short: "w", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"message-rate", "retained-only"}}},
		Help:     "show the latest message of every topic, on a terminal",
	},
	{
		Name: "message-rate", Tools: Sub, Group: GroupOutput, Type: TypeBool,
		Excludes: []Relation{{With: []string{"retained-only"}}},
		Help:     "write how many messages came in each second, instead of them",
	},
	{
		Name: "raw", Tools: PubSub, Group: GroupOutput, Type: TypeBool,
		Needs: []Relation{{With: []string{"request"}, Or: []string{"response-topic"}}},
		Help:  "do not escape control characters on a terminal",
	},
}
