package transport

import "testing"

func TestADriveOfWindowsBeginsASocketPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ goos, rest, want string }{
		{"windows", `C:\dir\sock`, `C:\dir\sock`},
		{"windows", "c:/dir/sock", "c:/dir/sock"},
		{"windows", "/C:/dir/sock", "C:/dir/sock"},
		{"windows", "C:sock", ""},
		{"windows", "broker:1883", ""},
		{"windows", "1:/sock", ""},
		{"windows", "/dir/sock", ""},
		{"linux", `C:\dir\sock`, ""},
		{"linux", "/C:/dir/sock", ""},
	} {
		if got := drivePath(c.goos, c.rest); got != c.want {
			t.Errorf("%s: unix://%s: got %q, want %q", c.goos, c.rest, got, c.want)
		}
	}
}
