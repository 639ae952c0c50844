package option

// Options of the subcommands of "context", besides those of the tool.
var (
	ContextForce = []Option{{Name: "force", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, AboutFile: true, Help: "replace a context of the same name"}}
	ContextNone  = []Option{{Name: None, Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "make no context the current one"}}
	ContextNames = []Option{{Name: "names", Tools: All, Group: GroupGeneral, Type: TypeBool, NoEnv: true, Help: "print the names alone"}}
)
