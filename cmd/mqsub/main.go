// Command mqsub is described in man/mqsub.1.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqsub"
	_ "github.com/mqtools/mqtools/internal/single" // for its effect on start-up
)

func main() { os.Exit(cli.Main(mqsub.Tool())) }
