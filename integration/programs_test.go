package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// onHost is a part of what programs do: a shell script, in the root of the mount of one
// host. $1 is a directory with some sources, outside; $2 how many times as much to do.
type onHost struct {
	host   int
	script string
}

// job is what some programs do together: first on one host's ext4, then on the mounts of
// three. In both the parts have to print the same.
type job struct {
	name  string
	needs []string // programs
	long  bool     // only if there is time
	parts []onHost
}

// everyday are jobs in which each part relies on what other hosts have just done.
var everyday = []job{
	{name: "git", needs: []string{"git"}, parts: []onHost{
		{0, `git init -q -b main one; cp "$1"/*.go one; cd one; git add .; git commit -qm first; git gc -q; git fsck --strict --no-progress`},
		{1, `cd one; git fsck --strict --no-progress; test -z "$(git status --porcelain)"; cd ..
			git clone -q --no-local one two; git -C two remote set-url origin ../one; git -C two fsck --strict --no-progress; diff -r -x .git one two`},
		{2, `cd two; test -z "$(git status --porcelain)"; git checkout -q -b other; echo "// changed" >>doc.go; git commit -qam second; git push -q origin other`},
		{0, `cd one; git fsck --strict --no-progress; git merge -q other; test "$(tail -n 1 doc.go)" = "// changed"; test $(git log --oneline | wc -l) = 2`},
		{1, `cmp one/doc.go two/doc.go; cd one; test -z "$(git status --porcelain)"; git fsck --strict --no-progress`},
	}},
	{name: "tar", needs: []string{"tar"}, parts: []onHost{
		{0, `cp -a "$1" src; ln -s src/doc.go link; ln src/doc.go src/hard; chmod 751 src/doc.go; touch -d 2001-02-03T04:05:06.789 src/doc.go; tar -H posix -cf a.tar src link`},
		{1, `tar -df a.tar; mkdir x; tar -xpf a.tar -C x; diff -r src x/src; test x/src/doc.go -ef x/src/hard`},
		{2, `cd x; tar -df ../a.tar; test "$(stat -c '%a %.3Y' src/doc.go)" = "751 $(date -d 2001-02-03T04:05:06 +%s).789"; test "$(readlink link)" = src/doc.go; rm -r src`},
		{0, `test -z "$(ls x/src 2>/dev/null)"; tar -xpf a.tar -C x; tar -df a.tar -C x`},
	}},
	{name: "SQLite", needs: []string{"sqlite3"}, parts: []onHost{
		{0, `sqlite3 db 'create table t(a integer primary key, b); create index i on t(b);
			with recursive n(i) as (select 1 union all select i+1 from n where i<5000) insert into t select i, hex(randomblob(20)) from n'`},
		{1, `test "$(sqlite3 db 'pragma integrity_check; select count(*) from t')" = "$(printf 'ok\n5000')"
			sqlite3 db 'begin; delete from t where a%3=0; update t set b=a where a%7=0; commit; vacuum'`},
		{2, `test "$(sqlite3 db 'pragma integrity_check; select count(*), sum(b=a) from t')" = "$(printf 'ok\n3334|476')"
			for i in 1 2 3 4 5; do sqlite3 db "insert into t values(10000+$i, 'host 2')"; done`},
		{0, `test "$(sqlite3 db "pragma integrity_check; select count(*) from t where b='host 2'")" = "$(printf 'ok\n5')"; test ! -e db-journal`},
	}},
	{name: "make", needs: []string{"make", "gcc"}, parts: []onHost{
		{0, `printf '#include <stdio.h>\nint main(void) { puts(WHO); return 0; }\n' >main.c; printf '#define WHO "zero"\n' >who.h
			printf 'prog: main.c who.h\n\tgcc -include who.h -o prog main.c\n' >Makefile; make -s; test "$(./prog)" = zero`},
		{1, `make -q; test "$(./prog)" = zero; printf '#define WHO "one"\n' >who.h; if make -q; then exit 1; fi`},
		{2, `make -s; test "$(./prog)" = one; make -q`},
		{0, `make -q; test "$(./prog)" = one`},
	}},
	{name: "python", needs: []string{"python3"}, parts: []onHost{
		{0, `mkdir pkg; echo 'VALUE = 1' >pkg/value.py; : >pkg/__init__.py; python3 -m compileall -q pkg; test -d pkg/__pycache__
			python3 -c 'import mmap; f = open("m", "w+b"); f.truncate(100000); m = mmap.mmap(f.fileno(), 0); m[50000:50005] = b"hello"; m.flush()
import os; os.setxattr("m", "user.a", b"v")'`},
		{1, `test "$(python3 -c 'import pkg.value; print(pkg.value.VALUE)')" = 1; echo 'VALUE = "two"' >pkg/value.py
			python3 -c 'import os; b = open("m", "rb").read(); assert b[50000:50005] == b"hello" and len(b) == 100000; assert os.getxattr("m", "user.a") == b"v"'`},
		{2, `test "$(python3 -c 'import pkg.value; print(pkg.value.VALUE)')" = two`},
	}},
}

// TestPrograms has ordinary programs work together across hosts: what one has done, the
// next finds on another host. A local filesystem must give the same results; how long both
// took is printed at the end.
func TestPrograms(t *testing.T) {
	need.Program(t, "git", "tar", "sqlite3", "python3", "make", "gcc")
	b := &beside{ring: ring.StartWith(t, ring.Config{Hosts: 3, Mount: "allow_other"}), local: t.TempDir(), times: "1", bound: time.Minute}
	long := need.Long(t)
	if long {
		b.times, b.bound = "5", 5*time.Minute
	}
	for _, j := range slices.Concat(everyday, archives, services, database, backups, packages, builds, loads) {
		if j.long && !long {
			continue
		}
		t.Run(j.name, func(t *testing.T) { b.run(t, &j) })
	}
	t.Logf("what took how long, on %s, on the mounts, and the second by the first:\n%s", kindOf(t, b.ring.Host(0), b.local), b.table.String())
	t.Run("an editor", func(t *testing.T) { edit(t, b.ring) })
	t.Run("inotify", func(t *testing.T) { watch(t, b.ring, b.local) })
}

// beside runs jobs on a local filesystem and on the mounts of a ring.
type beside struct {
	ring  *ring.Ring
	local string // directory
	times string // how many times as much as usual to do
	bound time.Duration
	table strings.Builder
}

// run runs one job on both. The local one comes first, and so finds the programs themselves
// not yet in memory: for a comparison take the second of two runs (-test.count=2).
func (b *beside) run(t *testing.T, j *job) {
	if j.long {
		for _, p := range j.needs {
			if _, err := exec.LookPath(p); err != nil {
				t.Fatalf("there is no %s (make test-long installs it)", p)
			}
		}
	}
	need.Program(t, j.needs...)
	one := b.ring.Host(0)
	dir, sources := filepath.Join(b.local, j.name), workingDirectory(t)
	mustSh(t, one, time.Minute, `mkdir "$1" "$2"; chmod 755 "${1%/*/*}" "${1%/*}" "$1" "$2"`, dir, j.name)
	want := make([]string, len(j.parts))
	began := time.Now()
	for i, p := range j.parts {
		want[i] = b.part(t, one, dir, sources, i, p.script)
	}
	local := time.Since(began)
	began = time.Now()
	for i, p := range j.parts {
		if got := b.part(t, b.ring.Host(p.host), j.name, sources, i, p.script); got != want[i] {
			t.Errorf("part %d, on host %d: %s", i+1, p.host, ring.Difference([]byte(got), []byte(want[i])))
		}
	}
	ours := time.Since(began)
	fmt.Fprintf(&b.table, "%-12s %8.2f s %8.2f s %6.1f\n", j.name, local.Seconds(), ours.Seconds(), ours.Seconds()/local.Seconds())
	// Later jobs shall not have to live with what this one left: not on a small disk.
	mustSh(t, one, 3*time.Minute, `rm -rf "$1" "$2"`, dir, j.name)
}

// part runs one part in a directory and returns what it printed.
func (b *beside) part(t *testing.T, h *ring.Host, dir, sources string, i int, script string) string {
	t.Helper()
	script = `cd "$3"; export HOME="$PWD" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; set -x
` + script
	out, err := sh(h, b.bound, script, sources, b.times, dir)
	if err != nil {
		why := err.Error()
		t.Fatalf("part %d, in %s on %s: ...%s\n%s", i+1, dir, h.Name(), why[max(0, len(why)-3000):], out[max(0, len(out)-3000):])
	}
	return out
}

// kindOf returns what sort of filesystem a directory is on.
func kindOf(t *testing.T, h *ring.Host, dir string) string {
	return mustSh(t, h, time.Minute, `stat -f -c %T "$1"`, dir)
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit saves a file as editors do, beside the old one and renamed over it, on one host
// after the other. Another has the file open meanwhile, and keeps what it opened.
func edit(t *testing.T, r *ring.Ring) {
	r.Host(0).Mkdir("/edit")
	r.Host(0).Write("/edit/f", "0\n")
	for n := range 12 {
		h, next := r.Host(n%3), r.Host((n+1)%3)
		fd := next.Open("/edit/f", os.O_RDONLY)
		h.Run(time.Minute, "sed", "-i", fmt.Sprintf("s/^%d$/%d/", n, n+1), "edit/f")
		for _, h := range r.Hosts() {
			h.WantFile("/edit/f", fmt.Sprintf("%d\n", n+1))
			h.WantNames("/edit", "f")
		}
		if got := string(next.MustDo(ring.Call{Op: ring.OpRead, FD: fd, Len: 100}).Data); got != fmt.Sprintf("%d\n", n) {
			t.Errorf("round %d: who had the file open now reads %q", n, got)
		}
		next.Close(fd)
	}
}
