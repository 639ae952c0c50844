package plan

// HeaderSize is the length of the header that a payload has room for, in bytes.
const HeaderSize = 16

// Payload is what messages carry.
type Payload struct {
	header bool
}

// HasHeader tells whether the first HeaderSize bytes of every payload belong to
// the runner. Otherwise deliveries are only counted.
func (p *Payload) HasHeader() bool { return p.header }
