package posix

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/ring"
)

// together has n actors on the first host's mount do f at the same time, each with its
// own number, and returns when all have.
func (s *stage) together(n int, f func(i int)) {
	s.t.Helper()
	var all sync.WaitGroup
	for i := range n {
		a := s.onMount(0, 0)
		all.Go(func() { a.do(func() { f(i) }) })
	}
	all.Wait()
}

// TestConcurrent has many threads at once use one mount.
func TestConcurrent(t *testing.T) {
	s := newStage(t, 1)
	t.Run("appends lose nothing", func(t *testing.T) { appends(t, s) })
	t.Run("creating without O_EXCL is one file, with it one winner", func(t *testing.T) { creators(t, s) })
	t.Run("writes of one page are not mixed", func(t *testing.T) { pageWriters(t, s) })
	t.Run("a name moves between directories while it is looked for", func(t *testing.T) { movers(t, s) })
}

// appends has several writers append to one file, line by line.
func appends(t *testing.T, s *stage) {
	const writers, lines = 8, 100
	s.together(writers, func(i int) {
		fd, err := unix.Open("/log", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0o644)
		must(err)
		for j := range lines {
			line := fmt.Appendf(nil, "%d-%d%s\n", i, j, strings.Repeat(".", j*7%200))
			if n, err := unix.Write(fd, line); n != len(line) || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
		must(unix.Close(fd))
	})
	got := s.ring.Host(0).Read("/log")
	for i := range writers {
		at := -1
		for j := range lines {
			line := fmt.Sprintf("%d-%d%s\n", i, j, strings.Repeat(".", j*7%200))
			k := strings.Index("\n"+got, "\n"+line)
			if k <= at {
				t.Fatalf("line %d of writer %d is at %d, the one before at %d", j, i, k, at)
			}
			at = k
		}
	}
	if n := strings.Count(got, "\n"); n != writers*lines {
		t.Errorf("%d lines", n)
	}
}

// creators has several threads create the same file.
func creators(t *testing.T, s *stage) {
	for round := range 30 {
		var mu sync.Mutex
		inodes, winners := map[uint64]int{}, 0
		s.together(6, func(int) {
			fd, err := unix.Open(fmt.Sprint("/shared", round), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
			must(err)
			var st unix.Stat_t
			must(unix.Fstat(fd, &st))
			must(unix.Close(fd))
			excl, err := unix.Open(fmt.Sprint("/mine", round), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
			if err == nil {
				unix.Close(excl)
			} else if err != unix.EEXIST {
				must(err)
			}
			mu.Lock()
			defer mu.Unlock()
			inodes[st.Ino]++
			if err == nil {
				winners++
			}
		})
		if len(inodes) != 1 || winners != 1 {
			t.Errorf("round %d: inodes %v, %d winners", round, inodes, winners)
		}
	}
}

// pageWriters has several threads write to the same pages, and one read them.
func pageWriters(t *testing.T, s *stage) {
	const page, writers, rounds = 4096, 6, 60
	s.together(writers, func(i int) {
		fd, err := unix.Open("/pages", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
		must(err)
		b, got := bytes.Repeat([]byte{byte('a' + i)}, page), make([]byte, page)
		for j := range rounds {
			off := int64(j%5) * page
			if i == 0 {
				n, err := unix.Pread(fd, got, off)
				if must(err); n > 0 && !bytes.Equal(got[:n], bytes.Repeat(got[:1], n)) {
					t.Errorf("a reader saw a mix: %.20q...%.20q", got, got[page-20:])
				}
				continue
			}
			if n, err := unix.Pwrite(fd, b, off); n != page || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
		must(unix.Close(fd))
	})
	got := s.ring.Host(0).Read("/pages")
	for p := range len(got) / page {
		if one := got[p*page : (p+1)*page]; strings.Count(one, one[:1]) != page {
			t.Errorf("page %d is a mix", p)
		}
	}
}

// movers has a name moved between two directories while they are listed.
func movers(t *testing.T, s *stage) {
	one := s.onMount(0, 0)
	one.do(func() {
		must(unix.Mkdir("/p", 0o755))
		must(unix.Mkdir("/q", 0o755))
		must(unix.Mknod("/p/f", unix.S_IFREG|0o644, 0))
	})
	s.together(4, func(i int) {
		for range 100 {
			if i < 2 {
				for _, m := range [][2]string{{"/p/f", "/q/f"}, {"/q/f", "/p/f"}} {
					if err := unix.Rename(m[0], m[1]); err != nil && err != unix.ENOENT {
						t.Error(err)
					}
				}
				continue
			}
			for _, d := range []string{"/p", "/q"} {
				if l, err := list(d); err != nil || len(l) > 3 {
					t.Errorf("%v %v", l, err)
				}
			}
		}
	})
	if a, b := len(mustList(one, "/p")), len(mustList(one, "/q")); a+b != 5 {
		t.Errorf("%d and %d names in the end", a, b)
	}
}

func mustList(a *actor, path string) (names []string) {
	a.do(func() {
		var err error
		names, err = list(path)
		must(err)
	})
	return names
}

// TestLarge is what takes a while: a large copy, which shares what it copies, a large
// tree, and what stays over a new mount. Long runs make them larger.
func TestLarge(t *testing.T) {
	size, perDir := "40000000", "99"
	if os.Getenv(stepsEnv) != "" {
		size, perDir = "1000000000", "499"
	}
	r := ring.Start(t, 1)
	h := r.Host(0)
	t.Run("a copy shares", func(t *testing.T) {
		h.Run(time.Minute, "sh", "-euc", `head -c "$1" /dev/urandom >big; sync big`, "sh", size)
		before, err := h.Status()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		h.Run(time.Minute, "cp", "big", "copy")
		took := time.Since(began)
		after, err := h.Status()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("cp of %s bytes in %v", size, took.Round(time.Millisecond))
		if more := after.Objects.Bytes - before.Objects.Bytes; more > 1<<16 {
			t.Errorf("the copy takes %d bytes", more)
		}
		h.Run(time.Minute, "sh", "-euc", `cmp big copy; sum=$(sha256sum <big)
			printf changed | dd of=copy bs=1 seek=10000000 conv=notrunc status=none; test "$(sha256sum <big)" = "$sum"; if cmp -s big copy; then exit 1; fi
			cp big third; : >big; test "$(sha256sum <third)" = "$sum"; rm big copy; test "$(sha256sum <third)" = "$sum"; rm third`)
	})
	t.Run("rm -rf of a tree", func(t *testing.T) {
		began := time.Now()
		h.Run(2*time.Minute, "sh", "-euc", `mkdir t; cd t; for d in $(seq 20); do mkdir $d; (cd $d; seq $1 | xargs touch); done; test $(find . | wc -l) = $((20*($1+1)+1))`, "sh", perDir)
		made := time.Now()
		h.Run(2*time.Minute, "sh", "-euc", `rm -rf t; test ! -e t`)
		t.Logf("made in %v, removed in %v", made.Sub(began).Round(time.Millisecond), time.Since(made).Round(time.Millisecond))
	})
	t.Run("a new mount shows the same", func(t *testing.T) {
		h.Run(time.Minute, "sh", "-euc", `mkdir -p k/d; echo x >k/f; ln k/f k/g; ln -s f k/s; mkfifo k/p; touch -d '1960-01-02 03:04:05.123456789 UTC' k/d; chmod 1751 k/d; truncate -s 2T k/sparse`)
		const look = `find k -printf '%p %i %y %m %n %U:%G %s %b %T+ %C+ %l\n' | sort`
		before := h.Run(time.Minute, "sh", "-euc", look)
		h.Kill()
		h.Boot()
		if after := h.Run(time.Minute, "sh", "-euc", look); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}
