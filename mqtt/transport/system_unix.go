//go:build unix

package transport

import "syscall"

var errnoKinds = [...]errnoKind{
	{syscall.ECONNREFUSED, Refused},
	{syscall.ETIMEDOUT, Timeout},
	{syscall.EHOSTUNREACH, NoRoute},
	{syscall.ENETUNREACH, NoRoute},
	{syscall.EHOSTDOWN, NoRoute},
	{syscall.ENETDOWN, NoRoute},
	{syscall.ECONNRESET, Reset},
	{syscall.EPIPE, Reset},
	{syscall.EADDRINUSE, AddrInUse},
	{syscall.EADDRNOTAVAIL, AddrNotAvailable},
	{syscall.EMFILE, TooManyFiles},
	{syscall.ENFILE, TooManyFiles},
	{syscall.ENOTSOCK, NotSocket},
	{syscall.EPROTOTYPE, NotSocket},
}
