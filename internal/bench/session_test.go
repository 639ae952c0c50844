package bench

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/swarm"
)

// A session that an earlier run has left is ended before messages go out under its
// packet identifiers.
func TestPublishersAtQoS2EndTheSessionOfAnEarlierRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for name, w := range map[string]struct {
			version string
			qos     string
			talks   func(p *peer) []func()
		}{
			"5.0": {"5", "2", func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 13 0004 4d515454 05 00 003c 05 11 0000003c 0001 63")
					p.send("20 03 01 00 00")
					p.expect("e0 00")
				}, func() {
					p.expect("10 13 0004 4d515454 05 02 003c 05 11 0000003c 0001 63")
					p.send("20 03 00 00 00")
					p.expect("34 07 0001 74 0001 00 78")
					p.send("50 02 0001")
					p.expect("62 02 0001")
					p.send("70 02 0001")
					p.expect("e0 00")
				}}
			}},
			"3.1.1": {"3.1.1", "2", func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 0d 0004 4d515454 04 00 003c 0001 63")
					p.send("20 02 01 00")
					p.expect("e0 00")
				}, func() {
					p.expect("10 0d 0004 4d515454 04 02 003c 0001 63")
					p.send("20 02 00 00")
					p.expect("e0 00")
				}, func() {
					p.expect("10 0d 0004 4d515454 04 00 003c 0001 63")
					p.send("20 02 00 00")
					p.expect("34 06 0001 74 0001 78")
					p.send("50 02 0001")
					p.expect("62 02 0001")
					p.send("70 02 0001")
					p.expect("e0 00")
				}}
			}},
			"3.1, which does not tell": {"3.1", "2", func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 0f 0006 4d5149736470 03 02 003c 0001 63")
					p.send("20 02 00 00")
					p.expect("e0 00")
				}, func() {
					p.expect("10 0f 0006 4d5149736470 03 00 003c 0001 63")
					p.send("20 02 00 00")
					p.expect("34 06 0001 74 0001 78")
					p.send("50 02 0001")
					p.expect("62 02 0001")
					p.send("70 02 0001")
					p.expect("e0 00")
				}}
			}},
			"QoS 1, where it does no harm": {"3.1.1", "1", func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 0d 0004 4d515454 04 00 003c 0001 63")
					p.send("20 02 01 00")
					p.expect("32 06 0001 74 0001 78")
					p.send("40 02 0001")
					p.expect("e0 00")
				}}
			}},
		} {
			p := newPeer(t)
			done := p.serve(w.talks(p)...)
			expiry := ""
			if w.version == "5" {
				expiry = "session-expiry: 60s\n"
			}
			o := play(t, "version: "+w.version+"\nkeepalive: 60s\n"+expiry+`
phases: {settle: 0s, warm-up: 0s, measure: 100ms, drain: 5s}
groups: {pubs: {clients: 1, client-id: c, clean-start: false, publish: {topic: t, qos: `+w.qos+`, payload: {template: x}, rate: 100/s, messages: 1}}}
`, over(e, at(t, p.ln.Addr().String())))
			<-done
			if o.Total.Sent != 1 || o.Total.Acked != 1 {
				t.Errorf("%s: %+v", name, o.Total)
			}
			o.want("pubs", map[string]int64{"attempts": 1, "connects": 1, "losses": 0})
		}
	})
}
