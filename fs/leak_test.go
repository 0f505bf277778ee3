package fs_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

// nothingHeld fails the test unless everything was given back, in a moment: the
// background may be at its last step.
func nothingHeld(t *testing.T, v *fstest.Volume, u *user) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		memory, puts, nodes, dirty := u.Held()
		views := v.State.OpenViews()
		if memory == 0 && puts == 0 && nodes == 0 && dirty == 0 && views == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes dirty, %d being put, %d nodes, %d of them dirty, %d views open", memory, puts, nodes, dirty, views)
		}
	}
}

func TestNothingIsHeld(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", 6*mib/16)
	for name, fn := range map[string]func(t *testing.T, v *fstest.Volume, u *user){
		"closed": func(t *testing.T, v *fstest.Volume, u *user) {
			h, _ := u.create(root, "f", 0o644)
			u.write(h, 100, big)
			u.close(h)
		},
		"synced while it is still open": func(t *testing.T, v *fstest.Volume, u *user) {
			h, _ := u.create(root, "f", 0o644)
			v.Objects.FailPut(func(signet.Address) error {
				if v.State.OpenViews() == 0 {
					t.Error("nothing keeps objects from being collected before they are named")
				}
				return nil
			})
			u.write(h, 100, big)
			u.write(h, 9, "small")
			u.fsync(h)
			if memory, _, _, dirty := u.Held(); memory != 0 || dirty != 0 || v.State.OpenViews() != 0 {
				t.Errorf("%d bytes, %d dirty, %d views", memory, dirty, v.State.OpenViews())
			}
			u.close(h)
		},
		"written over while it is being put": func(t *testing.T, v *fstest.Volume, u *user) {
			h, _ := u.create(root, "f", 0o644)
			release := v.Objects.BlockPuts()
			for range 3 {
				u.write(h, 0, big)
			}
			u.must(func(r *fs.Request) error {
				go release()
				return u.Flush(r, h, 0)
			})
			u.close(h)
		},
		"removed while it is dirty": func(t *testing.T, v *fstest.Volume, u *user) {
			h, _ := u.create(root, "f", 0o644)
			u.write(h, 0, big)
			u.must(func(r *fs.Request) error { return u.Unlink(r, root, "f") })
			u.must(func(r *fs.Request) error { u.Release(r, h); return nil })
		},
		"no space": func(t *testing.T, v *fstest.Volume, u *user) {
			h, _ := u.create(root, "f", 0o644)
			v.Objects.FailPut(func(signet.Address) error { return signet.NoSpace })
			_ = u.do(func(r *fs.Request) error { _, err := u.Write(r, h, 0, []byte(big), 0); return err })
			_ = u.do(func(r *fs.Request) error { return u.Flush(r, h, 0) })
			u.must(func(r *fs.Request) error { u.Release(r, h); return nil })
		},
		"killed within close": func(t *testing.T, v *fstest.Volume, u *user) {
			h, ino := u.create(root, "f", 0o644)
			u.write(h, 0, big)
			u.must(func(r *fs.Request) error { u.Release(r, h); return nil })
			nothingHeld(t, v, u)
			if at := u.stat(ino); at.Size != uint64(len(big)) {
				t.Error("lost: size", at.Size)
			}
		},
		"refused calls": func(t *testing.T, v *fstest.Volume, u *user) {
			h, ino := u.create(root, "f", 0o644)
			u.close(h)
			_ = u.do(func(r *fs.Request) error { _, err := u.OpenDir(r, ino); return err })
			_ = u.do(func(r *fs.Request) error { _, _, err := u.Open(r, 999, syscall.O_RDWR); return err })
			_ = u.do(func(r *fs.Request) error { _, _, _, err := u.Create(r, ino, "x", 0, 0); return err })
			_ = u.do(func(r *fs.Request) error { _, _, _, err := u.Create(r, root, "f", 0, syscall.O_EXCL); return err })
			u.list(root)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := fstest.NewVolume(t)
			u := newUser(t, v.Mount())
			u.t = t
			fn(t, v, u)
			nothingHeld(t, v, u)
		})
	}
}

// TestNothingIsHeldAfterAStorm has several programs write, sync, cut and remove files
// under failing puts and lost answers.
func TestNothingIsHeldAfterAStorm(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	v.Limits = fs.Limits{Dirty: 2 * mib}
	m := v.Mount()
	u := newUser(t, m)
	var calm atomic.Bool
	var seed atomic.Uint64
	kinds := []signet.Kind{signet.Unavailable, signet.NoSpace, signet.Timeout}
	fail := func() error {
		n := rand.New(rand.NewPCG(seed.Add(1), 3)).IntN(20)
		if calm.Load() || n >= len(kinds) {
			return nil
		}
		return kinds[n]
	}
	v.Objects.FailPut(func(signet.Address) error { return fail() })
	m.Names.Before = func(context.Context, signet.Command) error { return fail() }
	m.Names.After = func(context.Context, signet.Command) error { return fail() }
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 4))
			name := string(rune('a' + i%3))
			for range 15 {
				var h fs.Handle
				var e fs.Entry
				err := u.do(func(r *fs.Request) (err error) {
					e, h, _, err = u.Create(r, root, name, 0o644, syscall.O_RDWR)
					return err
				})
				if err != nil {
					continue
				}
				for range 10 {
					_ = u.do(func(r *fs.Request) error {
						switch rng.IntN(5) {
						case 0:
							return u.Fsync(r, h)
						case 1:
							_, _, err := u.SetAttr(r, e.Attr.Ino, fs.AttrChange{Set: signet.SetSize, Size: uint64(rng.IntN(300_000))})
							return err
						default:
							_, err := u.Write(r, h, int64(rng.IntN(200_000)), make([]byte, rng.IntN(100_000)), 0)
							return err
						}
					})
				}
				if rng.IntN(3) == 0 {
					_ = u.do(func(r *fs.Request) error { return u.Unlink(r, root, name) })
				}
				_ = u.do(func(r *fs.Request) error { return u.Flush(r, h, 0) })
				_ = u.do(func(r *fs.Request) error { u.Release(r, h); return nil })
			}
		})
	}
	wg.Wait()
	calm.Store(true)
	if err := u.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	nothingHeld(t, v, u)
}
