// Nats runs a NATS server, which also speaks MQTT, for the tests of the tools.
//
//	nats CONFIG_FILE
//
// It prints "ready" when it listens, and shuts down cleanly at SIGTERM.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func run(config string) error {
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start() // also waits for signals
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("not ready after a minute")
	}
	fmt.Println("ready")
	s.WaitForShutdown()
	return nil
}
