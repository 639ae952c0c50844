package transport

import "syscall"

// The numbers are Winsock's; the names of package syscall have others here.
var errnoKinds = [...]errnoKind{
	{10061, Refused},
	{10060, Timeout},
	{10065, NoRoute},
	{10051, NoRoute},
	{10064, NoRoute},
	{10050, NoRoute},
	{10054, Reset},
	{10053, Reset},
	{syscall.ERROR_BROKEN_PIPE, Reset},
	{10048, AddrInUse},
	{10049, AddrNotAvailable},
	{10024, TooManyFiles},
	{10038, NotSocket},
	{10013, Permission},
}
