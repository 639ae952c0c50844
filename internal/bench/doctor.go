package bench

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// Limits is what a machine allows a process; 0 where the system does not say.
type Limits struct {
	Files      uint64 // descriptors of a process: the hard limit, to which the soft one is raised
	AllFiles   uint64 // of all processes
	Ports      int    // local ports, over all source addresses, for connections to one address and port
	OwnPorts   bool   // the run chooses the ports, from 1024 up
	Waiting    int    // sockets now in TIME-WAIT, each of which holds a port for a minute
	Memory     uint64 // available bytes
	Conntrack  uint64 // connections that the firewall can track; 0: it tracks none
	Backlog    uint64 // connections that may wait in a listener's accept queue, somaxconn
	SynBacklog uint64 // half-open connections of a listener
	CPUs       int    // processors of the machine that the process may use
	MaxProcs   int    // the part of CPUs that Go uses
}

// allPorts is the number of ports that a run may choose from itself.
const allPorts = 65535 - 1024 + 1

// ThisMachine returns the limits of this machine. sources is the number of addresses to
// connect from, 0 if the system chooses the address. ownPorts says that the run chooses
// the ports, which the lite engine does and std does not.
func ThisMachine(sources int, ownPorts bool) Limits {
	env := result.ThisEnvironment()
	l := Limits{
		Files: env.NoFileHard, AllFiles: number("/proc/sys/fs/file-max"), Memory: available(),
		Conntrack: number("/proc/sys/net/netfilter/nf_conntrack_max"),
		Backlog:   number("/proc/sys/net/core/somaxconn"), SynBacklog: number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
		CPUs: runtime.NumCPU(), MaxProcs: result.Processors(),
	}
	if b, err := os.ReadFile("/proc/net/sockstat"); err == nil {
		l.Waiting = timeWait(string(b))
	}
	if ownPorts {
		l.OwnPorts, l.Ports = true, max(sources, 1)*allPorts
		return l
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		l.Ports = max(sources, 1) * portRange(string(b))
	}
	return l
}

// portRange returns the number of ports in the text of ip_local_port_range.
func portRange(text string) int {
	f := strings.Fields(text)
	if len(f) != 2 {
		return 0
	}
	low, err1 := strconv.Atoi(f[0])
	high, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil || high < low {
		return 0
	}
	return high - low + 1
}

// timeWait returns the number after "tw" in the TCP line of sockstat.
func timeWait(sockstat string) int {
	for line := range strings.Lines(sockstat) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(f); i += 2 {
			if f[i] == "tw" {
				n, _ := strconv.Atoi(f[i+1])
				return n
			}
		}
	}
	return 0
}

// number reads a file that contains a number. It returns 0 if there is none.
func number(path string) uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// available returns the bytes of memory that are free or can be freed.
func available() uint64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kB, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kB << 10
		}
	}
	return 0
}

// Deployment is how a plan is deployed.
type Deployment struct {
	Shards  int  // parts of the plan, of which the machine runs one
	Procs   int  // processes that share this part
	Brokers int  // addresses to connect to
	Std     bool // the engine is std
	Local   bool // the broker is on this machine, and so are both ends of all connections
	Serving bool // the broker is in this process
}

// Finding is the doctor's result for one limit.
type Finding struct {
	What  string // files, ports, memory ...
	Bytes bool   // Needs and Has are bytes
	Needs uint64
	Has   uint64 // 0: not known, or no limit
	Text  string // a sentence without full stop; empty: the limit suffices
	Fix   string // how to raise it
	Fatal bool   // the plan cannot run
}

// CheckMachine compares what a plan needs with the limits of a machine that runs the largest
// of its shards.
func CheckMachine(p *plan.Plan, l Limits, u Deployment) ([]Finding, error) {
	b, err := p.Budget(u.Shards * u.Procs)
	if err != nil {
		return nil, err
	}
	conns := uint64(b.Connections * u.Procs) // of the machine
	brokers := uint64(max(u.Brokers, 1))
	perBroker := (conns + brokers - 1) / brokers
	ends := uint64(1) // of each connection, on this machine
	if u.Local || u.Serving {
		ends = 2
	}

	files := Finding{What: "open files", Needs: uint64(b.Descriptors), Has: l.Files}
	if u.Serving {
		files.Needs += uint64(b.Connections)
	}
	if l.Files > 0 && files.Needs > l.Files {
		files.Fatal = true
		files.Text = fmt.Sprintf("%d open files are needed in a process, and %d are allowed", files.Needs, l.Files)
		files.Fix = fmt.Sprintf("raise the limit: ulimit -Hn %d", files.Needs)
		room := l.Files - min(l.Files, uint64(b.Descriptors-b.Connections))
		switch {
		case u.Serving:
			files.Fix = fmt.Sprintf("run the broker in a separate process, or %s", files.Fix)
		case room > 0:
			files.Fix = fmt.Sprintf("divide the run with --procs %d, or %s", (conns+room-1)/room, files.Fix)
		}
	}
	all := Finding{What: "open files of all processes", Needs: conns * ends, Has: l.AllFiles}
	if l.AllFiles > 0 && all.Needs > l.AllFiles {
		all.Fatal = true
		all.Text = fmt.Sprintf("%d open files are needed, and the machine has %d", all.Needs, l.AllFiles)
		all.Fix = fmt.Sprintf("sysctl fs.file-max=%d", all.Needs*2)
	}
	memory := Finding{What: "memory", Bytes: true, Needs: uint64(u.Procs) * (b.MemoryLite + b.Kernel*ends), Has: l.Memory}
	if u.Std {
		memory.Needs = uint64(u.Procs) * (b.MemoryStd + b.Kernel*ends)
	}
	if l.Memory > 0 && memory.Needs > l.Memory {
		memory.Fatal = true
		memory.Text = fmt.Sprintf("about %d MiB of memory are needed with the kernel's, and %d MiB are available", memory.Needs>>20, l.Memory>>20)
		memory.Fix = "run fewer clients with --scale, or divide the run between machines with --shard"
	}
	track := Finding{What: "tracked connections", Needs: conns, Has: l.Conntrack}
	if l.Conntrack > 0 && track.Needs > l.Conntrack {
		track.Text = fmt.Sprintf("%d connections are more than the %d that the firewall tracks", conns, l.Conntrack)
		track.Fix = fmt.Sprintf("sysctl net.netfilter.nf_conntrack_max=%d, or exempt them from tracking", conns*2)
	}
	cpus := Finding{What: "processors", Needs: uint64(l.CPUs), Has: uint64(l.MaxProcs)}
	if l.MaxProcs < l.CPUs {
		cpus.Text = fmt.Sprintf("%d of %d processors are used", l.MaxProcs, l.CPUs)
		cpus.Fix = "unset GOMAXPROCS, or raise the CPU limit of the container"
	}
	findings := []Finding{files, all, localPorts(l, perBroker), memory, track, cpus}
	if ends == 2 {
		findings = append(findings, listenQueue(l, min(uint64(p.Phases.HalfOpen*u.Procs), conns)))
	}
	return findings, nil
}

// localPorts checks the ports for connections to one address.
func localPorts(l Limits, needs uint64) Finding {
	f := Finding{What: "local ports", Needs: needs, Has: uint64(l.Ports)}
	addresses := (needs + allPorts - 1) / allPorts
	switch {
	case l.Ports > 0 && f.Needs > f.Has:
		f.Fatal = true
		f.Text = fmt.Sprintf("%d connections to one address need as many local ports, and there are %d", needs, l.Ports)
		f.Fix = fmt.Sprintf("connect from %d addresses with --source-ip (all of 127.0.0.0/8 are local), or widen the range: sysctl net.ipv4.ip_local_port_range='1024 65535'", addresses)
		if l.OwnPorts {
			f.Fix = fmt.Sprintf("give %d addresses to --source-ip", addresses)
		}
	case l.Ports > 0 && f.Needs+uint64(l.Waiting) > f.Has:
		f.Text = fmt.Sprintf("%d closed connections may still hold their local ports, in TIME-WAIT", l.Waiting)
		f.Fix = "wait a minute, or connect from other addresses with --source-ip"
	}
	return f
}

// listenQueue checks the queue of the broker's listener, if that is on this machine.
// TCP retries a connection that does not fit after a second, and again later.
func listenQueue(l Limits, halfOpen uint64) Finding {
	f := Finding{What: "listen queue", Needs: halfOpen, Has: min(l.Backlog, l.SynBacklog)}
	if f.Has > 0 && f.Needs > f.Has {
		f.Text = fmt.Sprintf("up to %d connections are begun at once, and a listener's queue here holds %d: some take seconds longer", f.Needs, f.Has)
		f.Fix = fmt.Sprintf("sysctl net.core.somaxconn=%d net.ipv4.tcp_max_syn_backlog=%d, and restart the broker", f.Needs, f.Needs)
	}
	return f
}

// MaxClients returns the largest number of clients that only connect and fit on the machine,
// at most most, and the finding that limits it, which is the zero Finding if none does.
func MaxClients(l Limits, u Deployment, most int) (clients int, bound Finding, err error) {
	low, high := 0, most+1 // low fits, high does not
	for high-low > 1 {
		middle := (low + high) / 2
		f, err := tooMany(l, u, middle)
		if err != nil {
			return 0, Finding{}, err
		}
		if f == nil {
			low = middle
		} else {
			high, bound = middle, *f
		}
	}
	return low, bound, nil
}

// tooMany returns why so many clients do not fit, nil if they do.
func tooMany(l Limits, u Deployment, clients int) (*Finding, error) {
	p, err := plan.Conn(plan.Short{Clients: clients}, plan.Options{})
	if err != nil {
		return nil, err
	}
	findings, err := CheckMachine(p, l, u)
	if err != nil {
		return nil, err
	}
	for i := range findings {
		if findings[i].Fatal {
			return &findings[i], nil
		}
	}
	return nil, nil
}
