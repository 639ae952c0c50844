package swarm

import (
	"bufio"
	"fmt"
	"net"
	"os"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// sinkVar makes the test binary a sink: a server that accepts every client, answers
// what must be answered, and sends N messages of SIZE bytes at QoS 0 to each client
// that subscribes to src/N/SIZE. It is a separate process, so that only the swarm is
// measured here.
const sinkVar = "SWARM_TEST_SINK"

func runSink() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	go func() { // ends with the parent
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	for {
		c, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		go serveSink(c)
	}
}

func serveSink(c net.Conn) {
	defer c.Close()
	in, have := make([]byte, 256), 0
	var out []byte
	for {
		n, err := c.Read(in[have:])
		if err != nil {
			return
		}
		have += n
		b := in[:have]
		for {
			f, n, err := packet.Split(b, packet.V311, 0)
			if err != nil || f.Type == packet.DISCONNECT {
				return
			}
			if n == 0 {
				break
			}
			b = b[n:]
			switch f.Type {
			case packet.CONNECT:
				out = append(out, 0x20, 2, 0, 0)
			case packet.PUBLISH:
				if f.Flags&6 != 0 {
					at := 2 + int(f.Body[0])<<8 + int(f.Body[1])
					out = append(out, 0x40, 2, f.Body[at], f.Body[at+1])
				}
			case packet.SUBSCRIBE:
				out = append(out, 0x90, 3, f.Body[0], f.Body[1], 0)
				var count, size int
				if _, err := fmt.Sscanf(string(f.Body[4:len(f.Body)-1]), "src/%d/%d", &count, &size); err == nil {
					go flood(c, count, size)
				}
			case packet.PINGREQ:
				out = append(out, 0xd0, 0)
			}
		}
		have = copy(in, b)
		if have == len(in) || n == len(in) {
			in = append(in, make([]byte, min(len(in)*3, 256<<10))...)
		}
		if len(out) > 0 {
			c.Write(out)
			out = out[:0]
		}
	}
}

func flood(c net.Conn, count, size int) {
	m := publish(0, "src", string(make([]byte, size)))
	var b []byte
	for range min(count, 1000) {
		b, _ = m.AppendTo(b, packet.V311)
	}
	for each := len(b) / min(count, 1000); count > 0; count -= len(b) / each {
		b = b[:min(len(b), count*each)]
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}
