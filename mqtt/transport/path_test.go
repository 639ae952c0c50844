package transport

import "testing"

func TestPathsOfWindowsAreShownAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ goos, path, want string }{
		{"windows", `C:\dir\a b.pem`, `"C:\dir\a b.pem"`},
		{"windows", "C:\\a\nb", `"C:\a\nb"`},
		{"linux", `/a\b`, `"/a\\b"`},
	} {
		if got := quotePath(c.goos, c.path); got != c.want {
			t.Errorf("%s: got %s, want %s", c.goos, got, c.want)
		}
	}
}

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
