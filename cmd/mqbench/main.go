// Command mqbench is described in man/mqbench.1.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
)

func main() { os.Exit(cli.Main(mqbench.Tool())) }
