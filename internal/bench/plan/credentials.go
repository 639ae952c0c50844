package plan

// Credentials are user names and passwords from a file.
type Credentials struct {
	file      fileRef // digest of the user names only
	users     []string
	passwords []string
}

// Len returns the number of rows, which is at least 1.
func (c *Credentials) Len() int { return len(c.users) }

func (c *Credentials) user(index uint32) string { return c.users[int(index)%len(c.users)] }

func (c *Credentials) password(index uint32) string { return c.passwords[int(index)%len(c.users)] }
