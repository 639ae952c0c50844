package result

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// processors is GOMAXPROCS before a swarm raises it.
var processors = runtime.GOMAXPROCS(0)

// Processors returns how many processors the process may use at a time: GOMAXPROCS at
// its start.
func Processors() int { return processors }

// Environment describes the machine and the program that ran a shard. A field is empty
// or 0 if the system does not provide it.
type Environment struct {
	Hostname   string `json:"hostname"`
	OS         string `json:"os"`     // GOOS/GOARCH
	Kernel     string `json:"kernel"` // release
	CPU        string `json:"cpu"`    // model
	CPUs       int    `json:"cpus"`   // that the process may use
	GOMAXPROCS int    `json:"gomaxprocs"`
	Memory     int64  `json:"memory"`      // of the machine, in bytes
	NoFile     uint64 `json:"nofile"`      // soft limit of open files
	NoFileHard uint64 `json:"nofile_hard"` // hard limit
	Clock      string `json:"clock"`       // clock source
	Go         string `json:"go"`          // version
}

// ThisEnvironment returns the environment of this process. Kernel, CPU, Memory and
// Clock are known only on Linux.
func ThisEnvironment() Environment {
	e := Environment{
		OS:         runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		CPU:        procValue("/proc/cpuinfo", "model name"),
		CPUs:       runtime.NumCPU(),
		GOMAXPROCS: processors,
		Clock:      firstLine("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		Go:         runtime.Version(),
	}
	e.Hostname, _ = os.Hostname()
	if kB, err := strconv.ParseInt(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		e.Memory = kB << 10
	}
	e.NoFile, e.NoFileHard = noFile()
	return e
}

func firstLine(path string) string {
	b, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// procValue returns the value of the first "name : value" line of a file.
func procValue(path, name string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
