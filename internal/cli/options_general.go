package cli

var generalOptions = []Option{
	{
		Name: "debug", Short: "d", Tools: All, Group: GroupGeneral, Type: TypeBool,
		Help: "tell every packet on standard error",
	},
	{
		Name: "quiet", Tools: All, Group: GroupGeneral, Type: TypeBool,
		Help: "tell errors only",
	},
	{
		Name: "color", Tools: All, Group: GroupGeneral, Type: TypeChoice,
		Placeholder: "WHEN", Default: "auto", Complete: CompleteChoice,
		Choices: []Choice{{"auto", nil}, {"always", nil}, {"never", nil}},
		Help:    "colour: always, never, or auto, which is on a terminal",
	},
	{
		Name: "help", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true,
		Help: "show this help and end",
	},
	{
		Name: "version", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true,
		Help: "show the version and end",
	},
}
