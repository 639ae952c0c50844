package option

var playOptions = []Option{
	{
		Name: "listen", Tools: Bench, For: CommandPlay, Group: GroupPlay, Type: TypeListen,
		Excludes:    []Relation{{With: []string{"connect"}}},
		Placeholder: "ADDR",
		Help:        "play the broker on ADDR, to test a client",
	},
	{
		Name: "connect", Tools: Bench, For: CommandPlay, Group: GroupPlay, Type: TypeString,
		Placeholder: "ADDR", Complete: CompleteHost,
		Help: "play clients at ADDR, to test a broker",
	},
}
