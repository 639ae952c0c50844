package bench

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/plan"
)

// roomy has enough of everything for ten thousand clients.
var roomy = Limits{Files: 20_000, AllFiles: 100_000, Ports: 28_232, Memory: 1 << 30, Backlog: 4096, SynBacklog: 4096, CPUs: 4, MaxProcs: 4}

// one is a process that connects to a broker on another machine.
var one = Deployment{Shards: 1, Procs: 1, Brokers: 1}

func TestExamine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		clients  int
		limits   func(*Limits)
		use      func(*Deployment)
		what     string // the finding; empty: nothing is wrong
		fatal    bool
		text, in string // what Text is, and what Fix has
	}{
		{name: "there is enough", clients: 10_000},
		{name: "nothing is known", clients: 10_000_000, limits: func(l *Limits) { *l = Limits{} }},
		{"too few files", 30_000, func(l *Limits) { l.Ports = 60_000 }, nil, "open files", true,
			"30032 open files are needed in a process, and 20000 are allowed", "--procs 2, or raise the limit: ulimit -Hn 30032"},
		{name: "two processes have the files of two", clients: 30_000, limits: func(l *Limits) { l.Ports = 60_000 }, use: func(u *Deployment) { u.Procs = 2 }},
		{"a process that serves has both ends", 10_000, nil, func(u *Deployment) { u.Serving = true }, "open files", true,
			"20032 open files are needed in a process, and 20000 are allowed", "run the broker in a separate process"},
		{"too few files of the machine", 9_000, func(l *Limits) { l.AllFiles = 8_999 }, nil, "open files of all processes", true,
			"9000 open files are needed, and the machine has 8999", "fs.file-max=18000"},
		{"too few ports", 19_000, func(l *Limits) { l.Ports = 18_999 }, nil, "local ports", true,
			"19000 connections to one address need as many local ports, and there are 18999", "from 1 addresses with --source-ip"},
		{name: "two addresses of the broker have the ports of two", clients: 19_000, limits: func(l *Limits) { l.Ports = 9_500 }, use: func(u *Deployment) { u.Brokers = 2 }},
		{name: "two shards are on two machines", clients: 38_000, limits: func(l *Limits) { l.Ports = 19_000 }, use: func(u *Deployment) { u.Shards = 2 }},
		{"processes share the ports", 38_000, func(l *Limits) { l.Ports = 37_999 }, func(u *Deployment) { u.Procs = 2 }, "local ports", true,
			"38000 connections to one address need as many local ports, and there are 37999", "--source-ip"},
		{"own ports are too few", 70_000, func(l *Limits) { l.Files, l.OwnPorts, l.Ports = 1<<20, true, allPorts }, nil, "local ports", true,
			"70000 connections to one address need as many local ports, and there are 64512", "give 2 addresses to --source-ip"},
		{"ports wait", 10_000, func(l *Limits) { l.Waiting = 20_000 }, nil, "local ports", false,
			"20000 closed connections may still hold their local ports, in TIME-WAIT", "wait a minute"},
		{"too little memory", 10_000, func(l *Limits) { l.Memory = 64 << 20 }, nil, "memory", true,
			"about 111 MiB of memory are needed with the kernel's, and 64 MiB are available", "--scale"},
		{"std takes more", 10_000, func(l *Limits) { l.Memory = 150 << 20 }, func(u *Deployment) { u.Std = true }, "memory", true,
			"about 154 MiB of memory are needed with the kernel's, and 150 MiB are available", "--scale"},
		{"the firewall follows fewer", 10_000, func(l *Limits) { l.Conntrack = 8192 }, nil, "tracked connections", false,
			"10000 connections are more than the 8192 that the firewall tracks", "nf_conntrack_max=20000"},
		{"Go uses fewer processors", 10, func(l *Limits) { l.MaxProcs = 1 }, nil, "processors", false,
			"1 of 4 processors are used", "unset GOMAXPROCS"},
		{"the listener's queue is short", 10_000, func(l *Limits) { l.Backlog = 128 }, func(u *Deployment) { u.Local = true }, "listen queue", false,
			"up to 1000 connections are begun at once, and a listener's queue here holds 128: some take seconds longer", "net.core.somaxconn=1000"},
		{name: "the queue of a listener elsewhere is not ours", clients: 10_000, limits: func(l *Limits) { l.Backlog = 128 }},
	} {
		p, err := plan.Conn(plan.Short{Clients: test.clients}, plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l, u := roomy, one
		if test.limits != nil {
			test.limits(&l)
		}
		if test.use != nil {
			test.use(&u)
		}
		findings, err := CheckMachine(p, l, u)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range findings {
			if f.What != test.what {
				if f.Text != "" || f.Fatal {
					t.Errorf("%s: %s says %q, fatal %v", test.name, f.What, f.Text, f.Fatal)
				}
				continue
			}
			found = true
			if f.Fatal != test.fatal || f.Text != test.text || !strings.Contains(f.Fix, test.in) {
				t.Errorf("%s: fatal %v, %q, fix %q\nwant %v, %q, %q", test.name, f.Fatal, f.Text, f.Fix, test.fatal, test.text, test.in)
			}
		}
		if !found && test.what != "" {
			t.Errorf("%s: nothing about %s", test.name, test.what)
		}
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limits Limits
		use    Deployment
		want   int
		bound  string
	}{
		{"files", roomy, one, 20_000 - 32, "open files"},
		{"ports", Limits{Files: 100_000, Ports: 28_232}, one, 28_232, "local ports"},
		{"processes", roomy, Deployment{Shards: 1, Procs: 2, Brokers: 1}, 28_232, "local ports"},
		{"no bound", Limits{}, one, 50_000, ""},
		{"no client", Limits{Files: 10}, one, 0, "open files"},
	} {
		n, bound, err := MaxClients(test.limits, test.use, 50_000)
		if n != test.want || bound.What != test.bound || err != nil {
			t.Errorf("%s: %d by %q, %v; want %d by %q", test.name, n, bound.What, err, test.want, test.bound)
		}
	}
}

func TestKernelTexts(t *testing.T) {
	t.Parallel()
	const sockstat = "sockets: used 290\nTCP: inuse 21 orphan 0 tw 1234 alloc 25 mem 3\nUDP: inuse 2 mem 1\n"
	if got := timeWait(sockstat); got != 1234 {
		t.Errorf("%d sockets in TIME-WAIT, want 1234", got)
	}
	for text, want := range map[string]int{"32768\t60999\n": 28232, "1024 65535": 64512, "5 4": 0, "x y": 0, "": 0, "1": 0} {
		if got := portRange(text); got != want {
			t.Errorf("%q has %d ports, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "TCP:", "TCP: tw", "UDP: tw 3\n", "TCP: tw x"} {
		if got := timeWait(text); got != 0 {
			t.Errorf("%q: %d", text, got)
		}
	}
}
