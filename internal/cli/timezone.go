package cli

import (
	"encoding/binary"
	"strings"
	"time"
)

// timeZone returns the location that the variable TZ names, which package time reads
// by itself unless it is a rule of POSIX such as CET-1CEST,M3.5.0,M10.5.0/3: nil is
// package time's choice. ok is false for a name that nobody knows here, to which
// package time is silent: it then takes UTC.
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
	// Where the rule cannot be read, the zone of the file itself is taken.
	if zone, _ := time.Unix(0, 0).In(l).Zone(); zone == noZone {
		return nil, false
	}
	return l, true
}

const noZone = "?"

// zoneFile returns a time zone file (RFC 9636) that has nothing but a rule.
func zoneFile(rule string) []byte {
	header := func(b []byte, types, chars uint32) []byte {
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		for _, count := range [...]uint32{0, 0, 0, 0, types, chars} { // UT, standard, leap, transitions, types, abbreviations
			b = binary.BigEndian.AppendUint32(b, count)
		}
		return b
	}
	const zone = "\x00\x00\x00\x00" + "\x00" + "\x00" + noZone + "\x00" // offset, not in summer, where its name is, the name
	names := uint32(len(noZone) + 1)
	b := append(header(nil, 1, names), zone...) // of version 1, which nobody reads
	b = append(header(b, 1, names), zone...)
	return append(b, "\n"+rule+"\n"...)
}
