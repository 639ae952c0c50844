package mqpub

// brief are the options that the short help shows.
var brief = map[string][]string{
	"": {"topic", "message", "file", "stdin-line", "input", "qos", "retain", "request", "host", "url", "username", "cafile", "debug"},
}
