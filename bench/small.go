package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	smallTime = 4 * time.Second // how long files are created
	smallMost = 20000           // how many at most
)

// smallFiles creates files of 4 KiB, by one writer and by eight, with fsync and without.
func smallFiles(ctx context.Context, w *work) error {
	for _, c := range []struct {
		name    string
		writers int
		sync    bool
	}{
		{"create 4 KiB, 1 writer", 1, false},
		{"create 4 KiB, 8 writers", 8, false},
		{"create 4 KiB, fsync, 1 writer", 1, true},
		{"create 4 KiB, fsync, 8 writers", 8, true},
	} {
		var made atomic.Int64
		times := make([][]float64, c.writers)
		began := time.Now()
		err := together(c.writers, func(i int) error {
			dir := filepath.Join(w.dir, fmt.Sprintf("%d-%v-%d", c.writers, c.sync, i))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			z := newNoise(page)
			for ctx.Err() == nil && time.Since(began) < smallTime {
				n := made.Add(1)
				if n > smallMost {
					made.Add(-1)
					break
				}
				start := time.Now()
				if err := createSmall(filepath.Join(dir, fmt.Sprint(n)), z.next(), c.sync); err != nil {
					return err
				}
				times[i] = append(times[i], milliseconds(time.Since(start)))
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		w.record(c.name, "files/s", true, float64(made.Load())/time.Since(began).Seconds())
		if c.writers == 1 {
			w.percentiles(c.name, times[0])
		}
	}
	return nil
}

func createSmall(path string, b []byte, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// together runs n of f at the same time and returns when all have ended.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var g sync.WaitGroup
	for i := range n {
		g.Go(func() { errs[i] = f(i) })
	}
	g.Wait()
	return errors.Join(errs...)
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

// directory fills one directory with many files, lists it, looks at each and removes all.
func directory(ctx context.Context, w *work) error {
	const writers = 8
	dir := filepath.Join(w.dir, "many")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	each := func(do func(path string) error) error {
		return together(writers, func(i int) error {
			for n := i; n < w.files; n += writers {
				if err := errors.Join(ctx.Err(), do(filepath.Join(dir, fmt.Sprintf("file-%06d", n)))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	timed := func(name string, do func() error) error {
		began := time.Now()
		err := do()
		w.record(name, "1/s", true, float64(w.files)/time.Since(began).Seconds())
		return err
	}
	mknod := func(path string) error { return unix.Mknod(path, unix.S_IFREG|0o600, 0) }
	if err := timed("create empty files, 8 writers", func() error { return each(mknod) }); err != nil {
		return err
	}
	if err := listAndStat(ctx, w, dir, timed); err != nil {
		return err
	}
	if w.peerDir != "" {
		if err := timed("entries listed first, on another host", func() error { return list(filepath.Join(w.peerDir, "many"), w.files) }); err != nil {
			return err
		}
	}
	return timed("remove, 8 writers", func() error { return each(os.Remove) })
}

// listAndStat lists a directory and looks at each of its files, cold and warm.
func listAndStat(ctx context.Context, w *work, dir string, timed func(string, func() error) error) error {
	names, err := namesOf(dir)
	if err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	stat := func() error {
		var st unix.Stat_t
		for _, n := range names {
			if err := unix.Fstatat(fd, n, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return fmt.Errorf("stat %s: %w", n, err)
			}
		}
		return ctx.Err()
	}
	if dropCaches() {
		if err := timed("stat, cold", stat); err != nil {
			return err
		}
	}
	if dropCaches() {
		if err := timed("entries listed, cold", func() error { return list(dir, w.files) }); err != nil {
			return err
		}
	}
	if err := timed("entries listed, warm", func() error { return list(dir, w.files) }); err != nil {
		return err
	}
	if err := stat(); err != nil {
		return err
	}
	const times = 20
	began := time.Now()
	for range times {
		if err := stat(); err != nil {
			return err
		}
	}
	w.record("stat, warm", "1/s", true, float64(len(names)*times)/time.Since(began).Seconds())
	return nil
}

func namesOf(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// list lists a directory of which it is known how many entries it has.
func list(dir string, want int) error {
	names, err := namesOf(dir)
	if err == nil && len(names) != want {
		err = io.ErrUnexpectedEOF
	}
	return err
}
