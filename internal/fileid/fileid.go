// Package fileid identifies files beyond the life of a process.
package fileid

// ID distinguishes the files of a system while they exist; a number may be used again for a
// later file. It is zero where the system has no such numbers.
type ID struct{ Device, Inode uint64 }
