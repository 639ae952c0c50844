package format

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

func TestARecordInPiecesIsTheSame(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 0).UTC()
	for name, payload := range map[string]string{
		"none":                 "",
		"text":                 "x",
		"a piece":              strings.Repeat("x", pieceSize),
		"a rune on the border": strings.Repeat("x", pieceSize-1) + "ü" + strings.Repeat("\x01\n\"", pieceSize),
		"base64":               strings.Repeat("\xff\x00", pieceSize) + "\xfe",
		"JSON":                 `["` + strings.Repeat("x", 3*pieceSize) + `"]`,
	} {
		for _, f := range []*Record{{}, {JSONPayload: true}, {Terminal: true}} {
			m := &mqtt.Message{Topic: "a", Payload: []byte(payload), QoS: 1}
			m.Properties, _ = m.Properties.AppendUser([]byte("k"), []byte("v"))
			want, _ := f.Append(nil, m, at)
			var got bytes.Buffer
			for range 2 {
				got.Reset()
				if err := f.WriteMessage(&got, m, at); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s, %+v: %d bytes differ from %d, %v", name, f, got.Len(), len(want), err)
				}
			}
		}
	}
}

type counter struct{ n, most, room int }

func (c *counter) Write(b []byte) (int, error) {
	if c.n+len(b) > c.room {
		return 0, errors.ErrUnsupported
	}
	c.n, c.most = c.n+len(b), max(c.most, len(b))
	return len(b), nil
}

func TestARecordInPiecesTakesNoMemory(t *testing.T) {
	for _, payload := range []string{strings.Repeat("\x01", 8<<20), strings.Repeat("\xff", 8<<20)} {
		m := &mqtt.Message{Topic: "a", Payload: []byte(payload)}
		c := &counter{room: 1 << 30}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := (&Record{}).WriteMessage(c, m, time.Now())
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err != nil || took > 2<<20 || c.n < 8<<20 || c.most > 7*pieceSize {
			t.Errorf("%v: %d bytes of memory for %d, in pieces of %d", err, took, c.n, c.most)
		}
	}
}

func TestARecordInPiecesEndsWithItsWriter(t *testing.T) {
	t.Parallel()
	c := &counter{room: 3 * pieceSize}
	err := (&Record{}).WriteMessage(c, &mqtt.Message{Payload: make([]byte, 10*pieceSize)}, time.Now())
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
