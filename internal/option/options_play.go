package option

var playOptions = []Option{
	{
		Name: "listen", Tools: Bench, For: CommandPlay, Group: GroupPlay, Type: TypeListen,
		Excludes:    []Relation{{With: []string{"connect"}}},
		Placeholder: "ADDR",
		Help:        "play a broker on PORT, HOST:PORT or a URL to the client under test",
	},
	{
		Name: "connect", Tools: Bench, For: CommandPlay, Group: GroupPlay, Type: TypeString,
		Placeholder: "ADDR", Complete: CompleteHost,
		Help: "play clients to the broker under test at HOST, HOST:PORT or a URL",
	},
}
