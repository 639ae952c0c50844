package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// Limits are what a machine grants a process; 0 where the system does not tell.
type Limits struct {
	Files     uint64 // descriptors of a process, the hard limit, to which the soft one is raised
	AllFiles  uint64 // of all processes
	Ports     int    // local ports of one address for connections to one address and port
	OwnPorts  bool   // the ports are chosen by the run, from 1024 on
	Memory    uint64 // bytes that are available
	Conntrack uint64 // connections that the firewall follows; 0: it follows none
}

// ThisMachine are the limits here, with sources addresses to connect from, 0 for
// that of the system's choice. ownPorts tells that the run chooses the ports.
func ThisMachine(sources int, ownPorts bool) Limits {
	env := result.ThisEnvironment()
	l := Limits{Files: env.NoFileHard, AllFiles: number("/proc/sys/fs/file-max"), Conntrack: number("/proc/sys/net/netfilter/nf_conntrack_max"), Memory: available()}
	if ownPorts {
		l.OwnPorts, l.Ports = true, max(sources, 1)*(65535-1024+1)
		return l
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if f := strings.Fields(string(b)); len(f) == 2 {
			low, err1 := strconv.Atoi(f[0])
			high, err2 := strconv.Atoi(f[1])
			if err1 == nil && err2 == nil && high >= low {
				l.Ports = high - low + 1
			}
		}
	}
	return l
}

// number reads a file with a number; 0 if there is none.
func number(path string) uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// available is the memory that is free or can be made so.
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

// Finding is what the doctor says of one limit.
type Finding struct {
	What  string // files, ports, memory ...
	Needs uint64
	Has   uint64
	Text  string // a sentence without full stop; empty: enough
	Fix   string // what helps
	Fatal bool   // the plan cannot run
}

// Examine compares what a plan needs, of the largest of some shards, with the
// limits. procs is how many processes share the machine, brokers how many
// addresses there are to connect to.
func Examine(p *plan.Plan, l Limits, shards, procs, brokers int) ([]Finding, error) {
	b, err := p.Budget(shards * procs)
	if err != nil {
		return nil, err
	}
	perMachine := b.Connections * procs
	ports := (perMachine + brokers - 1) / brokers
	files := Finding{What: "open files", Needs: uint64(b.Descriptors), Has: l.Files}
	if l.Files > 0 && files.Needs > l.Files {
		fit := l.Files - uint64(b.Descriptors-b.Connections)
		files.Fatal = true
		files.Text = fmt.Sprintf("%d open files are needed in a process, and %d are allowed", files.Needs, l.Files)
		files.Fix = fmt.Sprintf("divide the run with --procs %d, or raise the limit: ulimit -Hn %d", (uint64(perMachine)+fit-1)/max(fit, 1), files.Needs)
	}
	local := Finding{What: "local ports", Needs: uint64(ports), Has: uint64(l.Ports)}
	if l.Ports > 0 && ports > l.Ports {
		local.Fatal = true
		local.Text = fmt.Sprintf("%d connections to one address need as many local ports, and there are %d", ports, l.Ports)
		const own = 65535 - 1024 + 1
		local.Fix = fmt.Sprintf("connect from %d addresses with --source-ip (all of 127.0.0.0/8 are local), or widen the range: sysctl net.ipv4.ip_local_port_range='1024 65535'", (ports+own-1)/own)
		if l.OwnPorts {
			local.Fix = fmt.Sprintf("give %d addresses to --source-ip", (ports+own-1)/own)
		}
	}
	memory := Finding{What: "memory", Needs: uint64(procs)*b.MemoryLite + uint64(procs)*b.Kernel, Has: l.Memory}
	if l.Memory > 0 && memory.Needs > l.Memory {
		memory.Fatal = true
		memory.Text = fmt.Sprintf("about %d MiB of memory are needed with the kernel's, and %d MiB are available", memory.Needs>>20, l.Memory>>20)
		memory.Fix = "run fewer clients with --scale, or divide the run between machines with --shard"
	}
	track := Finding{What: "tracked connections", Needs: uint64(perMachine), Has: l.Conntrack}
	if l.Conntrack > 0 && track.Needs > l.Conntrack {
		track.Text = fmt.Sprintf("%d connections are more than the %d that the firewall follows", perMachine, l.Conntrack)
		track.Fix = fmt.Sprintf("sysctl net.netfilter.nf_conntrack_max=%d, or leave them out of the tracking", perMachine*2)
	}
	all := Finding{What: "open files of all processes", Needs: uint64(perMachine), Has: l.AllFiles}
	if l.AllFiles > 0 && all.Needs > l.AllFiles {
		all.Fatal = true
		all.Text = fmt.Sprintf("%d connections are more than the %d open files of the machine", perMachine, l.AllFiles)
		all.Fix = fmt.Sprintf("sysctl fs.file-max=%d", perMachine*2)
	}
	return []Finding{files, all, local, memory, track}, nil
}
