package ring

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// Bound is the longest that any filesystem call may take while the host's own daemon
// runs: the 30 seconds of a call, and some for a busy machine.
const Bound = 35 * time.Second

// Do makes a call on the host. The error is errLost if the host died (the call may or
// may not have been carried out), else the errno; Lost tells them apart. A call that is
// not answered within Bound fails the test.
func (h *Host) Do(q Call) (*Reply, error) { return h.DoWithin(q, Bound) }

// DoWithin is Do with another bound, for a host whose daemon is frozen for a while.
func (h *Host) DoWithin(q Call, bound time.Duration) (*Reply, error) {
	h.mu.Lock()
	c, p := h.agent, h.process
	h.mu.Unlock()
	if c == nil {
		return nil, errLost
	}
	r, err := c.call(q, bound)
	switch {
	case errors.Is(err, errHung):
		where := ""
		if p != nil {
			where = threads(p.Pid())
		}
		h.ring.t.Errorf("%s: %s %s%s is not answered after %v\n%s", h.Name(), q.Op, q.Path, about(q.To), bound, where)
		return nil, errLost
	case err != nil:
		return nil, err
	case r.Errno != 0:
		return r, r.Errno
	}
	return r, nil
}

// errSlow is the end of a call that DoQuick gave up.
var errSlow = errors.New("no answer in 200 ms")

// DoQuick is Do for a call that only the kernel may be able to answer: after 200 ms it
// gives up, and the call ends some time later.
func (h *Host) DoQuick(q Call) (*Reply, error) {
	h.mu.Lock()
	c := h.agent
	h.mu.Unlock()
	if c == nil {
		return nil, errLost
	}
	r, err := c.call(q, 200*time.Millisecond)
	switch {
	case errors.Is(err, errHung):
		return nil, errSlow
	case err != nil:
		return nil, err
	case r.Errno != 0:
		return r, r.Errno
	}
	return r, nil
}

func about(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// Lost says whether an error of Do means that the host died during the call.
func Lost(err error) bool { return errors.Is(err, errLost) }

// must makes a call that must succeed.
func (h *Host) must(q Call) *Reply {
	h.ring.t.Helper()
	r, err := h.Do(q)
	if err != nil {
		h.ring.t.Fatalf("%s: %s %s%s: %v", h.Name(), q.Op, q.Path, about(q.To), err)
	}
	return r
}

// Write makes a file what content says: created or truncated, written, closed.
func (h *Host) Write(path, content string) {
	h.ring.t.Helper()
	h.must(Call{Op: OpSave, Path: path, Mode: 0o644, Data: []byte(content)})
}

// WriteSync is Write with an fsync before the close.
func (h *Host) WriteSync(path, content string) {
	h.ring.t.Helper()
	h.must(Call{Op: OpSaveSync, Path: path, Mode: 0o644, Data: []byte(content)})
}

// Read returns what a file holds.
func (h *Host) Read(path string) string {
	h.ring.t.Helper()
	return string(h.must(Call{Op: OpLoad, Path: path}).Data)
}

// WantFile wants a file with that content, at once.
func (h *Host) WantFile(path, content string) {
	h.ring.t.Helper()
	if d := Difference(h.must(Call{Op: OpLoad, Path: path}).Data, []byte(content)); d != "" {
		h.ring.t.Fatalf("%s: %s: %s", h.Name(), path, d)
	}
}

// Difference says how two contents differ, briefly. It is empty if they do not.
func Difference(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	return fmt.Sprintf("got %d bytes, want %d; from byte %d on they differ: %s, want %s", len(got), len(want), n, excerpt(got, n), excerpt(want, n))
}

func excerpt(b []byte, from int) string {
	return fmt.Sprintf("%.40q", b[from:])
}

// WantErr wants a call to fail with that errno, at once; 0 wants it to succeed.
func (h *Host) WantErr(q Call, want syscall.Errno) *Reply {
	h.ring.t.Helper()
	r, err := h.Do(q)
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		h.ring.t.Fatalf("%s: %s %s%s: %v, want %v", h.Name(), q.Op, q.Path, about(q.To), errOr(err), errOr(want))
	}
	return r
}

func errOr(err error) string {
	if err == nil || err == error(syscall.Errno(0)) {
		return "success"
	}
	return err.Error()
}

// WantNone wants that there is nothing under a path.
func (h *Host) WantNone(path string) {
	h.ring.t.Helper()
	h.WantErr(Call{Op: OpStat, Path: path}, syscall.ENOENT)
}

// WantNames wants exactly these names in a directory.
func (h *Host) WantNames(path string, names ...string) {
	h.ring.t.Helper()
	got := h.must(Call{Op: OpNames, Path: path}).Names
	slices.Sort(names)
	if !slices.Equal(got, names) {
		h.ring.t.Fatalf("%s: names in %s are %q, want %q", h.Name(), path, got, names)
	}
}

// Stat returns a file's attributes.
func (h *Host) Stat(path string) Stat {
	h.ring.t.Helper()
	return h.must(Call{Op: OpStat, Path: path}).Stat
}

// Mkdir makes a directory.
func (h *Host) Mkdir(path string) {
	h.ring.t.Helper()
	h.must(Call{Op: OpMkdir, Path: path, Mode: 0o755})
}

// Rename renames.
func (h *Host) Rename(from, to string) {
	h.ring.t.Helper()
	h.must(Call{Op: OpRename, Path: from, To: to})
}

// Remove unlinks a file.
func (h *Host) Remove(path string) {
	h.ring.t.Helper()
	h.must(Call{Op: OpUnlink, Path: path})
}

// Open opens a file and returns its descriptor on the host.
func (h *Host) Open(path string, flags int) int {
	h.ring.t.Helper()
	return h.must(Call{Op: OpOpen, Path: path, Flags: flags, Mode: 0o644}).FD
}

// Close closes a descriptor.
func (h *Host) Close(fd int) {
	h.ring.t.Helper()
	h.must(Call{Op: OpClose, FD: fd})
}

// Must makes any call, which must succeed.
func (h *Host) MustDo(q Call) *Reply {
	h.ring.t.Helper()
	return h.must(q)
}
