package consensus

import (
	"errors"
	"io"
	"os"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
)

// haltedFile lies in the directory of a host that must not take part again as it is. It
// holds the reason, for people.
const (
	haltedFile    = "halted"
	maxHaltedText = 4096
)

// Halt ends this host's part in the log: it serves no reads, makes no changes, does not
// vote and does not ask. Unlike Close it leaves the node open, so that its status can be
// asked for; everything else fails with why. Of several calls the first counts. If it is
// for good the next start halts at once, too.
func (n *Node) Halt(why error, forGood bool) {
	n.mu.Lock()
	first := n.halted == nil && !n.closed
	if first {
		n.halted = why
		n.lease = n.clock.Now().Add(-n.times.Lease) // and none comes any more
		n.lead = leadership{term: n.lead.term}
		n.ledger.follow()
		close(n.leadMoved)
		n.leadMoved = make(chan struct{})
	}
	n.mu.Unlock()
	if !first {
		return
	}
	n.cancel()
	n.logger.Error("this host has stopped taking part", "err", why)
	if forGood {
		if err := n.keepHalted(why); err != nil {
			n.logger.Error("that it has stopped is not kept: the next start finds it out anew", "err", err)
		}
	}
	if n.config.Halted != nil {
		n.config.Halted(why)
	}
}

// Halted returns why this host has been halted, nil if it has not.
func (n *Node) Halted() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.halted
}

// whyStopped is the error of what can no longer be done.
func (n *Node) whyStopped() error {
	if err := n.Halted(); err != nil {
		return err
	}
	return errStopped
}

func (n *Node) keepHalted(why error) error {
	fs, name := n.config.FS, path.Join(n.config.Dir, haltedFile)
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return signet.Wrap("write", name, err)
	}
	text := why.Error()
	_, err = io.WriteString(f, text[:min(len(text), maxHaltedText)])
	return signet.Wrap("write", name, errors.Join(err, f.Sync(), f.Close(), syncDir(fs, n.config.Dir)))
}

// readHalted looks whether an earlier process of this host was halted for good.
func (n *Node) readHalted() error {
	name := path.Join(n.config.Dir, haltedFile)
	if _, err := n.config.FS.Stat(name); errors.Is(err, os.ErrNotExist) {
		return nil // the usual case
	}
	// Whatever else is wrong with the file: it is there, or may be.
	text := "it was found wrong before"
	if f, err := n.config.FS.Open(name); err == nil {
		b, _ := io.ReadAll(io.LimitReader(f, maxHaltedText))
		if err := f.Close(); err == nil && len(b) > 0 {
			text = string(b)
		}
	}
	return signet.Errorf(signet.Corrupt, "", "", "%s", text)
}
