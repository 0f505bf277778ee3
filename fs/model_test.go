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

// modelFile is the file as everybody has it, and what each host wrote and did not
// publish.
type modelFile struct {
	data  [modelSize]byte
	size  int
	dirty [2]modelDirty
}

type modelDirty struct {
	data [modelSize]byte
	mask [modelSize]bool
	end  int
}

func (m *modelFile) write(host, off int, data []byte) {
	d := &m.dirty[host]
	for i, b := range data {
		d.data[off+i], d.mask[off+i] = b, true
	}
	d.end = max(d.end, off+len(data))
}

func (m *modelFile) publish(host int) {
	d := &m.dirty[host]
	for i, is := range d.mask {
		if is {
			m.data[i] = d.data[i]
		}
	}
	m.size = max(m.size, d.end)
	*d = modelDirty{}
}

func (m *modelFile) truncate(host, size int) {
	m.publish(host)
	if size < m.size {
		clear(m.data[size:])
	}
	m.size = size
}

func (m *modelFile) punch(host, off, n int, keep bool) {
	m.publish(host)
	clear(m.data[off : off+n])
	if !keep {
		m.size = max(m.size, off+n)
	}
}

// view returns the file as programs on a host see it.
func (m *modelFile) view(host int) []byte {
	d := &m.dirty[host]
	v := bytes.Clone(m.data[:])
	for i, is := range d.mask {
		if is {
			v[i] = d.data[i]
		}
	}
	return v[:max(m.size, d.end)]
}

// TestModel runs random calls on two hosts that have the same file open and compares
// every byte and size with the model: a host sees its own writes at once, the other
// one's when they are published.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := fstest.NewVolume(t)
		v.Limits = fs.Limits{Dirty: 64 << 10} // everything is under pressure
		v.State.MaxCut = 3
		v.State.MaxLower = 5
		hosts := []*user{newUser(t, v.Mount()), newUser(t, v.Mount())}
		first, ino := hosts[0].create(root, "f", 0o644)
		open := []fs.Handle{first, hosts[1].open(ino, syscall.O_RDWR)}
		m := &modelFile{}

		host := rapid.IntRange(0, 1)
		span := func(rt *rapid.T) (off, n int) {
			off = rapid.IntRange(0, modelSize-1).Draw(rt, "off")
			return off, rapid.IntRange(1, min(9000, modelSize-off)).Draw(rt, "n")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				off, n := span(rt)
				data := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "byte")}, n)
				hosts[h].write(open[h], int64(modelBase+off), string(data))
				m.write(h, off, data)
			},
			"fsync": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				hosts[h].fsync(open[h])
				m.publish(h)
			},
			"reopen": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				hosts[h].close(open[h])
				m.publish(h)
				open[h] = hosts[h].open(ino, syscall.O_RDWR)
			},
			"truncate": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				size := rapid.IntRange(0, modelSize).Draw(rt, "size")
				hosts[h].must(func(r *fs.Request) error {
					_, _, err := hosts[h].SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: uint64(modelBase + size)})
					return err
				})
				m.truncate(h, size)
			},
			"punch": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				off, n := span(rt)
				keep := rapid.Bool().Draw(rt, "keep")
				mode := uint32(fs.FallocZeroRange)
				if keep {
					mode = fs.FallocPunchHole | fs.FallocKeepSize
				}
				hosts[h].must(func(r *fs.Request) error {
					return hosts[h].Fallocate(r, open[h], uint64(modelBase+off), uint64(n), mode)
				})
				m.punch(h, off, n, keep)
			},
			"read": func(rt *rapid.T) {
				h := host.Draw(rt, "host")
				off, n := span(rt)
				got := hosts[h].read(open[h], int64(modelBase+off), n)
				view := m.view(h)
				want := view[min(off, len(view)):min(off+n, len(view))]
				if got != string(want) {
					rt.Fatalf("host %d reads at %d: %d bytes, want %d: first difference %d", h, off, len(got), len(want), differ(got, want))
				}
			},
			"": func(rt *rapid.T) {
				for h, u := range hosts {
					size := uint64(0)
					if n := len(m.view(h)); n > 0 || m.size > 0 {
						size = uint64(modelBase + n)
					}
					if at := u.stat(ino); at.Size != size && !(size == 0 && at.Size == modelBase) {
						rt.Fatalf("host %d: size %d, want %d", h, at.Size, size)
					}
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
