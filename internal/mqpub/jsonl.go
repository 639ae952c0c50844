package mqpub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// records publishes the records of standard input. The options set what a record does
// not contain, and the command line overrides all records. A line that is not a record is
// reported with its place and counted, and the stream continues.
func (j *job) records(ctx context.Context) error {
	in := newInput(ctx, j.inv.Stdin, j.lost(), j.inv.Service.Alive)
	r, key, hint := j.reader(textfile.NewReader(in))
	allQoS, allRetain := j.forEvery("qos"), j.forEvery("retain")
	number := uint64(0)
	warned := false
	known := "" // the topic that was checked last
	for {
		rec, err := r.Next()
		if head, ok := errors.AsType[*format.HeaderError](err); ok {
			return badRecord(&head.RecordError, "the first line names the columns; "+j.plainRows())
		}
		if bad, ok := errors.AsType[*format.RecordError](err); ok {
			number++
			j.invalid(ctx, bad.Line, badRecord(bad, hint))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return j.inputEnd(err)
		}
		number++
		for _, name := range r.Unknown() {
			place := "standard input"
			if key == "key" {
				place += ":" + strconv.Itoa(rec.Line)
			}
			j.inv.Warnf("%s: unknown %s %s has no effect; --strict refuses it", place, key, topic.Quote(name))
		}
		m := &rec.Message
		if m.Topic != known {
			if topic.ValidateName(m.Topic) != nil {
				j.invalid(ctx, rec.Line, connection.CheckTopic(fmt.Sprintf("standard input:%d: topic", rec.Line), m.Topic))
				continue
			}
			known = m.Topic
		}
		if allQoS || !rec.HasQoS {
			m.QoS = j.msg.QoS
		}
		if allRetain || !rec.HasRetain {
			m.Retain = j.msg.Retain
		}
		if len(m.Properties) == 0 {
			m.Properties = j.msg.Properties
		} else if len(j.msg.Properties) > 0 {
			m.Properties = append(m.Properties, j.msg.Properties...)
			if m.Properties, err = packet.ParseProperties(m.Properties, packet.PUBLISH); err != nil {
				j.invalid(ctx, rec.Line, fmt.Errorf("standard input:%d: with -D: %w", rec.Line, err))
				continue
			}
		}
		if len(m.Properties) > 0 && j.spool == nil && j.client.Version() < packet.V5 {
			if !warned {
				warned = true
				j.inv.Warnf("properties are omitted: the connection uses MQTT %s", j.client.Version())
			}
			m.Properties = nil
		}
		if err := mqtt.CheckProperties(m.Properties); err != nil {
			j.invalid(ctx, rec.Line, fmt.Errorf("standard input:%d: %w", rec.Line, err))
			continue
		}
		if err := j.send(ctx, m, uint64(rec.Line)); err != nil {
			return err
		}
	}
}

// recordReader reads the records of --input.
type recordReader interface {
	Next() (*format.InputRecord, error)
	Unknown() []string
}

// reader returns the reader of --input, what its records consist of, and a hint for those that
// are invalid.
func (j *job) reader(in io.Reader) (r recordReader, key, hint string) {
	strict := j.inv.Values.Strict.On()
	form, settings, _ := strings.Cut(j.inv.Values.Input.Text(), ":")
	if form == "jsonl" {
		r := format.NewRecordReader(in, 0)
		r.Strict = strict
		return r, "key", "--input jsonl reads what mqsub --json prints"
	}
	rows := format.NewRowReader(in, 0)
	rows.CSV, rows.Strict = form == "csv", strict
	if rows.Header = rows.CSV && settings == "" || settings == "header=yes"; rows.Header {
		return rows, "column", ""
	}
	return rows, "column", j.plainRows()
}

// plainRows describes the form of --input that needs no names of columns.
func (j *job) plainRows() string {
	form := "tsv"
	if strings.HasPrefix(j.inv.Values.Input.Text(), "csv") {
		form = "csv:header=no"
	}
	return "--input " + form + " reads rows of topic and payload"
}

// badRecord returns the error for a line that is not a record.
func badRecord(e *format.RecordError, hint string) error {
	hint = cmp.Or(e.Hint, hint)
	return &cli.Exit{Code: option.ExitLocalIO, Err: fmt.Errorf("standard input:%d:%d: %s", e.Line, e.Column, e.Text), Help: hint}
}

// forEvery reports whether an option overrides every record: it does on the command line,
// but not in a configuration, which serves many runs.
func (j *job) forEvery(name string) bool {
	return j.inv.Values.Of(name).Origin() >= option.OriginFile
}
