package fs_test

import (
	"bytes"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// The window of the file that the model works in: across the border of two chunks.
const (
	modelBase = 4*mib - 20_000
	modelSize = 40_000
)

// modelFile is the file as everybody has it.
type modelFile struct {
	data [modelSize]byte
	size int
}

func (m *modelFile) write(off int, data []byte) {
	copy(m.data[off:], data)
	m.size = max(m.size, off+len(data))
}

func (m *modelFile) truncate(size int) {
	if size < m.size {
		clear(m.data[size:])
	}
	m.size = size
}

func (m *modelFile) punch(off, n int, keep bool) {
	clear(m.data[off : off+n])
	if !keep {
		m.size = max(m.size, off+n)
	}
}

// modelHost is a host and the handles it has of the file, any of which may be zero.
type modelHost struct {
	*user
	write, add, read fs.Handle
}

// reader returns a handle to read through, if one is open.
func (h *modelHost) reader(rt *rapid.T) (fs.Handle, bool) {
	var open []fs.Handle
	for _, id := range []fs.Handle{h.write, h.read} {
		if id != 0 {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(open).Draw(rt, "handle"), true
}

// toggle closes a handle, or opens it.
func (h *modelHost) toggle(rt *rapid.T, ino signet.Ino) {
	which := rapid.SampledFrom([]struct {
		id    *fs.Handle
		flags uint32
	}{{&h.write, syscall.O_RDWR}, {&h.add, syscall.O_WRONLY | syscall.O_APPEND}, {&h.read, syscall.O_RDONLY}}).Draw(rt, "which")
	if *which.id != 0 {
		h.close(*which.id)
		*which.id = 0
		return
	}
	*which.id = h.open(ino, which.flags)
}

// TestModel runs random calls on three hosts that have the same file open, in every way,
// and compares every byte and size with the model: each host sees at once what any has
// written.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := fstest.NewVolume(t)
		v.Limits = fs.Limits{Dirty: 64 << 10} // everything is under pressure
		v.State.MaxCut = 3
		v.State.MaxLower = 5
		hosts := []*modelHost{{user: newUser(t, v.Mount())}, {user: newUser(t, v.Mount())}, {user: newUser(t, v.Mount())}}
		var ino signet.Ino
		hosts[0].write, ino = hosts[0].create(root, "f", 0o644)
		hosts[1].write = hosts[1].open(ino, syscall.O_RDWR)
		m := &modelFile{}
		host := rapid.IntRange(0, len(hosts)-1)
		span := func(rt *rapid.T) (off, n int) {
			off = rapid.IntRange(0, modelSize-1).Draw(rt, "off")
			return off, rapid.IntRange(1, min(9000, modelSize-off)).Draw(rt, "n")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				h := hosts[host.Draw(rt, "host")]
				if h.write == 0 {
					return
				}
				off, n := span(rt)
				data := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "byte")}, n)
				h.user.write(h.write, int64(modelBase+off), string(data))
				m.write(off, data)
			},
			"append": func(rt *rapid.T) {
				h := hosts[host.Draw(rt, "host")]
				n := rapid.IntRange(1, 6000).Draw(rt, "n")
				if h.add == 0 || m.size+n > modelSize || m.size == 0 {
					return
				}
				data := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "byte")}, n)
				h.user.appends(h.add, 0, string(data))
				m.write(m.size, data)
			},
			"fsync": func(rt *rapid.T) {
				h := hosts[host.Draw(rt, "host")]
				if h.write == 0 {
					return
				}
				h.fsync(h.write)
			},
			"open or close": func(rt *rapid.T) {
				hosts[host.Draw(rt, "host")].toggle(rt, ino)
			},
			"truncate": func(rt *rapid.T) {
				h := hosts[host.Draw(rt, "host")]
				size := rapid.IntRange(0, modelSize).Draw(rt, "size")
				h.must(func(r *fs.Request) error {
					_, _, err := h.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: uint64(modelBase + size)})
					return err
				})
				m.truncate(size)
			},
			"punch": func(rt *rapid.T) {
				h := hosts[host.Draw(rt, "host")]
				if h.write == 0 {
					return
				}
				off, n := span(rt)
				keep := rapid.Bool().Draw(rt, "keep")
				mode := uint32(fs.FallocZeroRange)
				if keep {
					mode = fs.FallocPunchHole | fs.FallocKeepSize
				}
				h.must(func(r *fs.Request) error {
					return h.Fallocate(r, h.write, uint64(modelBase+off), uint64(n), mode)
				})
				m.punch(off, n, keep)
			},
			"read": func(rt *rapid.T) {
				i := host.Draw(rt, "host")
				h := hosts[i]
				id, ok := h.reader(rt)
				if !ok {
					return
				}
				off, n := span(rt)
				got := h.user.read(id, int64(modelBase+off), n)
				want := m.data[min(off, m.size):min(off+n, m.size)]
				if got != string(want) {
					rt.Fatalf("host %d reads at %d: %d bytes, want %d: first difference %d", i, off, len(got), len(want), differ(got, want))
				}
			},
			"stat": func(rt *rapid.T) {
				i := host.Draw(rt, "host")
				size := uint64(0)
				if m.size > 0 {
					size = uint64(modelBase + m.size)
				}
				if at := hosts[i].stat(ino); at.Size != size && !(size == 0 && at.Size == modelBase) {
					rt.Fatalf("host %d: size %d, want %d", i, at.Size, size)
				}
			},
		})
	})
}

func differ(got string, want []byte) int {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return i
		}
	}
	return min(len(got), len(want))
}
