package cli

import (
	"testing"
	"time"
)

func TestRulesOfPOSIXAreTimeZones(t *testing.T) {
	t.Parallel()
	winter, summer := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)
	for tz, want := range map[string][2]string{
		"CET-1CEST,M3.5.0,M10.5.0/3":  {"13:00 CET", "14:00 CEST"},
		":CET-1CEST,M3.5.0,M10.5.0/3": {"13:00 CET", "14:00 CEST"},
		"<+0530>-5:30":                {"17:30 +0530", "17:30 +0530"},
		"XST3":                        {"09:00 XST", "09:00 XST"},
		"NZST-12NZDT,M9.5.0,M4.1.0/3": {"01:00 NZDT", "00:00 NZST"},
		"XST5XDT":                     {"07:00 XST", "08:00 XDT"},
	} {
		l, ok := timeZone(tz)
		if !ok || l == nil {
			t.Errorf("%s: got %v, %v", tz, l, ok)
			continue
		}
		got := [2]string{winter.In(l).Format("15:04 MST"), summer.In(l).Format("15:04 MST")}
		if got != want {
			t.Errorf("%s: got %q, want %q", tz, got, want)
		}
	}
	for _, tz := range []string{"", ":", "UTC", ":UTC", "/usr/share/zoneinfo/UTC"} {
		if l, ok := timeZone(tz); l != nil || !ok {
			t.Errorf("%q: got %v, %v; it is package time's to know", tz, l, ok)
		}
	}
	for _, tz := range []string{"Europe/Nowhere", "CET-1CEST,X", "nonsense", "A1"} {
		if l, ok := timeZone(tz); l != nil || ok {
			t.Errorf("%q: got %v, %v, want not known", tz, l, ok)
		}
	}
}
