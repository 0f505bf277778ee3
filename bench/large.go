package main

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	mebi       = 1 << 20
	page       = 4096
	randomSize = 256 // MiB of the file for random access, at most
	randomTime = 3 * time.Second
)

// noise is what is written: nothing that could be compressed, and never the same twice.
type noise struct {
	r     *rand.ChaCha8
	block []byte
}

func newNoise(n int) *noise {
	z := &noise{r: rand.NewChaCha8([32]byte{1}), block: make([]byte, n)}
	_, _ = z.r.Read(z.block)
	return z
}

// next returns the next block. Only a little of it is new, since making noise costs time.
func (z *noise) next() []byte {
	for i := 0; i+8 <= len(z.block); i += page {
		_, _ = z.r.Read(z.block[i : i+8])
	}
	return z.block
}

// writeLarge writes a file of so many MiB, syncs it and says how long that took.
func writeLarge(ctx context.Context, path string, mib int) (time.Duration, error) {
	z := newNoise(mebi)
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for range mib {
		if _, err := f.Write(z.next()); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return time.Since(began), f.Close()
}

// readLarge reads a file from beginning to end and says how long that took.
func readLarge(ctx context.Context, path string) (time.Duration, error) {
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for b := make([]byte, mebi); ; {
		_, err := f.Read(b)
		if err == io.EOF {
			return time.Since(began), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
	}
}

// sequential writes a large file and reads it, from the disk and from memory.
func sequential(ctx context.Context, w *work) error {
	path := filepath.Join(w.dir, "large")
	rate := func(d time.Duration) float64 { return float64(w.size) * mebi / 1e6 / d.Seconds() }
	d, err := writeLarge(ctx, path, w.size)
	if err != nil {
		return err
	}
	w.record("write, fsync at the end", "MB/s", true, rate(d))
	if dropCaches() {
		if d, err = readLarge(ctx, path); err != nil {
			return err
		}
		w.record("read, cold", "MB/s", true, rate(d))
	} else if _, err = readLarge(ctx, path); err != nil {
		return err
	}
	if d, err = readLarge(ctx, path); err != nil {
		return err
	}
	w.record("read, warm", "MB/s", true, rate(d))
	if w.peerDir == "" || !dropCaches() {
		return nil
	}
	if d, err = readLarge(ctx, filepath.Join(w.peerDir, "large")); err != nil {
		return err
	}
	w.record("read on another host, cold", "MB/s", true, rate(d))
	return nil
}

// random reads and writes single pages of a large file.
func random(ctx context.Context, w *work) error {
	path := filepath.Join(w.dir, "random")
	pages := min(w.size, randomSize) * mebi / page
	if _, err := writeLarge(ctx, path, pages*page/mebi); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(2, 3))
	b := make([]byte, page)
	some := func() int64 { return int64(r.IntN(pages)) * page }
	read := func() error { _, err := f.ReadAt(b, some()); return err }
	if dropCaches() {
		if err := w.rate(ctx, "read 4 KiB, cold", read); err != nil {
			return err
		}
	}
	if _, err := readLarge(ctx, path); err != nil {
		return err
	}
	if err := w.rate(ctx, "read 4 KiB, warm", read); err != nil {
		return err
	}
	z := newNoise(page)
	return w.rate(ctx, "write 4 KiB and fsync", func() error {
		if _, err := f.WriteAt(z.next(), some()); err != nil {
			return err
		}
		return f.Sync()
	})
}

// rate does something again and again for a while and records how often a second.
func (w *work) rate(ctx context.Context, name string, do func() error) error {
	n := 0
	began := time.Now()
	for time.Since(began) < randomTime {
		if err := do(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n++
	}
	w.record(name, "1/s", true, float64(n)/time.Since(began).Seconds())
	return nil
}
