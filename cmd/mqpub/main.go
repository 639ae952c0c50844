// Command mqpub is described in man/mqpub.1.
package main

import (
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqpub"
)

func main() { os.Exit(cli.Main(mqpub.Tool())) }
