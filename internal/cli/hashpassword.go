package cli

import (
	"errors"
	"io"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// hashPassword is the line that --hash-password writes: of a password that is
// typed twice, or that standard input has.
func (inv *Invocation) hashPassword() (string, error) {
	if err := inv.CheckOutput(); err != nil {
		return "", err
	}
	var password []byte
	var err error
	if inv.StdinIsTerminal {
		var again []byte
		if password, err = inv.ask("password: "); err == nil {
			again, err = inv.ask("the same again: ")
		}
		if err == nil && string(password) != string(again) {
			err = errors.New("they are not the same")
		}
	} else {
		password, err = io.ReadAll(io.LimitReader(inv.Stdin, packet.MaxString+3))
		password = trimLine(password)
	}
	switch {
	case err != nil:
		return "", Usagef("--hash-password: %v", err)
	case len(password) == 0 || len(password) > packet.MaxString:
		return "", Usagef("--hash-password: a password of %d bytes", len(password))
	}
	keys, err := auth.NewKeys("SCRAM-SHA-512", string(password))
	return keys.String() + "\n", err
}
