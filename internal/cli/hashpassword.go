package cli

import (
	"context"
	"io"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// hashPassword is the line that --hash-password writes: of a password that is
// typed twice, or that standard input has.
func (inv *Invocation) hashPassword(ctx context.Context) (string, error) {
	if err := inv.CheckOutput(); err != nil {
		return "", err
	}
	var password []byte
	var err error
	if inv.StdinIsTerminal {
		var again []byte
		if password, err = inv.askFor(ctx, "hash-password", "password: "); err == nil {
			again, err = inv.askFor(ctx, "hash-password", "the same again: ")
		}
		if err == nil && string(password) != string(again) {
			err = option.Usagef("--hash-password: they are not the same")
		}
	} else if password, err = io.ReadAll(io.LimitReader(inv.Stdin, packet.MaxString+3)); err != nil {
		err = option.Usagef("--hash-password: %v", err)
	}
	switch password = textfile.TrimLine(password); {
	case err != nil:
		return "", err
	case len(password) == 0 || len(password) > packet.MaxString:
		return "", option.Usagef("--hash-password: a password of %d bytes", len(password))
	}
	keys, err := auth.NewKeys("SCRAM-SHA-512", string(password))
	return keys.String() + "\n", err
}
