package fs_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// The memory ports copy each object once and check its digest, as a host would. One
// core of the machine seals and digests about 700 MB/s.

func BenchmarkSequentialWrite(b *testing.B) {
	for _, step := range []int{4 << 10, 128 << 10, mib} {
		b.Run(fmt.Sprint(step>>10, "KiB"), func(b *testing.B) {
			v := fstest.NewVolume(b)
			u := newUser(b, v.Mount())
			h, ino := u.create(root, "f", 0o644)
			data := noise(1, step)
			const size = 64 * mib
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for off := 0; off < size; off += step {
					r := request()
					if _, err := u.Write(r, h, int64(off), data, 0); err != nil {
						b.Fatal(err)
					}
					r.Done()
				}
				u.fsync(h)
				b.StopTimer()
				u.must(func(r *fs.Request) error {
					_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize})
					return err
				})
				v.Objects.Empty()
				b.StartTimer()
			}
		})
	}
}

func BenchmarkSequentialRead(b *testing.B) {
	for _, step := range []int{128 << 10, mib} {
		b.Run(fmt.Sprint(step>>10, "KiB"), func(b *testing.B) {
			v := fstest.NewVolume(b)
			u := newUser(b, v.Mount())
			h, ino := u.create(root, "f", 0o644)
			const size = 64 * mib
			u.fill(h, noise(1, size), mib)
			u.close(h)
			buf := make([]byte, step)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				h := u.open(ino, syscall.O_RDONLY)
				for off := 0; off < size; off += step {
					r := request()
					if _, err := u.Read(r, h, int64(off), buf, 0); err != nil {
						b.Fatal(err)
					}
					r.Done()
				}
				u.close(h)
				u.DropAhead()
			}
		})
	}
}

func BenchmarkRandomRead4KiB(b *testing.B) {
	v := fstest.NewVolume(b)
	u := newUser(b, v.Mount())
	h, _ := u.create(root, "f", 0o644)
	const size = 64 * mib
	u.fill(h, noise(1, size), mib)
	u.fsync(h)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := request()
		if _, err := u.Read(r, h, int64(i*1_234_567%size)&^4095, buf, 0); err != nil {
			b.Fatal(err)
		}
		r.Done()
	}
}

func BenchmarkSmallFiles4KiB(b *testing.B) {
	v := fstest.NewVolume(b)
	u := newUser(b, v.Mount())
	data := string(noise(1, 4096))
	for i := 0; b.Loop(); i++ {
		h, _ := u.create(root, fmt.Sprint(i), 0o644)
		u.write(h, 0, data)
		u.close(h)
		u.must(func(r *fs.Request) error { return u.Unlink(r, root, fmt.Sprint(i)) })
	}
}

func BenchmarkStat(b *testing.B) {
	v := fstest.NewVolume(b)
	u := newUser(b, v.Mount())
	d := u.mkdir(root, "d", 0o755)
	b.ReportAllocs()
	for b.Loop() {
		r := request()
		if _, _, err := u.GetAttr(r, d.Ino); err != nil {
			b.Fatal(err)
		}
		r.Done()
	}
}
