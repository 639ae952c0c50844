// Package transport provides the byte streams for MQTT: it parses MQTT URLs,
// dials and listens, over TCP, TLS, WebSocket and Unix sockets.
//
// Errors are [*Error] values whose [Kind] a program can test for:
//
//	if errors.Is(err, transport.Refused) { ... }
//
// and whose text gives the cause. No error and no String method contains a
// password.
//
// By default TLS verifies the peer, at TLS 1.2 or newer. If the verification of
// a certificate fails, crypto/tls always sends the alert bad_certificate,
// whatever the reason is (unknown authority, expired, wrong name).
package transport

import "time"

// DefaultTimeout is the limit of Dial if Dialer.Timeout is zero.
const DefaultTimeout = 10 * time.Second
