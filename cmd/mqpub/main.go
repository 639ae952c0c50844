// Command mqpub is described in man/mqpub.1.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqpub"
	_ "github.com/mqtools/mqtools/internal/single" // for its effect on start-up
)

func main() { os.Exit(cli.Main(mqpub.Tool())) }
