package fstest

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs/lock"
)

// State is a volume in memory.
type State struct {
	// MaxLower, if not 0, is how many extents a Write may lie over before it is TooBig.
	MaxLower int
	// MaxCut, if not 0, is how many extents a truncation removes in one step.
	MaxCut int

	recalls atomic.Int64 // questions between hosts

	mu       sync.Mutex // guards all below and the fields of hosts
	changed  *sync.Cond // something below moved on
	index    signet.Index
	released signet.Index
	nextIno  signet.Ino
	hosts    []*Host
	open     map[signet.Index]int // views open per index
	inodes   map[signet.Ino]*versions[inode]
	dirs     map[signet.Ino]map[string]*versions[signet.Entry]
	objects  map[signet.Address]*versions[signet.Object]
	rows     map[row][]signet.Index // when each row changed, ascending
	locks    map[lockRow]lock.Table // not versioned: no view shows them
	sessions signet.SessionID       // the newest
}

// inode is a row with everything that belongs to it. Nothing in it is changed in
// place: views share it.
type inode struct {
	signet.Attr
	parent  signet.Ino
	target  []byte
	xattrs  map[string][]byte
	extents []signet.Extent
	tmpfile bool
	cut     bool // extents beyond the size are left
}

// row is what a view can read and a change can touch.
type row struct {
	ino  signet.Ino
	kind byte // 'i'node, 'n'ame, 'l'isting
	name string
}

// versions are the values of one row over time.
type versions[T any] struct{ list []version[T] }

type version[T any] struct {
	at    signet.Index
	there bool
	value T
}

// get returns the value at index.
func (v *versions[T]) get(at signet.Index) (value T, ok bool) {
	if v == nil {
		return value, false
	}
	for i := len(v.list) - 1; i >= 0; i-- {
		if v.list[i].at <= at {
			return v.list[i].value, v.list[i].there
		}
	}
	return value, false
}

// set adds a value, and drops those that no view from oldest on can see.
func (v *versions[T]) set(at signet.Index, value T, there bool, oldest signet.Index) {
	if n := len(v.list); n > 0 && v.list[n-1].at == at {
		v.list = v.list[:n-1]
	}
	v.list = append(v.list, version[T]{at, there, value})
	first := 0
	for first+1 < len(v.list) && v.list[first+1].at <= oldest {
		first++
	}
	if first > 0 {
		v.list = slices.Clone(v.list[first:])
	}
}

// NewState returns an empty volume: a root directory that everybody may write to.
func NewState() *State {
	s := &State{
		nextIno: signet.RootIno + 1,
		open:    map[signet.Index]int{},
		inodes:  map[signet.Ino]*versions[inode]{},
		dirs:    map[signet.Ino]map[string]*versions[signet.Entry]{},
		objects: map[signet.Address]*versions[signet.Object]{},
		rows:    map[row][]signet.Index{},
		locks:   map[lockRow]lock.Table{},
	}
	s.changed = sync.NewCond(&s.mu)
	s.index, s.released = 1, 1
	s.putInode(inode{Attr: signet.Attr{Ino: signet.RootIno, Mode: signet.ModeDir | 0o777, Nlink: 2}, parent: signet.RootIno})
	return s
}

// oldest is the oldest index that anybody may still read at. s.mu is held.
func (s *State) oldest() signet.Index {
	least := s.index - 1 // what is being applied is published nowhere yet
	for _, h := range s.hosts {
		least = min(least, h.applied)
	}
	for i := range s.open {
		least = min(least, i)
	}
	return least
}

// Recalls returns how often a host asked another for a file.
func (s *State) Recalls() int { return int(s.recalls.Load()) }

func (s *State) inode(ino signet.Ino) (inode, bool) {
	in, ok := s.inodes[ino].get(s.index)
	in.Owner = s.living(in.Owner)
	return in, ok
}

// living returns the session unless its host is gone.
func (s *State) living(id signet.SessionID) signet.SessionID {
	for _, h := range s.hosts {
		if h.session == id {
			return id
		}
	}
	return 0
}

func (s *State) putInode(in inode) { s.setInode(in.Ino, in, true) }

func (s *State) setInode(ino signet.Ino, in inode, there bool) {
	v := s.inodes[ino]
	if v == nil {
		v = &versions[inode]{}
		s.inodes[ino] = v
	}
	v.set(s.index, in, there, s.oldest())
	s.touch(row{ino: ino, kind: 'i'})
}

func (s *State) lookup(parent signet.Ino, name []byte) (signet.Entry, bool) {
	return s.dirs[parent][string(name)].get(s.index)
}

func (s *State) setName(parent signet.Ino, name []byte, e signet.Entry, there bool) {
	d := s.dirs[parent]
	if d == nil {
		d = map[string]*versions[signet.Entry]{}
		s.dirs[parent] = d
	}
	v := d[string(name)]
	if v == nil {
		v = &versions[signet.Entry]{}
		d[string(name)] = v
	}
	e.Name = bytes.Clone(name)
	v.set(s.index, e, there, s.oldest())
	if !there && len(v.list) == 1 {
		delete(d, string(name))
	}
	s.touch(row{ino: parent, kind: 'n', name: string(name)})
	s.touch(row{ino: parent, kind: 'l'})
}

func (s *State) object(a signet.Address) (signet.Object, bool) { return s.objects[a].get(s.index) }

func (s *State) putObject(o signet.Object) {
	v := s.objects[o.Address]
	if v == nil {
		v = &versions[signet.Object]{}
		s.objects[o.Address] = v
	}
	v.set(s.index, o, true, s.oldest())
}

// touch notes that a row changes at the index being applied.
func (s *State) touch(r row) {
	list := s.rows[r]
	if n := len(list); n > 0 && list[n-1] == s.index {
		return
	}
	if oldest := min(s.oldest(), s.released); len(list) > 8 {
		i := 0
		for i+1 < len(list) && list[i+1] <= oldest {
			i++
		}
		list = slices.Clone(list[i:])
	}
	s.rows[r] = append(list, s.index)
}

// Objects returns how many objects have references.
func (s *State) Objects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for a := range s.objects {
		if o, ok := s.object(a); ok && o.Refs > 0 {
			n++
		}
	}
	return n
}

// Inodes returns the numbers of all inodes there are.
func (s *State) Inodes() []signet.Ino {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []signet.Ino
	for ino := range maps.Keys(s.inodes) {
		if _, ok := s.inode(ino); ok {
			list = append(list, ino)
		}
	}
	slices.Sort(list)
	return list
}

// Released returns the index up to which everything is released, and the newest.
func (s *State) Released() (released, newest signet.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released, s.index
}

// OpenViews returns how many views are open on all hosts.
func (s *State) OpenViews() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, of := range s.open {
		n += of
	}
	return n
}
