package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// changes is how many changes of each kind are watched at most, and watchTime how long. A
// filesystem that shows a change after a second gets fewer, and one that does not show it
// at all an error.
const (
	changes   = 300
	watchTime = 20 * time.Second
	blindTime = time.Minute
)

// lookEvery is how long an observer rests between two looks.
const lookEvery = 100 * time.Microsecond

// visibility changes things here and watches them there: how long a change takes from the
// beginning of the call until another host sees it, and how much later than the return of
// the call that was (never, where a filesystem is as one machine).
func visibility(ctx context.Context, w *work) error {
	there := w.peerDir
	if there == "" {
		there = w.dir
	}
	made, err := w.watch(ctx, "create", changes, there, func(i int) (func() error, func() bool) {
		name := fmt.Sprintf("new-%d", i)
		return func() error { return unix.Mknod(filepath.Join(w.dir, name), unix.S_IFREG|0o600, 0) },
			func() bool { return exists(filepath.Join(there, name)) }
	})
	if err != nil {
		return err
	}
	if _, err := w.watch(ctx, "rename", made, there, func(i int) (func() error, func() bool) {
		from, to := fmt.Sprintf("new-%d", i), fmt.Sprintf("moved-%d", i)
		return func() error { return os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)) },
			func() bool { return !exists(filepath.Join(there, from)) }
	}); err != nil {
		return err
	}
	file := filepath.Join(w.dir, "contents")
	if err := os.WriteFile(file, bytes.Repeat([]byte("-"), page), 0o600); err != nil {
		return err
	}
	_, err = w.watch(ctx, "overwrite and close", changes, there, func(i int) (func() error, func() bool) {
		text := bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), page/8)
		return func() error { return overwrite(file, text) }, func() bool {
			b, err := os.ReadFile(filepath.Join(there, "contents"))
			return err == nil && bytes.Equal(b, text)
		}
	})
	return err
}

// watch makes up to most changes, one after the other, while somebody looks again and
// again, and returns how many it made.
func (w *work) watch(ctx context.Context, name string, most int, there string, change func(i int) (do func() error, seen func() bool)) (int, error) {
	var calls, sights, late []float64
	for start := time.Now(); len(calls) < most && time.Since(start) < watchTime; {
		i := len(calls)
		do, seen := change(i)
		seen() // so that the other host's kernel knows what was before
		var looking atomic.Bool
		at := make(chan time.Time, 1)
		blind := time.Now().Add(blindTime)
		go func() {
			runtime.LockOSThread() // a thread of its own: nobody else here delays it
			defer close(at)
			for looking.Store(true); !seen(); {
				if ctx.Err() != nil || time.Now().After(blind) {
					return
				}
				time.Sleep(lookEvery) // else it would take the processor from whom it watches
			}
			at <- time.Now()
		}()
		for !looking.Load() {
			runtime.Gosched()
		}
		began := time.Now()
		if err := do(); err != nil {
			return i, err
		}
		returned := time.Now()
		saw, ok := <-at
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if !ok {
			return i, fmt.Errorf("%s: not seen in %s after %v", name, there, blindTime)
		}
		calls = append(calls, milliseconds(returned.Sub(began)))
		sights = append(sights, milliseconds(saw.Sub(began)))
		late = append(late, max(0, milliseconds(saw.Sub(returned))))
		if w.peerDir != "" && !seen() {
			return i, fmt.Errorf("%s: seen in %s, and then not any more", name, there)
		}
	}
	w.percentiles(name+": the call", calls)
	if w.peerDir != "" {
		w.percentiles(name+": until seen elsewhere", sights)
		w.percentiles(name+": seen after the return", late)
	}
	return len(calls), nil
}

func (w *work) percentiles(name string, ms []float64) {
	for _, p := range []int{50, 99} {
		w.record(fmt.Sprintf("%s, p%d", name, p), "ms", false, percentile(ms, p))
	}
}

func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}

func overwrite(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
