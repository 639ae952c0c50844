package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestVersionLine(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.4.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	tail := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ", MQTT 3.1, 3.1.1, 5.0"
	for _, c := range []struct {
		set  string
		info *debug.BuildInfo
		want string
	}{
		{"", nil, "mqsub (devel) (unknown commit)" + tail},
		{"", info, "mqsub v1.4.0 (0123456789ab, modified)" + tail},
		{"1.5.0", info, "mqsub 1.5.0 (0123456789ab, modified)" + tail},
		{"", &debug.BuildInfo{}, "mqsub (devel) (unknown commit)" + tail},
	} {
		if got := versionLine("mqsub", c.set, c.info); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
