package fs

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/signetfs/signet"
)

// Cookies of a listing. A name's cookie is where it is among the sealed names of its
// directory: their first 8 bytes, without the last bit, because the kernel's offsets
// are signed. It says where the listing goes on after the name, without any state, and
// stays right while names come and go. The first 16 bytes of sealed names are as good
// as random, so two names of one directory share a cookie about never; the handle
// remembers the names it handed out last, so even then none is skipped.
const (
	cookieDot    = 1 // after "."
	cookieDotDot = 2 // after ".."
	cookieFirst  = 3 // the least of a name
)

func cookieOf(sealed []byte) uint64 {
	var b [8]byte
	copy(b[:], sealed)
	return max(binary.BigEndian.Uint64(b[:])>>1, cookieFirst)
}

// DirEntry is one entry of a listing.
type DirEntry struct {
	Name   string
	Ino    signet.Ino
	Mode   uint32 // type bits
	Cookie uint64 // where a listing goes on after this entry
}

// listing is the state of an open directory.
type listing struct {
	mu   sync.Mutex        // guards:
	last map[uint64][]byte // sealed names handed out last, by cookie
	end  uint64            // cookie of the last entry of all; 0: not come to yet
}

// ended says whether nothing follows a cookie because a reply ended there with the
// directory's last entry. A listing that fits into one reply therefore shows one moment:
// a name that was moved meanwhile is not seen in both places.
func (l *listing) ended(cookie uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cookie != 0 && cookie == l.end
}

// after returns the sealed name after which a listing goes on, nil to begin. ok is
// false if nothing can follow.
func (l *listing) after(cookie uint64) (name []byte, ok bool) {
	if cookie < cookieFirst {
		return nil, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if name := l.last[cookie]; name != nil {
		return name, true
	}
	if cookie >= 1<<63-1 {
		return nil, false
	}
	return binary.BigEndian.AppendUint64(nil, (cookie+1)<<1), true
}

// remember notes what was handed out, and whether it was the last of all.
func (l *listing) remember(rows []dirRow, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = 0
	if all && len(rows) > 0 {
		l.end = rows[len(rows)-1].Cookie
	}
	l.last = make(map[uint64][]byte, len(rows))
	for i := range rows {
		l.last[rows[i].Cookie] = rows[i].sealed
	}
}

// OpenDir opens a directory.
func (f *FS) OpenDir(r *Request, ino signet.Ino) (Handle, error) {
	ctx, cancel := f.begin(r)
	defer cancel()
	n, err := f.hold(ctx, ino, true)
	if err != nil {
		return 0, signet.Wrap("open directory", inodeText(ino), err)
	}
	return f.handles.add(n, 0, &listing{}, false).id, nil
}

// ReleaseDir ends a directory's handle.
func (f *FS) ReleaseDir(_ *Request, id Handle) { f.letGo(id) }

// FsyncDir has nothing to do: a change of a directory is durable when its call returns.
func (f *FS) FsyncDir(_ *Request, id Handle) error {
	_, err := f.handles.get(id)
	return err
}

// dirRow is an entry on its way into a listing.
type dirRow struct {
	DirEntry
	sealed []byte
}

// ReadDir lists a directory from after the entry with the given cookie (0: from the
// start): it hands at most limit entries to emit, until emit returns false, which
// means that the entry did not fit.
func (f *FS) ReadDir(r *Request, id Handle, cookie uint64, limit int, emit func(DirEntry) bool) error {
	h, err := f.handles.get(id)
	if err != nil {
		return err
	}
	if h.dir == nil {
		return signet.Errorf(signet.NotDir, "list", inodeText(h.node.ino), "it is a file")
	}
	if h.dir.ended(cookie) {
		return nil
	}
	ctx, cancel := f.begin(r)
	defer cancel()
	var rows []dirRow
	err = f.settled(ctx, func(a *answer) (err error) {
		rows, err = f.list(a, r, h, cookie, limit)
		return err
	})
	if err != nil {
		return signet.Wrap("list", inodeText(h.node.ino), err)
	}
	taken := 0
	for taken < len(rows) && emit(rows[taken].DirEntry) {
		taken++
	}
	h.dir.remember(rows[:taken], taken == len(rows) && taken < limit)
	return nil
}

// list reads the rows of one reply.
func (f *FS) list(a *answer, r *Request, h *handle, cookie uint64, limit int) ([]dirRow, error) {
	dir := h.node.ino
	self, err := a.view.Attr(dir)
	if err != nil {
		return nil, err
	}
	if !r.NoAtime {
		f.accessed(&self, 0)
	}
	var rows []dirRow
	if cookie < cookieDot && len(rows) < limit {
		rows = append(rows, dirRow{DirEntry: DirEntry{Name: ".", Ino: dir, Mode: signet.ModeDir, Cookie: cookieDot}})
	}
	if cookie < cookieDotDot && len(rows) < limit {
		up, err := a.view.Parent(dir)
		if err != nil {
			up = dir // it was removed, and is only open
		}
		rows = append(rows, dirRow{DirEntry: DirEntry{Name: "..", Ino: up, Mode: signet.ModeDir, Cookie: cookieDotDot}})
	}
	after, ok := h.dir.after(cookie)
	if !ok || len(rows) >= limit || self.Nlink == 0 {
		return rows, nil
	}
	last := max(cookie, cookieDotDot)
	err = a.view.ReadDir(dir, after, func(e signet.Entry) bool {
		last = max(cookieOf(e.Name), last+1)
		rows = append(rows, dirRow{
			DirEntry: DirEntry{Ino: e.Ino, Mode: e.Mode & signet.ModeType, Cookie: last},
			sealed:   slices.Clone(e.Name),
		})
		return len(rows) < limit
	})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].sealed == nil {
			continue // "." and ".."
		}
		if rows[i].Name, err = f.seal.OpenName(dir, rows[i].sealed); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
