package fuse

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"

	"github.com/signetfs/signet/fs/fstest"
	"github.com/signetfs/signet/internal/need"
)

// These tests mount package fs itself, over a volume in memory, and use it only from
// other processes.

// mountVolumes mounts one volume n times, as n hosts would, and returns the
// directories.
func mountVolumes(t testing.TB, n int, change ...func(*Options)) []string {
	t.Helper()
	need.Root(t)
	need.FUSE(t)
	v := fstest.NewVolume(t)
	var dirs []string
	for range n {
		o := options(openDir(t))
		for _, c := range change {
			c(&o)
		}
		m, err := New(t.Context(), v.Mount().FS, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { endMount(t, m) })
		dirs = append(dirs, m.Path())
	}
	must(t, "chmod", "1777", dirs[0])
	return dirs
}

// script runs a shell script that stops at the first error. $1, $2, ... are the
// directories.
func script(t testing.TB, text string, dirs ...string) string {
	t.Helper()
	const no = `no() { if "$@" >/dev/null 2>&1; then echo "that should have failed: $*"; exit 1; fi; }; ` // sh -e takes no offence at !
	out, err := run(t, "sh", append([]string{"-euxc", no + text, "sh"}, dirs...)...)
	if err != nil {
		t.Fatalf("%v\n...%s", err, out[max(0, len(out)-3000):])
	}
	return out
}

func TestOrdinaryPrograms(t *testing.T) {
	t.Parallel()
	need.Program(t, "git", "tar", "python3", "sqlite3")
	for name, text := range map[string]string{
		"cp and diff":   `cp -a "$2/." "$1/tree"; diff -r "$2" "$1/tree"; cp -r "$1/tree" "$1/copy"; diff -r "$2" "$1/copy"; rm -r "$1/tree" "$1/copy"`,
		"tar":           `tar -C "$2" -cf "$1/a.tar" .; mkdir "$1/x"; tar -C "$1/x" -xpf "$1/a.tar"; tar -C "$2" -df "$1/a.tar"; diff -r "$2" "$1/x"`,
		"find and grep": `cp -r "$2" "$1/t"; test $(find "$1/t" -type f | wc -l) = $(find "$2" -type f | wc -l); grep -rqF "package fuse" "$1/t"`,
		"names": `cd "$1"; mkdir -p a/b/c; echo 1 >a/f; ln a/f a/b/g; test $(stat -c %h a/f) = 2; mv a/f a/b/c/f; ln -s b/c/f a/s; test "$(cat a/s)" = 1
			mv a/b a/d; no cat a/s; rm a/s; no rmdir a/d; no mv a a/d/c/a; rm -r a; test -z "$(ls -A | grep -v x)"`,
		"an odd name":                  `cd "$1"; n=$(printf 'blank tab\t\n\303\244 \377 end'); echo x >"$n"; test "$(cat "$n")" = x; test "$(ls -1N | wc -l)" -ge 1; mv "$n" y; rm y`,
		"long names":                   `cd "$1"; n=$(printf '%0255d' 7); echo x >$n; cat $n; no sh -c "echo x >${n}8"; rm $n`,
		"attributes":                   `cd "$1"; echo 12345 >f; chmod 751 f; chown 12:34 f; touch -d '1999-12-31 23:59:59.123456789 UTC' f; test "$(stat -c '%a %u %g %s %.9Y' f)" = "751 12 34 6 946684799.123456789"; test $(stat -c %W f) -gt 1600000000`,
		"sizes":                        `cd "$1"; truncate -s 1T sparse; test $(stat -c %b sparse) = 0; echo end >>sparse; test "$(tail -c 4 sparse)" = end; truncate -s 3 sparse; test $(stat -c %s sparse) = 3; cmp sparse /dev/zero -n 3; rm sparse`,
		"overwriting":                  `cd "$1"; head -c 3000000 /dev/urandom >a; cp a "$3/a"; for i in 1 2 3 4 5 6 7 8; do for f in a "$3/a"; do printf 'change %s' $i | dd of="$f" bs=1 seek=$((i*333333)) conv=notrunc status=none; done; done; cmp a "$3/a"; sync a; cmp a "$3/a"`,
		"appending":                    `cd "$1"; for i in $(seq 200); do echo $i >>log; done; test "$(cat log)" = "$(seq 200)"`,
		"special":                      `cd "$1"; mkfifo p; (echo through >p &); test "$(cat p)" = through; mknod n c 1 3; test "$(stat -c '%t %T' n)" = "1 3"; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")'; test -S s`,
		"permissions":                  `cd "$1"; mkdir -m 700 private; echo x >private/f; no setpriv --reuid=65534 --regid=65534 --clear-groups cat private/f; chmod 755 private; setpriv --reuid=65534 --regid=65534 --clear-groups cat private/f`,
		"set-uid":                      `cd "$1"; echo x >f; chmod 6777 f; setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo y >>f'; test $(stat -c %a f) = 777; chmod 6777 f; setpriv --reuid=65534 --regid=65534 --clear-groups sh -c ': >f'; test $(stat -c %a f) = 777`,
		"an editor":                    `cd "$1"; echo old >f; for i in $(seq 50); do echo "new $i" >.f.tmp; sync .f.tmp; mv .f.tmp f; test "$(cat f)" = "new $i"; done`,
		"xattrs":                       `cd "$1"; echo x >f; python3 -c 'import os; os.setxattr("f","user.a",b"v"*1000); assert os.listxattr("f")==["user.a"]; assert os.getxattr("f","user.a")==b"v"*1000; os.removexattr("f","user.a"); assert os.listxattr("f")==[]'`,
		"mmap":                         `cd "$1"; head -c 100000 /dev/zero >f; python3 -c 'import mmap; f=open("f","r+b"); m=mmap.mmap(f.fileno(),0); m[5000:5005]=b"hello"; m.flush(); m[90000:90005]=b"later"; m.close()'; test "$(dd if=f bs=1 skip=5000 count=5 status=none)" = hello; test "$(dd if=f bs=1 skip=90000 count=5 status=none)" = later`,
		"an open file that is removed": `cd "$1"; exec 3<>f; echo x >&3; rm f; test "$(cat /proc/self/fd/3)" = x; exec 3>&-`,
		"git":                          `cd "$1"; export HOME="$3"; git init -q r; cp "$2"/*.go r/; cd r; git add .; git -c user.name=a -c user.email=a@b commit -qm one; git gc -q; git fsck --strict; cd ..; git clone -q r c; diff -r -x .git r c; cd c; git checkout -q -b other; echo >>doc.go; git -c user.name=a -c user.email=a@b commit -qam two; git log --oneline | grep -c .`,
		"sqlite":                       `cd "$1"; sqlite3 db 'create table t(a,b); with recursive n(i) as (select 1 union all select i+1 from n where i<5000) insert into t select i, hex(randomblob(20)) from n; update t set b=a where a%7=0; delete from t where a%3=0; vacuum; pragma integrity_check; select count(*) from t' | tail -2 | tr '\n' ' ' | grep -q '^ok 3334 $'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			script(t, text, mountVolumes(t, 1)[0], here, t.TempDir())
		})
	}
}

// TestPosix runs go-fuse's POSIX tests, each in a process of its own.
func TestPosix(t *testing.T) {
	t.Parallel()
	const dirVar = "SIGNET_FUSE_TEST_POSIX"
	if dir := os.Getenv(dirVar); dir != "" { // we are that process
		for name, f := range posixtest.All {
			t.Run(name, func(t *testing.T) { f(t, dir) })
		}
		return
	}
	// Not tests of a filesystem: the first wants POSIX locks of one process to conflict with
	// each other, which they do nowhere, the second runs until it has seen a race of its own.
	left := []string{"FcntlFlockLocksFile", "OpenSymlinkRace"}
	dir := mountVolumes(t, 1)[0]
	names := make([]string, 0, len(posixtest.All))
	for name := range posixtest.All {
		if !slices.Contains(left, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			sub := filepath.Join(dir, name)
			must(t, "mkdir", sub)
			c := &child{Cmd: exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestPosix$/^"+name+"$"), exited: make(chan struct{})}
			c.Dir, c.Stdout, c.Stderr = "/", &c.out, &c.out
			c.Env = append(os.Environ(), dirVar+"="+sub, "GORACE=atexit_sleep_ms=0")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			c.watch(t)
			within20(t, c.exited, "the test's process")
			if out := c.out.String(); c.err != nil || !strings.Contains(out, "--- PASS: TestPosix/"+name) {
				t.Errorf("%v\n%s", c.err, out)
			}
			must(t, "rm", "-r", sub)
		})
	}
}

// Two hosts with a mount each. What host 1 has done when its call returns, host 2
// sees, although its kernel has all the old answers and may keep them for an hour.
func TestTwoMountsAreOne(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	for name, text := range map[string]string{
		"contents":    `echo 0 >$1/f; for i in $(seq 100); do cat $2/f >/dev/null; stat $2/f >/dev/null; echo $i >$1/f; test "$(cat $2/f)" = $i; done`,
		"appended":    `: >$1/f; for i in $(seq 50); do echo $i >>$1/f; test "$(tail -1 $2/f)" = $i; echo x >>$2/f; test "$(tail -1 $1/f)" = x; done`,
		"names":       `for i in $(seq 100); do no stat $2/f; echo >$1/f; stat $2/f >/dev/null; mv $1/f $1/g; no stat $2/f; stat $2/g >/dev/null; ls $2 | grep -qx g; rm $1/g; no stat $2/g; no sh -c "ls $2 | grep -qx g"; done`,
		"replaced":    `echo a >$1/f; for i in $(seq 100); do cat $2/f >/dev/null; echo $i >$1/t; mv $1/t $1/f; test "$(cat $2/f)" = $i; done`,
		"directories": `for i in $(seq 50); do mkdir $1/d; touch $2/d/f; ls $1/d | grep -qx f; rm $1/d/f; test -z "$(ls $2/d)"; rmdir $2/d; no stat $1/d; done`,
		"attributes":  `: >$1/f; for i in $(seq 100); do stat $2/f >/dev/null; m=$((i%2*7*64+64)); chmod $(printf %o $((256+m))) $1/f; test $(stat -c %a $1/f) = $(stat -c %a $2/f); truncate -s $i $1/f; test $(stat -c %s $2/f) = $i; done`,
		"xattrs": `: >$1/f; python3 -c '
import os,sys
a,b=sys.argv[1]+"/f",sys.argv[2]+"/f"
for i in range(50):
    os.setxattr(a,"user.x",b"%d"%i)
    assert os.getxattr(b,"user.x")==b"%d"%i
' $1 $2`,
		"links": `for i in $(seq 50); do ln -s $i $1/l; test $(readlink $2/l) = $i; rm $2/l; no readlink $1/l; done`,
		"open and mapped": `python3 -c '
import mmap,os,sys
a,b=sys.argv[1]+"/f",sys.argv[2]+"/f"
open(a,"wb").write(b"0"*65536)
f=open(b,"rb",buffering=0); m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)
for i in range(100):
    want=b"%d"%(i%10)*65536
    m[0]; m[40000]; os.pread(f.fileno(),10,30000)
    g=open(a,"r+b",buffering=0); g.write(want); g.close()
    assert os.pread(f.fileno(),65536,0)==want, i
    assert m[:]==want, i
' $1 $2`,
		"both write": `python3 -c '
import os,sys,threading
def w(d,k):
    for i in range(100):
        n="%s/f%d-%d"%(d,k,i); open(n,"w").write(n[-5:]); os.rename(n,n+"x"); os.stat(n+"x"); os.unlink(n+"x")
t=[threading.Thread(target=w,args=(sys.argv[1+k%2],k)) for k in range(8)]
[x.start() for x in t]; [x.join() for x in t]
assert os.listdir(sys.argv[1])==[] and os.listdir(sys.argv[2])==[]
' $1 $2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script(t, text, mountVolumes(t, 2)...)
		})
	}
}

// A file that is open here goes on when its last name is removed there.
func TestOpenFileRemovedElsewhere(t *testing.T) {
	t.Parallel()
	d := mountVolumes(t, 2)
	script(t, `echo content >$1/f; exec 3<$2/f; rm $1/f; no stat $2/f; test "$(cat <&3)" = content; stat -L /proc/self/fd/3 | grep -q 'Links: 0'`, d...)
}

// Programs in Go send themselves signals all the time, others have timers: their
// calls are interrupted, and must succeed all the same.
func TestSignalsDoNotFailCalls(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	d := mountVolumes(t, 1)
	script(t, `python3 -c '
import os,signal,sys
n=0
def tick(*a):
    global n; n+=1
signal.signal(signal.SIGALRM,tick); signal.siginterrupt(signal.SIGALRM,True)
signal.setitimer(signal.ITIMER_REAL,0.0005,0.0005)
os.chdir(sys.argv[1])
libc=__import__("ctypes").CDLL(None,use_errno=True)
E=__import__("ctypes").get_errno
for i in range(2000):
    a,b=b"a%d"%i,b"b%d"%i
    for what,args in (("mkdir",(a,0o755)),("rename",(a,b)),("rmdir",(b,))):
        assert getattr(libc,what)(*args)==0,(what,i,os.strerror(E()))
signal.setitimer(signal.ITIMER_REAL,0)
assert os.listdir(".")==[]
assert n>100,n
' $1`, d...)
}

func TestManyWritersOfOneDirectory(t *testing.T) {
	t.Parallel()
	d := mountVolumes(t, 1)
	const n = 16
	var all []*child
	for i := range n {
		all = append(all, begin(t, "sh", "-euc", fmt.Sprintf(`cd $1; for j in $(seq 50); do echo %d-$j >f%d-$j; done`, i, i), "sh", d[0]))
	}
	for _, c := range all {
		within20(t, c.exited, "a writer")
		if c.err != nil {
			t.Errorf("%v %s", c.err, c.out.String())
		}
	}
	if got := must(t, "sh", "-c", `cd $1; for f in *; do test "f$(cat $f)" = $f || echo $f is wrong; done; ls | wc -l`, "sh", d[0]); got != "800\n" {
		t.Errorf("%s", got)
	}
}
