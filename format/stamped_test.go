package format

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

func TestStamped(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 5, 6, 7, 8, 9, 0, time.FixedZone("", 2*3600))
	ms := []int64{0, 1, 2500, 2500, 700_000, 3_600_000_000}
	for _, c := range []struct {
		f    *Stamped
		want string
	}{
		{&Stamped{}, "2026-05-06T07:08:09.000000+02:00 a x\n2026-05-06T07:08:09.001000+02:00 a x\n2026-05-06T07:08:11.500000+02:00 a x\n2026-05-06T07:08:11.500000+02:00 a x\n" +
			"2026-05-06T07:19:49.000000+02:00 a x\n2026-06-16T23:08:09.000000+02:00 a x\n"},
		{&Stamped{Since: began.Add(-time.Second)}, "  1.000000 a x\n  1.001000 a x\n  3.500000 a x\n  3.500000 a x\n701.000000 a x\n3600001.000000 a x\n"},
		{&Stamped{Since: began.Add(-time.Second), Delta: true}, "  1.000000 a x\n  0.001000 a x\n  2.499000 a x\n  0.000000 a x\n697.500000 a x\n3599300.000000 a x\n"},
		{&Stamped{Since: began.Add(time.Second), Color: "<", End: ">"}, "<  0.000000> a x\n<  0.000000> a x\n<  1.500000> a x\n<  1.500000> a x\n<699.000000> a x\n<3599999.000000> a x\n"},
	} {
		c.f.Formatter = &Plain{Topic: true, End: "\n"}
		var got []byte
		for _, n := range ms {
			var err error
			if got, err = c.f.Append(got, &mqtt.Message{Topic: "a", Payload: []byte("x")}, began.Add(time.Duration(n)*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != c.want {
			t.Errorf("got\n%swant\n%s", got, c.want)
		}
	}
	// What is left out has no time, and is not what the next time counts from.
	f := &Stamped{Formatter: &Plain{End: "\n"}, Since: began, Delta: true}
	got, _ := f.Append(nil, &mqtt.Message{Topic: "a"}, began.Add(time.Second))
	if got, _ = f.Append(got, &mqtt.Message{Topic: "a", Payload: []byte("x")}, began.Add(3*time.Second)); string(got) != "  3.000000 x\n" {
		t.Errorf("got %q", got)
	}
}

// TestTopicsHaveColors: a topic has the same color in every run, and topics differ.
func TestTopicsHaveColors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "kitchen/temperature", "kitchen/humidity", "hall/temperature", "x/1", "x/2", "x/3", "x/4"} {
		seen[Colors.of(name)] = true
	}
	if len(seen) < 5 {
		t.Errorf("ten topics have only %d colors", len(seen))
	}
	if Colors.of("a") != "\x1b[36m" || (&Palette{Topic: "x"}).of("a") != "x" {
		t.Error("the color of a topic changes")
	}
}
