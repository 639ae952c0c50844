// Package option holds the table of the tools' options, and reads command lines, options
// files, the environment and configuration files according to it. Everything that shows
// options is also derived from the table: --help, --show-config, completion and the check
// of the manual pages.
//
// It has no notion of processes, terminals, clients or brokers: package cli runs what
// option has read, and package connection makes the connection.
//
// Invariants:
//
//   - A value of a secret option never appears in the text of an error.
//   - There is no package state: the tables are literals that nothing changes, and urfave's
//     global flags (HelpFlag, VersionFlag) are switched off.
package option
