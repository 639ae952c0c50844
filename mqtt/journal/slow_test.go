package journal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// slowDisk is a disk on which a sync takes 5 ms, as on a hard disk or a small flash drive.
type slowDisk struct{ fileSystem }

func (d slowDisk) Open(name string, create bool) (file, error) {
	f, err := d.fileSystem.Open(name, create)
	return slowFile{f}, err
}

type slowFile struct{ file }

func (f slowFile) Sync() error {
	time.Sleep(5 * time.Millisecond)
	return f.file.Sync()
}

// TestASlowSyncDoesNotHoldUpWhatIsPut puts 60,000 messages a second while each sync takes
// 5 ms: what is put during one is the next batch.
func TestASlowSyncDoesNotHoldUpWhatIsPut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _, err := openQueue(slowDisk{newDisk()}, QueueOptions{})
		if err != nil {
			t.Fatal(err)
		}
		began, syncs := time.Now(), 0
		const total = 60_000
		done := make(chan struct{})
		go func() {
			defer close(done)
			p := packet.Publish{QoS: 1, Topic: []byte("t"), Payload: []byte("a line of a log")}
			for i := range total {
				if i%60 == 0 {
					time.Sleep(time.Millisecond)
				}
				if _, err := q.Put(context.Background(), &p, nil); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for ended := false; !ended; syncs++ {
			select {
			case <-done:
				ended = true
			default:
			}
			if err := q.Sync(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Microsecond) // time goes on even if there was nothing to sync
		}
		if took := time.Since(began); took > time.Second+20*time.Millisecond {
			t.Errorf("%d messages took %v and %d syncs", total, took, syncs)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
