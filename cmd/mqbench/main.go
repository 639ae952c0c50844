// Command mqbench will be the load tool; see internal/mqbench.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
)

func main() { os.Exit(cli.Main(mqbench.Tool())) }
