// Package option is what words mean: the table of the tools' options, and the reading
// of command lines, options files, the environment and configuration files against it.
// Everything that shows options is made from the table too: --help, --show-config,
// completion, the manual pages' check.
//
// It knows no process and no terminal, no client and no broker: package cli runs what
// it has read, package connection makes the connection of it.
//
// Invariants:
//
//   - A value of a secret option appears in no error text.
//   - There is no package state: the tables are literals that nothing changes, and
//     urfave's global flags (HelpFlag, VersionFlag) are switched off.
package option
