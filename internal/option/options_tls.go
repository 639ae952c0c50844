package option

var tlsOptions = []Option{
	{
		Name: "tls", Tools: All, Group: GroupTLS, Type: TypeBool,
		Excludes: []Relation{{With: []string{"no-tls"}}},
		Help:     "use TLS and verify the broker with the system's certificates",
	},
	{
		Name: "cafile", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "use TLS and trust the certificates in FILE (PEM)",
	},
	{
		Name: "capath", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "DIR", Complete: CompleteDir,
		Help: "use TLS and trust the certificates in the files of DIR (PEM)",
	},
	{
		Name: "cert", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"key"}, Always: true}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "client certificate (PEM), goes with --key",
	},
	{
		Name: "key", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"cert"}, Always: true}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "private key of the client certificate (PEM)",
	},
	{
		Name: "key-password-file", Tools: All, Group: GroupTLS, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read the password of an encrypted --key from FILE; without it a terminal is asked",
	},
	{
		Name: "insecure", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeBool,
		Help: "don't verify the broker's certificate; with a CA file or directory, only its name",
	},
	{
		Name: "tls-server-name", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeString,
		Placeholder: "NAME", Complete: CompleteHost,
		Help: "ask for and verify this name in place of the host's",
	},
	{
		Name: "tls-version", Tools: All, Group: GroupTLS, Type: TypeChoice,
		Placeholder: "VERSION", Default: "1.2", Complete: CompleteChoice,
		Choices: []Choice{
			{"1.2", []string{"tlsv1.2"}},
			{"1.3", []string{"tlsv1.3"}},
		},
		Help: "lowest TLS version accepted: 1.2 or 1.3",
	},
	{
		Name: "ciphers", Tools: All, Group: GroupTLS, Type: TypeString,
		Placeholder: "LIST",
		Help:        "cipher suites of TLS 1.2 that are allowed, by OpenSSL's names with colons between them",
	},
	{
		Name: "tls-pin", Tools: All, Group: GroupTLS, Type: TypeString, Repeat: true,
		Placeholder: "SHA256",
		Help:        "trust this certificate alone: its SHA-256 in hex, or sha256//BASE64 of its public key; may be repeated",
	},
	{
		Name: "tls-keylog", Tools: All, Group: GroupTLS, Type: TypeString,
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "append the secrets of the connections to FILE, for Wireshark",
	},
	{
		Name: "tls-alpn", Tools: All, Group: GroupTLS, Type: TypeString, Repeat: true,
		Placeholder: "PROTOCOL",
		Help:        "offer this application protocol; may be repeated",
	},
	{
		Name: "tls-use-os-certs", Tools: All, For: commandsPlan | CommandPlay, Group: GroupTLS, Type: TypeBool,
		Help: "trust the system's certificates beside those of --cafile and --capath",
	},
	{
		Name: "no-tls", Tools: All, Group: GroupTLS, Type: TypeBool,
		Help: "never use TLS, not even on port 8883",
	},
	{
		Name: "psk", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Excludes:    []Relation{{With: []string{"cafile", "capath"}}},
		Needs:       []Relation{{With: []string{"psk-identity"}, Always: true}},
		Placeholder: "KEY", Secret: true,
		Help: "known from mosquitto and refused: there is no TLS with pre-shared keys here",
	},
	{
		Name: "psk-identity", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Needs:       []Relation{{With: []string{"psk"}, Always: true}},
		Placeholder: "IDENTITY",
		Help:        "goes with --psk",
	},
	{
		Name: "keyform", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeChoice,
		Needs:       []Relation{{With: []string{"key"}, Always: true}},
		Placeholder: "FORM", Complete: CompleteChoice,
		Choices: []Choice{{"pem", nil}, {"engine", nil}},
		Help:    "form of --key: pem; engine is known from mosquitto and refused",
	},
	{
		Name: "tls-engine", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Placeholder: "ENGINE",
		Help:        "known from mosquitto and refused: there are no engines of OpenSSL here",
	},
	{
		Name: "tls-engine-kpass-sha1", Tools: All, Hidden: true, Group: GroupTLS, Type: TypeString,
		Needs: []Relation{
			{With: []string{"tls-engine"}, Always: true},
			{With: []string{"keyform"}, Always: true},
		},
		Placeholder: "SHA1", Secret: true,
		Help: "goes with --tls-engine and --keyform engine",
	},
}
