package cli

import (
	"encoding/binary"
	"strings"
	"time"
)

// timeZone returns the location that the variable TZ names. Package time reads it by
// itself, unless it is a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3; nil means that
// package time's choice is right. ok is false for a name that is unknown on this machine,
// for which package time silently uses UTC.
func timeZone(tz string) (l *time.Location, ok bool) {
	name := strings.TrimPrefix(tz, ":")
	if name == "" || strings.HasPrefix(name, "/") {
		return nil, true
	}
	if _, err := time.LoadLocation(name); err == nil {
		return nil, true
	}
	l, err := time.LoadLocationFromTZData("Local", zoneFile(name))
	if err != nil {
		return nil, false
	}
	// If the rule cannot be parsed, the zone of the file itself is used.
	if zone, _ := time.Unix(0, 0).In(l).Zone(); zone == noZone {
		return nil, false
	}
	return l, true
}

const noZone = "?"

// zoneFile returns a time zone file (RFC 9636) that contains only a rule.
func zoneFile(rule string) []byte {
	header := func(b []byte, types, chars uint32) []byte {
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		for _, count := range [...]uint32{0, 0, 0, 0, types, chars} { // UT, standard, leap, transitions, types, abbreviations
			b = binary.BigEndian.AppendUint32(b, count)
		}
		return b
	}
	const zone = "\x00\x00\x00\x00" + "\x00" + "\x00" + noZone + "\x00" // offset, not daylight saving time, index of the name, the name
	names := uint32(len(noZone) + 1)
	b := append(header(nil, 1, names), zone...) // of version 1, which is not used
	b = append(header(b, 1, names), zone...)
	return append(b, "\n"+rule+"\n"...)
}
