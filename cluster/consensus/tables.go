package consensus

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

const tablesPrefix = "tables."

// tables is one opened set of tables and who reads it.
type tables struct {
	*meta.State
	seq int

	mu      sync.Mutex // guards what follows
	readers int
	retired bool
}

// enter counts a reader in; false if the tables have been replaced.
func (t *tables) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired {
		return false
	}
	t.readers++
	return true
}

// leave counts a reader out. The last one out of replaced tables closes them.
func (t *tables) leave() error {
	t.mu.Lock()
	t.readers--
	last := t.retired && t.readers == 0
	t.mu.Unlock()
	if last {
		return t.Close()
	}
	return nil
}

// retire lets no more readers in.
func (t *tables) retire() error {
	t.mu.Lock()
	t.retired = true
	idle := t.readers == 0
	t.mu.Unlock()
	if idle {
		return t.Close()
	}
	return nil
}

// Reader is a reading of the tables. It must be closed.
type Reader struct {
	*meta.Reader
	tables *tables
	node   *Node
}

// Close ends the reading.
func (r *Reader) Close() {
	r.Reader.Close()
	r.node.letGo(r.tables)
}

// Reader opens a reading of what is published here, released or not. It is for the
// cluster's own rooms; programs read through View. After Close every reading fails.
func (n *Node) Reader(g signet.Group) *Reader {
	t := n.hold()
	if t == nil {
		return &Reader{meta.NoReader(g), nil, n}
	}
	return &Reader{t.State.Reader(g), t, n}
}

// hold returns the tables, which stay open until let go; nil if they are closed for good.
func (n *Node) hold() *tables {
	for {
		t := n.tables.Load()
		if t.enter() {
			return t
		}
		if n.tables.Load() == t {
			return nil // others would be in place before these retire, but for Close
		}
	}
}

func (n *Node) letGo(t *tables) {
	if t == nil {
		return
	}
	if err := t.leave(); err != nil {
		n.logger.Warn("close replaced tables", "err", err)
	}
}

// State returns the tables. Only the apply loop, which replaces them, may do more with
// them than ask for their position: everybody else holds them.
func (n *Node) State() *meta.State {
	if t := n.tables.Load(); t != nil {
		return t.State
	}
	return nil
}

// tablesDirs returns the sequence numbers of the tables on disk, ascending by value.
func (n *Node) tablesDirs() ([]int, error) {
	names, err := n.config.FS.List(n.config.Dir)
	if err != nil {
		return nil, signet.Wrap("open tables", n.config.Dir, err)
	}
	var seqs []int
	for _, name := range names {
		if s, ok := strings.CutPrefix(name, tablesPrefix); ok {
			if seq, err := strconv.Atoi(s); err == nil {
				seqs = append(seqs, seq)
			}
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

func (n *Node) newest() (int, error) {
	seqs, err := n.tablesDirs()
	newest := 0
	for _, s := range seqs {
		newest = max(newest, s)
	}
	return newest, err
}

func (n *Node) tablesPath(seq int) string {
	return path.Join(n.config.Dir, fmt.Sprintf("%s%d", tablesPrefix, seq))
}

// nextTables returns where the next tables belong.
func (n *Node) nextTables() (string, error) {
	seq, err := n.newest()
	return n.tablesPath(seq + 1), err
}

func (n *Node) openState(dir string) (*meta.State, error) {
	return meta.Open(meta.Options{FS: n.config.FS, Dir: dir, Logger: n.config.Database, Failed: n.failed})
}

// openTables opens the newest tables and retires those that were open.
func (n *Node) openTables() error {
	seq, err := n.newest()
	if err != nil {
		return err
	}
	state, err := n.openState(n.tablesPath(seq))
	if err != nil {
		return err
	}
	if old := n.tables.Swap(&tables{State: state, seq: seq}); old != nil {
		return old.retire()
	}
	return nil
}

// dropNewerTables removes tables that were fetched and turned out not to be needed.
func (n *Node) dropNewerTables() error {
	seqs, err := n.tablesDirs()
	for _, s := range seqs {
		if s > n.tables.Load().seq {
			err = errors.Join(err, n.config.FS.RemoveAll(n.tablesPath(s)))
		}
	}
	return signet.Wrap("drop fetched snapshot", "", err)
}

// cleanUp removes what an earlier process left behind: all but the newest tables, and
// snapshots half fetched or offered.
func (n *Node) cleanUp() error {
	seqs, err := n.tablesDirs()
	if err != nil {
		return err
	}
	newest, err := n.newest()
	for _, s := range seqs {
		if s < newest {
			err = errors.Join(err, n.config.FS.RemoveAll(n.tablesPath(s)))
		}
	}
	for _, dir := range []string{incomingDir, offerDir} {
		err = errors.Join(err, n.config.FS.RemoveAll(path.Join(n.config.Dir, dir)))
	}
	return signet.Wrap("clean up", n.config.Dir, err)
}

// closeDisk closes what is open of log and tables.
func (n *Node) closeDisk() error {
	var err error
	if t := n.tables.Load(); t != nil {
		err = t.retire()
	}
	if n.log != nil {
		err = errors.Join(err, n.log.Close())
	}
	return err
}
