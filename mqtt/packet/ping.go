package packet

// Ping is one of PINGREQ and PINGRESP (sections 3.12 and 3.13), which have no
// body.
type Ping struct {
	Type Type // PINGREQ or PINGRESP
}

// AppendTo appends the packet.
func (p *Ping) AppendTo(dst []byte, _ Version) ([]byte, error) {
	return append(dst, byte(p.Type)<<4, 0), nil
}

// Parse decodes the packet; Type is taken from f.
func (p *Ping) Parse(f Frame, _ Version) error {
	p.Type = f.Type
	r := reader{b: f.Body, typ: f.Type}
	return r.end()
}
