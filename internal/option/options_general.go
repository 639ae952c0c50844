package option

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
		Name: "context", Tools: All, Group: GroupGeneral, Type: TypeString, NoKey: true,
		Placeholder: "NAME", Complete: CompleteContext,
		Help: "take options from this context of the configuration file, in place of the current one; none takes no context",
	},
	{
		Name: "config", Tools: All, Group: GroupGeneral, Type: TypeString, NoKey: true, AboutFile: true,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read this configuration file in place of the user's and the system's; none reads no file",
	},
	{
		Name: "options-file", Short: "o", Tools: All, Group: GroupGeneral, Type: TypeString, NoEnv: true, AboutFile: true,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read options from FILE, one a line, as mosquitto's clients do; the command line goes before",
	},
	{
		Name: "show-config", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true,
		Help: "show the value of every option and where it comes from, and end",
	},
	{
		Name: "completion", Tools: All, Group: GroupGeneral, Type: TypeChoice, NoEnv: true,
		Placeholder: "SHELL", Complete: CompleteChoice,
		Choices: []Choice{{"bash", nil}, {"zsh", nil}, {"fish", nil}, {"powershell", nil}},
		Help:    "write the completion script for bash, zsh, fish or powershell and end",
	},
	{
		Name: "compat", Tools: PubSub, Group: GroupGeneral, Type: TypeChoice, NoEnv: true,
		Placeholder: "PROGRAM", Complete: CompleteChoice,
		Choices: []Choice{{"mosquitto", nil}, {"mosquitto_pub", nil}, {"mosquitto_sub", nil}, {"mosquitto_rr", nil}},
		Help:    "as the first word: read the rest and end as mosquitto_pub, mosquitto_sub or mosquitto_rr; a link of that name does the same",
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
