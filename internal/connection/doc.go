// Package connection turns checked options into what the engine needs: addresses, TLS,
// proxies and the way to the broker, the client's identity, its secrets, session, will and
// properties, and the broker of --serve. It also words the errors and events of a
// connection, and assigns their exit status.
//
// It knows nothing of command lines: package option has read and checked each value, and
// package cli is the process through which it prompts, warns and exits.
package connection
