package integration

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// onHost is a part of what programs do: a shell script, in the root of the mount of one
// host. $1 is a directory with some sources, outside.
type onHost struct {
	host   int
	script string
}

// everyday are jobs in which each part relies on what other hosts have just done.
var everyday = map[string][]onHost{
	"git": {
		{0, `git init -q -b main one; cp "$1"/*.go one; cd one; git add .; git commit -qm first; git gc -q; git fsck --strict --no-progress`},
		{1, `cd one; git fsck --strict --no-progress; test -z "$(git status --porcelain)"; cd ..
			git clone -q --no-local one two; git -C two remote set-url origin ../one; git -C two fsck --strict --no-progress; diff -r -x .git one two`},
		{2, `cd two; test -z "$(git status --porcelain)"; git checkout -q -b other; echo "// changed" >>doc.go; git commit -qam second; git push -q origin other`},
		{0, `cd one; git fsck --strict --no-progress; git merge -q other; test "$(tail -n 1 doc.go)" = "// changed"; test $(git log --oneline | wc -l) = 2`},
		{1, `cmp one/doc.go two/doc.go; cd one; test -z "$(git status --porcelain)"; git fsck --strict --no-progress`},
	},
	"tar": {
		{0, `cp -a "$1" src; ln -s src/doc.go link; ln src/doc.go src/hard; chmod 751 src/doc.go; touch -d 2001-02-03T04:05:06.789 src/doc.go; tar -H posix -cf a.tar src link`},
		{1, `tar -df a.tar; mkdir x; tar -xpf a.tar -C x; diff -r src x/src; test x/src/doc.go -ef x/src/hard`},
		{2, `cd x; tar -df ../a.tar; test "$(stat -c '%a %.3Y' src/doc.go)" = "751 $(date -d 2001-02-03T04:05:06 +%s).789"; test "$(readlink link)" = src/doc.go; rm -r src`},
		{0, `test -z "$(ls x/src 2>/dev/null)"; tar -xpf a.tar -C x; tar -df a.tar -C x`},
	},
	"a database": {
		{0, `sqlite3 db 'create table t(a integer primary key, b); create index i on t(b);
			with recursive n(i) as (select 1 union all select i+1 from n where i<5000) insert into t select i, hex(randomblob(20)) from n'`},
		{1, `test "$(sqlite3 db 'pragma integrity_check; select count(*) from t')" = "$(printf 'ok\n5000')"
			sqlite3 db 'begin; delete from t where a%3=0; update t set b=a where a%7=0; commit; vacuum'`},
		{2, `test "$(sqlite3 db 'pragma integrity_check; select count(*), sum(b=a) from t')" = "$(printf 'ok\n3334|476')"
			for i in 1 2 3 4 5; do sqlite3 db "insert into t values(10000+$i, 'host 2')"; done`},
		{0, `test "$(sqlite3 db "pragma integrity_check; select count(*) from t where b='host 2'")" = "$(printf 'ok\n5')"; test ! -e db-journal`},
	},
	"make": {
		{0, `printf '#include <stdio.h>\nint main(void) { puts(WHO); return 0; }\n' >main.c; printf '#define WHO "zero"\n' >who.h
			printf 'prog: main.c who.h\n\tgcc -include who.h -o prog main.c\n' >Makefile; make -s; test "$(./prog)" = zero`},
		{1, `make -q; test "$(./prog)" = zero; printf '#define WHO "one"\n' >who.h; if make -q; then exit 1; fi`},
		{2, `make -s; test "$(./prog)" = one; make -q`},
		{0, `make -q; test "$(./prog)" = one`},
	},
	"python": {
		{0, `mkdir pkg; echo 'VALUE = 1' >pkg/value.py; : >pkg/__init__.py; python3 -m compileall -q pkg; test -d pkg/__pycache__
			python3 -c 'import mmap; f = open("m", "w+b"); f.truncate(100000); m = mmap.mmap(f.fileno(), 0); m[50000:50005] = b"hello"; m.flush()
import os; os.setxattr("m", "user.a", b"v")'`},
		{1, `test "$(python3 -c 'import pkg.value; print(pkg.value.VALUE)')" = 1; echo 'VALUE = "two"' >pkg/value.py
			python3 -c 'import os; b = open("m", "rb").read(); assert b[50000:50005] == b"hello" and len(b) == 100000; assert os.getxattr("m", "user.a") == b"v"'`},
		{2, `test "$(python3 -c 'import pkg.value; print(pkg.value.VALUE)')" = two`},
	},
}

// TestPrograms has ordinary programs work together across hosts: what one has done, the
// next finds on another host.
func TestPrograms(t *testing.T) {
	need.Program(t, "git", "tar", "sqlite3", "python3", "make", "gcc")
	r := ring.Start(t, 3)
	sources, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for name, parts := range everyday {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			dir := fmt.Sprintf("/%s", name)
			r.Host(0).Mkdir(dir)
			for i, p := range parts {
				script := `cd "$2"; export HOME="$3" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; exec 2>&1; ` + p.script
				if out, err := r.Host(p.host).Try(time.Minute, "sh", "-euxc", script, "sh", sources, dir[1:], home); err != nil {
					t.Fatalf("part %d, on %s: %v\n...%s", i+1, r.Host(p.host).Name(), err, out[max(0, len(out)-3000):])
				}
			}
			t.Logf("%d parts in %v", len(parts), time.Since(began).Round(time.Millisecond))
		})
	}
	t.Run("an editor", func(t *testing.T) { edit(t, r) })
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
