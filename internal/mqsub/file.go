package mqsub

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/outfile"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// notOnTerminal makes the formatter write for a file, whatever standard output is.
func (j *job) notOnTerminal() {
	j.inv.StdoutColor = j.inv.Values.Color.Text() == "always"
	j.inv.StdoutIsTerminal = false
}

// fileName returns the template that --output-file is.
func fileName(v *option.Value) (*format.FileName, error) {
	name := v.Text()
	switch name {
	case "":
		return nil, v.Invalid("name", name, "want a file")
	case "-":
		return nil, v.Invalid("name", name, "without the option, messages go to standard output")
	}
	f, err := format.CompileFileName(name)
	if e, ok := errors.AsType[*format.PatternError](err); ok {
		return nil, v.Invalid("name", name, "%s", e.Text)
	}
	return f, err
}

// rotation returns what --rotate says. A unit makes it a size or a duration; m is minutes.
func rotation(v *option.Value) (r outfile.Rotation, err error) {
	text := v.Text()
	if text == "" {
		return r, nil
	}
	if last := text[len(text)-1]; last < '0' || last > '9' {
		if r.Every, err = units.Duration(text); err == nil && r.Every >= time.Second {
			return r, nil
		}
		r.Every = 0
		if r.Size, err = units.Size(text); err == nil && r.Size > 0 {
			return r, nil
		}
	}
	return r, v.Invalid("value", text, "want a size (10MB) or a duration from 1s (24h), with its unit")
}

// owner names the session that is kept, or returns "" if none is: one without a client ID of
// the user's is not found again.
func (j *job) owner() string {
	s := &j.conn.Options.Session
	if !j.inv.Values.ID.Given() || !s.Resume && s.Expiry == 0 {
		return ""
	}
	broker := "the broker of --serve"
	if !j.inv.Values.Serve.IsSet() {
		var all []string
		for _, t := range j.conn.Targets() {
			all = append(all, t.Address())
		}
		broker = strings.Join(all, ", ")
	}
	return fmt.Sprintf("client ID %q at %s", j.conn.Options.ClientID, broker)
}

// openFile opens the file of --output-file, and its journal if the session is kept, or the
// directory of many files.
func (j *job) openFile() error {
	v := j.inv.Values
	name, err := fileName(v.OutputFile)
	if err != nil {
		return err
	}
	o := outfile.Options{Repair: v.Repair.On()}
	if o.Rotate, err = rotation(v.Rotate); err != nil {
		return err
	}
	o.Sync, _ = journal.ParseSyncPolicy(v.Sync.Text()) // a choice
	if rows, ok := j.form.(*format.Rows); ok && rows.Header {
		o.Header, rows.Header = rows.AppendHeader(nil), false
	}
	path, one := name.Literal()
	if !one {
		return j.openFiles(name, o)
	}
	if o.Rotate != (outfile.Rotation{}) {
		j.files = &files{}
	}
	o.Owner = j.owner()
	j.file, j.start, err = outfile.Open(path, o)
	if err != nil {
		return fileFailed(err)
	}
	j.out.w, j.out.file = j.file, true
	if lost := j.start.Journal.Damaged; lost > 0 {
		j.inv.Warnf("--repair: the journal of %s lost %s", fileerror.Quote(path), units.Count(lost, "byte"))
	}
	if j.start.Changed != "" {
		j.inv.Warnf("%s is not as it was committed: %s; messages may be missing from it or appear twice", fileerror.Quote(path), j.start.Changed)
	}
	if j.file.Journaled() {
		j.conn.Options.Journal = j.file
	}
	return nil
}

// beginFile begins to write, once it is known whether the broker has kept the session.
func (j *job) beginFile() error {
	if !j.file.Journaled() {
		return nil
	}
	resumed := j.client.SessionPresent() && !j.reconnected.Load() // else it may be the session that the first connection began
	switch s := j.conn.Options.Session; {
	case !s.Resume:
	case j.client.Version() == packet.V31:
		j.inv.Warnf("MQTT 3.1 does not report whether the broker kept the session: after a crash, messages may appear twice")
	case !resumed && j.start.Committed:
		j.sessionLost()
	}
	if resumed && j.start.Changed == "" && j.start.Behind > 0 {
		j.inv.Debugf("%s that were not acknowledged are cut off", units.Count(j.start.Behind, "byte"))
	}
	return fileFailed(j.file.Begin(resumed))
}

// sessionLost warns once that exactly once does not hold.
func (j *job) sessionLost() {
	if !j.lost.Swap(true) {
		j.inv.Warnf("the broker lost the session; messages may be missing or appear twice")
	}
}

// event is the client's OnEvent.
func (j *job) event(e mqtt.Event) {
	if e.Kind == mqtt.EventUp {
		j.reconnected.Store(true)
		if j.file != nil && j.file.Journaled() && !e.SessionPresent {
			j.sessionLost()
		}
	}
	j.published.event(e)
}

// commit acknowledges the first n messages of a batch, if there is one, together with what was
// written.
func (j *job) commit(b *mqtt.Batch, n int) error {
	ack := func() {
		if b != nil {
			b.Ack(n)
		}
	}
	if j.file == nil {
		return fileFailed(j.files.set.Commit(ack))
	}
	return fileFailed(j.file.Commit(ack))
}

// cutFile removes the part of a message that was written before err.
func (j *job) cutFile(f *outfile.File, torn int64, err error) error {
	if torn > 0 && !f.Cut(torn) {
		j.inv.Errorf("%s: the last message is cut off: from byte %d on; it is not acknowledged", fileerror.Quote(f.Path()), f.Size()-torn+1)
	}
	return cli.Failed(option.ExitLocalIO, fmt.Errorf("%w (%s written)", err, units.Count(j.count, "message")))
}

// closeFile closes the file after the work has ended with err.
func (j *job) closeFile(err error) error {
	var closeErr error
	if j.file != nil {
		closeErr = j.file.Close()
	} else {
		closeErr = j.files.set.Close()
	}
	if err == nil || errors.Is(err, errDone) || errors.Is(err, cli.ErrTimeout) || errors.Is(err, errIdle) {
		return cmp.Or(fileFailed(closeErr), err)
	}
	return err
}

// journalError gives a failure of the journal, which the client reports, its exit status.
func (j *job) journalError(err error) error {
	if errors.Is(err, mqtt.ErrJournal) {
		return cli.Failed(option.ExitLocalIO, fmt.Errorf("--output-file: %w", err))
	}
	return err
}

// fileFailed gives an error of the file its exit status, and a remedy.
func fileFailed(err error) error {
	if err == nil {
		return nil
	}
	_, damaged := errors.AsType[*journal.DamagedError](err)
	if damaged || errors.Is(err, journal.ErrLogInUse) {
		return cli.JournalError("--output-file", err)
	}
	if owner, foreign := errors.AsType[*outfile.OwnerError](err); foreign {
		return &cli.Exit{Code: option.ExitLocalIO, Err: fmt.Errorf("--output-file: %w", owner),
			Help: "choose another file, or remove the journal if that session is not used any more"}
	}
	if errors.Is(err, outfile.ErrTooMany) {
		return &cli.Exit{Code: option.ExitLocalIO, Err: fmt.Errorf("--output-file: %w", err),
			Help: "subscribe to fewer topics, or name fewer files, e.g. by %{level 1}"}
	}
	return cli.Failed(option.ExitLocalIO, fileerror.Writing(err))
}
