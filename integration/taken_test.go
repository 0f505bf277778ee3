package integration

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
)

// TestTakenWhilePublished takes a file away from a host that is cut off while the command
// that publishes it is on its way. That command is refused; nothing else of that host's is.
func TestTakenWhilePublished(t *testing.T) {
	r := ring.Start(t, 3)
	owner, other := r.Host(2), r.Host(0)
	if r.Leader() == owner {
		owner, other = other, owner
	}
	open := func(path string) int { return owner.Open(path, unix.O_RDWR|unix.O_CREAT) }
	taken, kept := open("/taken"), open("/kept")
	for range 30 { // so that its session has a past
		owner.MustDo(ring.Call{Op: ring.OpWrite, FD: kept, Data: []byte("kept")})
		owner.MustDo(ring.Call{Op: ring.OpSync, FD: kept})
	}
	owner.MustDo(ring.Call{Op: ring.OpWrite, FD: taken, Data: []byte("lost")})
	owner.Cut()
	synced := make(chan error, 1)
	go func() {
		_, err := owner.Do(ring.Call{Op: ring.OpSync, FD: taken})
		synced <- err
	}()
	if got := other.Stat("/taken").Size; got != 0 {
		t.Errorf("the file has %d bytes after it was taken away", got)
	}
	r.Heal()
	if err := <-synced; err == nil {
		t.Error("the sync of a file that was taken away succeeded")
	}
	r.Eventually(5*time.Second, "the host to go on", func() error {
		if _, err := owner.Do(ring.Call{Op: ring.OpWrite, FD: kept, Data: []byte("more")}); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if _, err := owner.Do(ring.Call{Op: ring.OpSync, FD: kept}); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		return nil
	})
	for i := range 30 {
		owner.Write(fmt.Sprintf("/after%d", i), "after")
	}
	other.WantFile("/kept", "more")
	other.WantFile("/taken", "")
	owner.WantFile("/taken", "")
}
