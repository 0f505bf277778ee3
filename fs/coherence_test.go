package fs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
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

// TestOtherHostsSeeIt makes changes on one host and looks at them through the caches
// of the other host's kernel as soon as the call has returned.
func TestOtherHostsSeeIt(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	us := []*user{newUser(t, v.Mount()), newUser(t, v.Mount())}
	ctx := t.Context()
	look := func(u *user, parent signet.Ino, name string) signet.Ino {
		ino, err := u.Kernel.Lookup(ctx, u.FS, parent, name)
		if err != nil && signet.KindOf(err) != signet.NotFound {
			t.Fatal(err)
		}
		return ino
	}
	size := func(u *user, ino signet.Ino) uint64 {
		at, err := u.Kernel.Stat(ctx, u.FS, ino)
		if err != nil {
			t.Fatal(err)
		}
		return at.Size
	}
	contents := func(u *user, h fs.Handle, ino signet.Ino) string {
		b, err := u.Kernel.Read(ctx, u.FS, h, ino, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for round := range 100 {
		a, b := us[round%2], us[(round+1)%2]
		name, other := fmt.Sprint("f", round%5), fmt.Sprint("g", round%3)
		if look(b, root, name) != 0 {
			b.must(func(r *fs.Request) error { return b.Unlink(r, root, name) })
		}
		if look(a, root, name) != 0 {
			t.Fatal("removed, and still there")
		}
		h, ino := a.create(root, name, 0o644)
		if look(b, root, name) != ino || size(b, ino) != 0 {
			t.Fatal("created, and not there")
		}
		rb := b.open(ino, syscall.O_RDONLY)
		for i := range 3 {
			text := strings.Repeat(fmt.Sprint(round, "."), i+1)
			a.write(h, 0, text)
			a.fsync(h)
			if got := contents(b, rb, ino); got != text || size(b, ino) != uint64(len(text)) {
				t.Fatalf("written %q, read %q of %d", text, got, size(b, ino))
			}
		}
		a.must(func(r *fs.Request) error {
			_, _, err := a.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: 2})
			return err
		})
		if got := contents(b, rb, ino); len(got) != 2 || size(b, ino) != 2 {
			t.Fatalf("truncated, read %q", got)
		}
		a.close(h)
		b.close(rb)
		was := look(b, root, other)
		a.must(func(r *fs.Request) error { return a.Rename(r, root, name, root, other, 0) })
		if look(b, root, other) != ino || look(b, root, name) != 0 || look(a, root, other) != ino {
			t.Fatal("renamed over", was, "and still the old one")
		}
	}
}

// TestReplyOvertakenByAChange has a reply that is on its way to the kernel while the
// change feed brings something newer.
func TestReplyOvertakenByAChange(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	d := a.mkdir(root, "d", 0o755)
	ctx := t.Context()

	// The reply is in the gate: the change waits for it, then undoes it.
	inGate, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.Kernel.Hold = func(what string) {
		if what == "lookup" {
			once.Do(func() { close(inGate); <-goOn })
		}
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		if ino, err := b.Kernel.Lookup(ctx, b.FS, root, "d"); err != nil || ino != d.Ino {
			t.Error(ino, err)
		}
	}()
	<-inGate
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		a.must(func(r *fs.Request) error { return a.Rmdir(r, root, "d") })
	}()
	select {
	case <-removed:
		t.Fatal("the change did not wait for the reply")
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	<-looked
	<-removed
	if _, err := b.Kernel.Lookup(ctx, b.FS, root, "d"); signet.KindOf(err) != signet.NotFound {
		t.Error("still there:", err)
	}
}

// TestChangedBeforeTheKernelHasIt has a change come when a LOOKUP's reply was written,
// but the program that asked has not run since: the kernel does not have the inode, and
// makes it with the old attributes.
func TestChangedBeforeTheKernelHasIt(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	ctx := t.Context()
	h, f := a.create(root, "f", 0o644)
	a.close(h)
	chmod := func(mode uint32) {
		a.must(func(r *fs.Request) error {
			_, ttl, err := a.SetAttr(r, f, fs.AttrChange{Set: signet.SetMode, Mode: mode})
			if ttl != 0 {
				t.Error("the kernel may keep attributes that it does not check the age of")
			}
			return err
		})
	}
	mode := func() uint32 {
		at, err := b.Kernel.Stat(ctx, b.FS, f)
		if err != nil {
			t.Fatal(err)
		}
		return at.Mode & 0o777
	}
	look := func() {
		if ino, err := b.Kernel.Lookup(ctx, b.FS, root, "f"); err != nil || ino != f {
			t.Fatal(ino, err)
		}
	}
	b.Kernel.Hold = func(what string) {
		if what == "lookup written" {
			b.Kernel.Hold = nil
			chmod(0o600)
		}
	}
	look()
	// Who has the path walks it again. Who opened the inode has it from the same LOOKUP.
	b.must(func(r *fs.Request) error {
		h, _, err := b.Open(r, f, syscall.O_RDONLY)
		if err == nil {
			b.Release(&fs.Request{Ctx: ctx}, h)
		}
		return err
	})
	if got := mode(); got != 0o600 {
		t.Errorf("mode %o after opening, want 600", got)
	}
	b.Kernel.Evict(f)
	b.Kernel.Hold = func(what string) {
		if what == "lookup written" {
			b.Kernel.Hold = nil
			chmod(0o640)
		}
	}
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "f", root, "g", 0) })
	a.must(func(r *fs.Request) error { return a.Rename(r, root, "g", root, "f", 0) })
	look()
	look()
	if got := mode(); got != 0o640 {
		t.Errorf("mode %o by path, want 640", got)
	}
	// An inode that was not shown costs nobody his names.
	b.Kernel.Log()
	gh, g := a.create(root, "unseen", 0o644)
	a.close(gh)
	a.must(func(r *fs.Request) error {
		_, _, err := a.SetAttr(r, g, fs.AttrChange{Set: signet.SetMode, Mode: 0o600})
		return err
	})
	if slices.Contains(b.Kernel.Log(), "names") {
		t.Error("names were dropped for an inode that the kernel was not told of")
	}
}

// once returns a hook that calls fn at the first time a step is reached, and a channel
// that is closed then.
func once(at fstest.Step, fn func()) func(fstest.Step) {
	var done atomic.Bool // not a sync.Once: fn may reach the step itself
	return func(s fstest.Step) {
		if s == at && done.CompareAndSwap(false, true) {
			fn()
		}
	}
}

// TestAnswerFromBeforeAChange has a change come, whole, between the reading of an
// answer and its way to the kernel: it is right, but must not be kept.
func TestAnswerFromBeforeAChange(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	d := a.mkdir(root, "d", 0o755)
	stat := func() (ttl time.Duration) {
		b.must(func(r *fs.Request) (err error) { _, ttl, err = b.GetAttr(r, d.Ino); return err })
		return ttl
	}
	if stat() == 0 {
		t.Error("nothing changes, and yet no lifetime")
	}
	b.Names.OnStep(once(fstest.Settling, func() { a.mkdir(d.Ino, "x", 0o755) }))
	if stat() != 0 {
		t.Error("an old answer has a lifetime")
	}
	b.Names.OnStep(once(fstest.Settling, func() { a.mkdir(root, "other", 0o755) }))
	if stat() == 0 {
		t.Error("a change elsewhere took the lifetime")
	}
}

// TestPublishedWhileAnswering has what a program wrote become published between the
// opening of a view and the laying of unpublished data over it.
func TestPublishedWhileAnswering(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u := newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "old")
	u.fsync(h)
	for _, step := range []fstest.Step{fstest.ViewOpened, fstest.AttrRead, fstest.Settling} {
		u.write(h, 0, "longer")
		u.Names.OnStep(once(step, func() { u.fsync(h) }))
		if at := u.stat(ino); at.Size != 6 {
			t.Errorf("%s: size %d", step, at.Size)
		}
		u.write(h, 0, "newest")
		u.Names.OnStep(once(step, func() { u.fsync(h) }))
		if got := u.read(h, 0, 10); got != "newest" {
			t.Errorf("%s: read %q", step, got)
		}
		u.Names.OnStep(nil)
		u.must(func(r *fs.Request) error {
			_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: 3})
			return err
		})
	}
}

// TestOwnWriteUnderAnothersWrite has this host's Write and a later one by another host
// arrive in one batch. A READ that begins when the batch is published, while what was
// written here still lies over the file, must not show it on top of the later one.
func TestOwnWriteUnderAnothersWrite(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	ha, ino := a.create(root, "f", 0o644)
	hb := b.open(ino, syscall.O_RDWR)
	_, before := v.State.Released()
	committed := func(n signet.Index) {
		for {
			if _, now := v.State.Released(); now >= before+n {
				return
			}
			runtime.Gosched()
		}
	}
	a.write(ha, 0, "mine")
	b.write(hb, 0, "later")
	haveRead := make(chan struct{})
	a.Names.After = func(_ context.Context, c signet.Command) error { <-haveRead; return nil }
	a.Names.Hold(true)
	var wg sync.WaitGroup
	wg.Go(func() { a.fsync(ha) })
	committed(1)
	wg.Go(func() { b.fsync(hb) })
	committed(2)
	settling := make(chan struct{})
	var first sync.Once
	a.Names.OnStep(func(s fstest.Step) {
		switch s {
		case fstest.BatchToChange:
			wg.Go(func() {
				defer close(haveRead)
				if got := a.read(ha, 0, 10); got != "later" {
					t.Errorf("read %q", got)
				}
			})
			<-settling // it has laid "mine" over what it read
		case fstest.Settling:
			first.Do(func() { close(settling) })
		}
	})
	a.Names.Hold(false)
	wg.Wait()
}

// TestReadsWaitForRelease has a host that does not acknowledge: what others change is
// not shown until it has.
func TestReadsWaitForRelease(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b, c := newUser(t, v.Mount()), newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, "old")
	a.fsync(h)
	rb := b.open(ino, syscall.O_RDONLY)
	applied := make(chan struct{})
	b.Names.OnStep(once(fstest.BatchToChange, func() { close(applied) }))
	c.Names.Hold(true)
	a.write(h, 0, "new")
	var wg sync.WaitGroup
	wg.Go(func() { a.fsync(h) })
	<-applied
	read, stat := make(chan string, 1), make(chan signet.Time, 1)
	wg.Go(func() { read <- b.read(rb, 0, 3) })
	wg.Go(func() { stat <- b.stat(ino).Mtime })
	select {
	case got := <-read:
		t.Errorf("read %q before it was released", got)
	case <-stat:
		t.Error("seen before it was released")
	case <-time.After(20 * time.Millisecond):
	}
	c.Names.Hold(false)
	if got := <-read; got != "new" {
		t.Errorf("read %q", got)
	}
	wg.Wait()
}

// TestReadsAndDrops has one host write a file all the time while programs on the
// other read it through the page cache. Nothing may wait for ever, and after a write
// has returned nobody may read what was before it.
func TestReadsAndDrops(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	const pages = 6
	a.write(h, 0, strings.Repeat("0", pages*fstest.PageSize))
	a.close(h)
	var readers [4]fs.Handle // from before it is written again, so they use the kernel's pages
	for i := range readers {
		readers[i] = b.open(ino, syscall.O_RDONLY)
	}
	h = a.open(ino, syscall.O_RDWR)
	var mu sync.Mutex
	atLeast := [pages]byte{'0', '0', '0', '0', '0', '0'}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 2))
			rh := readers[i]
			for ctx.Err() == nil {
				p := rng.IntN(pages)
				mu.Lock()
				want := atLeast[p]
				mu.Unlock()
				got, err := b.Kernel.Read(context.Background(), b.FS, rh, ino, int64(p)*fstest.PageSize, 10)
				if err != nil || len(got) != 10 || got[0] < want || got[0] != got[9] {
					t.Errorf("page %d: read %q, %v; want at least %c", p, got, err, want)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for version := byte('1'); version < 'z'; version++ {
		p := rng.IntN(pages)
		a.write(h, int64(p)*fstest.PageSize, strings.Repeat(string(rune(version)), fstest.PageSize))
		a.fsync(h)
		mu.Lock()
		atLeast[p] = version
		mu.Unlock()
	}
	stop()
	wg.Wait()
}

// TestSlowReadDoesNotHoldUpTheFeed has a READ of old data stuck at a slow host while
// another host changes the file: after a moment it is read anew.
func TestSlowReadDoesNotHoldUpTheFeed(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := a.create(root, "f", 0o644)
	a.write(h, 0, strings.Repeat("old", 10_000))
	a.close(h)
	rh := b.open(ino, syscall.O_RDONLY) // before it is written again: it uses the kernel's pages
	h = a.open(ino, syscall.O_RDWR)
	stuck := make(chan struct{})
	var once sync.Once
	v.Objects.FailGet(func(ctx context.Context, _ signet.Address) error {
		first := false
		once.Do(func() { first = true })
		if first {
			close(stuck)
			<-ctx.Done() // a slow host
		}
		return ctx.Err()
	})
	got := make(chan string)
	go func() {
		p, err := b.Kernel.Read(context.Background(), b.FS, rh, ino, 0, 5)
		if err != nil {
			t.Error(err)
		}
		got <- string(p)
	}()
	<-stuck
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		a.write(h, 0, "newer")
		a.fsync(h)
	}()
	if text := <-got; text != "newer" {
		t.Errorf("read %q", text)
	}
	<-wrote
}

// TestOwnChanges checks what the kernel is asked to forget after this host's own
// changes: attributes always, names if one was taken away, pages never for writes.
func TestOwnChanges(t *testing.T) {
	t.Parallel()
	u := newUser(t, fstest.NewVolume(t).Mount())
	u.Kernel.Log()
	saw := func(what string, want ...string) {
		t.Helper()
		got := u.Kernel.Log()
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: no %q in %q", what, w, got)
			}
		}
		if !slices.Contains(want, "names") && slices.Contains(got, "names") {
			t.Errorf("%s: names dropped for nothing", what)
		}
		for _, g := range got {
			if strings.HasPrefix(g, "pages") && !slices.Contains(want, g) {
				t.Errorf("%s: %s for nothing", what, g)
			}
		}
	}
	h, ino := u.create(root, "f", 0o644)
	saw("create", "attr 1")
	u.write(h, 0, strings.Repeat("x", 10_000))
	saw("write")
	u.fsync(h)
	saw("fsync", fmt.Sprint("attr ", ino))
	know := func() { // the kernel is made to forget what it knows only
		t.Helper()
		if _, err := u.Kernel.Stat(t.Context(), u.FS, ino); err != nil {
			t.Fatal(err)
		}
	}
	know()
	u.must(func(r *fs.Request) error {
		_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: 5000})
		return err
	})
	saw("truncate", fmt.Sprint("attr ", ino), fmt.Sprintf("pages %d 5000 -1", ino))
	u.must(func(r *fs.Request) error {
		return u.Fallocate(r, h, 100, 200, fs.FallocPunchHole|fs.FallocKeepSize)
	})
	saw("punch", fmt.Sprintf("pages %d 100 200", ino))
	know()
	u.must(func(r *fs.Request) error { return u.Unlink(r, root, "f") })
	saw("unlink", "attr 1", fmt.Sprint("attr ", ino)) // TestNamesAreForgottenRarely has what becomes of names
}

// TestNamesAreForgottenRarely checks when the kernel is made to forget names: only for one that
// it was given with a lifetime, which new files are not, and seldom.
func TestNamesAreForgottenRarely(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	a, b := newUser(t, v.Mount()), newUser(t, v.Mount())
	d := a.mkdir(root, "d", 0o755).Ino
	make := func(names ...string) {
		for _, name := range names {
			h, _ := a.create(d, name, 0o644)
			a.close(h)
		}
	}
	find := func(u *user, dir signet.Ino, name string) {
		t.Helper()
		if _, err := u.Kernel.Lookup(t.Context(), u.FS, dir, name); err != nil {
			t.Fatal(err)
		}
	}
	forgets := func(of *user, change func(r *fs.Request) error) bool {
		t.Helper()
		of.Kernel.Log()
		a.must(change)
		return slices.Contains(of.Kernel.Log(), "names")
	}
	make("temporary", "seen", "old", "moved")
	find(a, root, "d")
	find(a, d, "temporary") // as unlink(2) does
	if forgets(a, func(r *fs.Request) error { return a.Unlink(r, d, "temporary") }) {
		t.Error("a file made just now had all names forgotten")
	}
	find(b, root, "d")
	if forgets(b, func(r *fs.Request) error { return a.Rename(r, d, "moved", d, "away", 0) }) {
		t.Error("a name that the other host never asked for had all names forgotten there")
	}
	find(b, d, "seen")
	if !forgets(b, func(r *fs.Request) error { return a.Unlink(r, d, "seen") }) {
		t.Error("a name that the other host's kernel has was not forgotten")
	}
	if _, err := b.Kernel.Lookup(t.Context(), b.FS, d, "seen"); signet.KindOf(err) != signet.NotFound {
		t.Errorf("the other host's kernel still finds it: %v", err)
	}
	find(b, d, "old") // names have a rest now
	if forgets(b, func(r *fs.Request) error { return a.Unlink(r, d, "old") }) {
		t.Error("names were forgotten twice within a moment")
	}
	if _, err := b.Kernel.Lookup(t.Context(), b.FS, d, "old"); signet.KindOf(err) != signet.NotFound {
		t.Errorf("the other host's kernel still finds it: %v", err)
	}
}

// writingKernel has dirty pages of a mapping, which it cannot write back, and so not
// drop, before a truncation under way is answered.
type writingKernel struct {
	fs.Kernel
	answered chan struct{}
}

func (k writingKernel) DropPages(signet.Ino, int64, int64) { <-k.answered }

func TestTruncatingADirtyMapping(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u, other := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "mapped")
	u.fsync(h)
	k := writingKernel{u.Kernel, make(chan struct{})}
	u.Attach(k)
	u.must(func(r *fs.Request) error {
		_, _, err := u.SetAttr(r, ino, fs.AttrChange{Set: signet.SetSize, Size: 1})
		return err
	})
	if at := other.stat(ino); at.Size != 1 {
		t.Error("size", at.Size)
	}
	close(k.answered)
}

// TestWithoutEpochs is an older kernel: names never get a lifetime.
func TestWithoutEpochs(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	m := v.Mount()
	m.Kernel.NoEpoch()
	m.Attach(m.Kernel)
	u := newUser(t, m)
	d := u.mkdir(root, "d", 0o755)
	u.must(func(r *fs.Request) error {
		e, err := u.Lookup(r, root, "d")
		if e.EntryTTL != 0 || e.AttrTTL == 0 || e.Attr.Ino != d.Ino {
			t.Errorf("%+v", e)
		}
		return err
	})
}

// TestForget is for a feed with a gap: nothing cached may survive.
func TestForget(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	u, other := newUser(t, v.Mount()), newUser(t, v.Mount())
	h, ino := u.create(root, "f", 0o644)
	u.write(h, 0, "x")
	u.fsync(h)
	read := func() string {
		b, err := u.Kernel.Read(t.Context(), u.FS, h, ino, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	keeps := func() (keep bool) {
		u.must(func(r *fs.Request) error {
			h, of, err := u.Open(r, ino, syscall.O_RDONLY)
			keep = of.KeepCache
			u.Release(r, h)
			return err
		})
		return keep
	}
	if read() != "x" || !keeps() {
		t.Error("cached pages are not kept from one open to the next")
	}
	u.Names.Deafen(true)
	ho := other.open(ino, syscall.O_RDWR)
	other.write(ho, 0, "changed")
	other.close(ho)
	other.must(func(r *fs.Request) error { return other.Unlink(r, root, "f") })
	u.Names.Deafen(false)
	if read() != "x" || len(u.Orphans()) != 0 {
		t.Error("the feed has no gap")
	}
	if err := u.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(u.Orphans(), []signet.Ino{ino}) {
		t.Error("an open file would be reaped")
	}
	if got := read(); got != "changed" {
		t.Errorf("read %q", got)
	}
	if keeps() {
		t.Error("pages of a closed file would be kept")
	}
	if !keeps() {
		t.Error("nothing is ever kept again")
	}
}

// TestManyHostsInOneDirectory has three hosts work in one directory at once; nothing
// may wait for ever, and each name has one winner.
func TestManyHostsInOneDirectory(t *testing.T) {
	t.Parallel()
	v := fstest.NewVolume(t)
	var us []*user
	for range 3 {
		us = append(us, newUser(t, v.Mount()))
	}
	var mu sync.Mutex
	winners := map[string]int{}
	var wg sync.WaitGroup
	for i := range 12 {
		u := us[i%3]
		wg.Go(func() {
			for j := range 60 {
				name := fmt.Sprint("n", j)
				err := u.do(func(r *fs.Request) error {
					_, h, _, err := u.Create(r, root, name, 0o644, syscall.O_RDWR|syscall.O_EXCL)
					if err == nil {
						u.Release(r, h)
					}
					return err
				})
				switch signet.KindOf(err) {
				case signet.OK:
					mu.Lock()
					winners[name]++
					mu.Unlock()
				case signet.Exists:
				default:
					t.Error(err)
				}
				if _, err := u.Kernel.Lookup(t.Context(), u.FS, root, name); err != nil {
					t.Error("created, and not found:", err)
				}
				if j%4 == 0 {
					u.list(root)
				}
			}
		})
	}
	wg.Wait()
	for j := range 60 {
		if n := winners[fmt.Sprint("n", j)]; n != 1 {
			t.Errorf("n%d has %d winners", j, n)
		}
	}
}
