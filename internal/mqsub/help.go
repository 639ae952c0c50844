package mqsub

// brief are the options that the short help shows.
var brief = map[string][]string{
	"": {"topic", "host", "url", "username", "cafile", "qos", "verbose", "json", "pretty", "count", "timeout", "serve", "debug"},
}
