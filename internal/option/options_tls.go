package option

var tlsOptions = []Option{
	{
		Name: "tls", Tools: All, Group: GroupTLS, Type: TypeBool,
		Excludes: []Relation{{With: []string{"no-tls"}}},
		Help:     "use TLS; trust the system's CAs",
	},
	{
		Name: "cafile", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "use TLS; trust the CA certificates in FILE",
	},
	{
		Name: "capath", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "DIR", Complete: CompleteDir,
		Help: "use TLS; trust the CA certificates in DIR",
	},
	{
		Name: "tls-use-os-certs", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeBool,
		Help: "also trust the system's CAs",
	},
	{
		Name: "cert", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"key"}, Always: true}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "client certificate (PEM); needs --key",
	},
	{
		Name: "key", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"cert"}, Always: true}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "private key of --cert (PEM)",
	},
	{
		Name: "key-password-file", Tools: All, Group: GroupTLS, Type: TypeString, Stdin: true,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read the password of --key from FILE",
	},
	{
		Name: "tls-server-name", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "NAME", Complete: CompleteHost,
		Help: "expect a certificate for NAME, not for --host",
	},
	{
		Name: "tls-pin", Tools: All, Group: GroupTLS, Type: TypeString, Repeat: true,
		Placeholder: "SHA256",
		Help:        "trust only this certificate or key (repeatable)",
	},
	{
		Name: "tls-version", Tools: All, Group: GroupTLS, Type: TypeChoice,
		Placeholder: "VERSION", Default: "1.2", Complete: CompleteChoice,
		Choices: []Choice{
			{"1.2", []string{"tlsv1.2"}},
			{"1.3", []string{"tlsv1.3"}},
		},
		Help: "minimum version: {values}",
	},
	{
		Name: "ciphers", Tools: All, Group: GroupTLS, Type: TypeString,
		Placeholder: "LIST",
		Help:        "TLS 1.2 ciphers: OpenSSL names joined by \":\"",
	},
	{
		Name: "tls-alpn", Tools: All, Group: GroupTLS, Type: TypeString, Repeat: true,
		Placeholder: "PROTOCOL",
		Help:        "offer this ALPN protocol (repeatable)",
	},
	{
		Name: "tls-keylog", Tools: All, Group: GroupTLS, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "append TLS secrets to FILE, for Wireshark",
	},
	{
		Name: "insecure", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeBool,
		Help: "verify nothing; with a CA or pin, not the name",
	},
	{
		Name: "no-tls", Tools: All, Group: GroupTLS, Type: TypeBool,
		Excludes: []Relation{{With: []string{"cafile", "capath", "tls-use-os-certs", "cert", "key", "tls-pin"}, Native: true}},
		Help:     "never use TLS, not even on port 8883",
	},
	{
		Name: "psk", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Excludes:    []Relation{{With: []string{"cafile", "capath"}}},
		Needs:       []Relation{{With: []string{"psk-identity"}, Always: true}},
		Placeholder: "KEY", Secret: true,
		Help: "not supported: TLS with pre-shared keys",
	},
	{
		Name: "psk-identity", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"psk"}, Always: true}},
		Placeholder: "IDENTITY",
		Help:        "not supported: needs --psk",
	},
	{
		Name: "keyform", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeChoice,
		Needs:       []Relation{{With: []string{"key"}, Always: true}},
		Placeholder: "FORM", Complete: CompleteChoice,
		Choices: []Choice{{"pem", nil}, {"engine", nil}},
		Help:    "only pem: OpenSSL engines are not supported",
	},
	{
		Name: "tls-engine", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Placeholder: "ENGINE",
		Help:        "not supported: OpenSSL engines",
	},
	{
		Name: "tls-engine-kpass-sha1", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Needs: []Relation{
			{With: []string{"tls-engine"}, Always: true},
			{With: []string{"keyform"}, Always: true},
		},
		Placeholder: "SHA1", Secret: true,
		Help: "not supported: OpenSSL engines",
	},
}
