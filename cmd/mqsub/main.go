// Command mqsub is described in man/mqsub.1.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqsub"
)

func main() { os.Exit(cli.Main(mqsub.Tool())) }
