package fileerror

import "testing"

func TestPathsOfWindowsAreShownAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ goos, path, want string }{
		{"windows", `C:\dir\a b.pem`, `"C:\dir\a b.pem"`},
		{"windows", "C:\\a\nb", `"C:\a\nb"`},
		{"linux", `/a\b`, `"/a\\b"`},
	} {
		if got := quote(c.goos, c.path); got != c.want {
			t.Errorf("%s: got %s, want %s", c.goos, got, c.want)
		}
	}
}
