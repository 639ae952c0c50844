package cli

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/mqtools/mqtools/internal/option"
)

// version is set by the release build:
// -ldflags "-X github.com/mqtools/mqtools/internal/cli.version=1.2.3".
var version string

// VersionLine returns the output of --version, without newline:
//
//	mqsub 1.2.3 (0123456789ab) go1.26.0 linux/amd64, MQTT 3.1, 3.1.1, 5.0
func VersionLine(tool string) string {
	info, _ := debug.ReadBuildInfo()
	return versionLine(tool, version, info)
}

// Version returns the version of the program: what the release build set, else the module's
// version, else "(devel)".
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(version, info)
}

func versionOf(set string, info *debug.BuildInfo) string {
	switch {
	case set != "":
		return set
	case info != nil && info.Main.Version != "":
		return info.Main.Version
	}
	return "(devel)"
}

func versionLine(tool, set string, info *debug.BuildInfo) string {
	commit, dirty := "unknown commit", ""
	if info != nil {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case "vcs.modified":
				if s.Value == "true" {
					dirty = ", modified"
				}
			}
		}
	}
	return tool + " " + versionOf(set, info) + " (" + commit + dirty + ") " + runtime.Version() + " " +
		runtime.GOOS + "/" + runtime.GOARCH + ", MQTT 3.1, 3.1.1, 5.0"
}

// help returns the output of --help if a command line asks for it, whatever else is wrong
// with the line. The error is that of an unknown topic.
func (e *Env) help(t option.Program) (page string, asked *option.Program, err error) {
	topic, color, has := t.AskedHelp(e.Args)
	if !has {
		return "", nil, nil
	}
	page, err = option.Help(&t, topic, UseColor(cmp.Or(color, e.Getenv("MQ_COLOR"), "auto"), e.Lookup, e.StdoutIsTerminal))
	return page, &t, err
}
