// Package transport makes the byte streams that MQTT runs over: it reads MQTT
// URLs, dials and listens, over TCP, TLS and Unix sockets.
//
// What fails, fails with an [*Error] whose [Kind] a program can branch on:
//
//	if errors.Is(err, transport.Refused) { ... }
//
// and whose text says the cause in words. No error and no String method
// repeats a password.
//
// TLS verifies the peer unless told otherwise, at TLS 1.2 or newer. A peer
// whose certificate does not verify is sent the alert bad_certificate, whatever
// the reason is (unknown authority, expired, wrong name): that is what
// crypto/tls always sends.
package transport

import "time"

// DefaultTimeout bounds Dial where Dialer.Timeout is zero.
const DefaultTimeout = 10 * time.Second
