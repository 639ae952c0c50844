// Package connection makes of checked options what the engine wants: addresses, TLS,
// proxies and the way to the broker, who the client is, its secrets, session, will and
// properties; the broker of --serve; and it words what becomes of a connection, with
// the exit status that it means.
//
// It knows nothing of command lines: package option has read and checked each value,
// package cli is the process that it asks, warns and ends by.
package connection
