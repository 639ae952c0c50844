package spelling

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"publish", "subscribe", "settle", "warm-up"}
	for word, want := range map[string]string{"publsih": "publish", "warmup": "warm-up", "setle": "settle", "xyz": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"abc", "abc", 0}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
