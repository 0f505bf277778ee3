package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// shell runs a script on a host, in the root of the mount, that must succeed.
func shell(t *testing.T, h *ring.Host, script string, args ...string) string {
	t.Helper()
	const who = `nobody() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }; no() { if "$@" 2>/dev/null; then echo "that should have failed: $*"; exit 1; fi; }; `
	out, err := h.Try(time.Minute, append([]string{"/bin/sh", "-euc", "exec 2>&1; " + who + script, "sh"}, args...)...)
	if err != nil {
		t.Fatalf("on %s: %s: %v\n%s", h.Name(), script, err, out)
	}
	return out
}

// TestACLsAcrossHosts changes ACLs on one host while another has the old ones in its kernel
// and lets a user in, or not, by them.
func TestACLsAcrossHosts(t *testing.T) {
	need.Program(t, "setfacl", "getfacl", "setpriv")
	r := ring.Start(t, 3)
	a, b, c := r.Host(0), r.Host(1), r.Host(2)
	shell(t, a, `chmod 755 .; mkdir -m 750 d; echo x >d/f; chmod 640 d/f`)
	for range 20 {
		shell(t, b, `no nobody cat d/f`)
		shell(t, a, `setfacl -m u:1234:x d; setfacl -m u:1234:r d/f`)
		shell(t, b, `nobody cat d/f; no nobody sh -c "echo y >>d/f"`)
		shell(t, c, `nobody cat d/f; chmod g-r d/f; test "$(stat -c %a d/f)" = 600`)
		shell(t, b, `no nobody cat d/f; getfacl -c d/f | grep -q '^user:1234:r--.*effective:---'`)
		shell(t, a, `chmod g+r d/f`)
		shell(t, b, `nobody cat d/f; setfacl -m u:1234:- d/f`)
		shell(t, a, `no nobody cat d/f; setfacl -x u:1234 d`)
		shell(t, c, `no nobody ls -d d/f; setfacl -b d d/f; chmod 640 d/f`)
		shell(t, a, `test -z "$(getfattr -m - d d/f)"`)
	}
}

// TestDefaultACLsAcrossHosts makes files on two hosts while a third changes their directory's
// default ACL all the time: each file has the mode and the ACL that belong to one of them.
func TestDefaultACLsAcrossHosts(t *testing.T) {
	need.Program(t, "setfacl", "getfattr", "python3")
	r := ring.Start(t, 3)
	shell(t, r.Host(0), `mkdir -m 777 d`)
	errs := make(chan error, 3)
	run := func(h *ring.Host, script string, args ...string) {
		out, err := h.Try(2*time.Minute, append([]string{"/bin/sh", "-euc", script, "sh"}, args...)...)
		if err != nil {
			err = fmt.Errorf("on %s: %v\n%s", h.Name(), err, out)
		}
		errs <- err
	}
	go run(r.Host(0), `for i in $(seq 40); do setfacl -d -m u:7:rwx,m::rwx,g::rwx,o::- d; setfacl -d -m u:7:r,m::r,g::r,o::r d; setfacl -k d; done`)
	const makes = `import os,sys
os.umask(0o027)
for i in range(150):
    n="d/%s%d"%(sys.argv[1],i)
    if i%3: os.close(os.open(n,os.O_CREAT|os.O_EXCL|os.O_WRONLY,0o666))
    else: os.mkdir(n,0o777)
`
	go run(r.Host(1), `exec python3 -c "$1" b`, makes)
	go run(r.Host(2), `exec python3 -c "$1" c`, makes)
	for range 3 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	const counts = `import os,collections
n=collections.Counter()
for e in os.scandir("d"):
    x=os.listxattr(e.path); acl=lambda k: os.getxattr(e.path,"system.posix_acl_"+k).hex()[8:] if "system.posix_acl_"+k in x else ""
    a=acl("access"); tags=[(a[i:i+4],a[i+4:i+8]) for i in range(0,len(a),16)]
    perms=dict((t,int(p[:2],16)) for t,p in tags)
    m=e.stat().st_mode&0o777
    if a: assert (m>>6,m>>3&7,m&7)==(perms["0100"],perms["1000"],perms["2000"]),(e.name,oct(m),a)
    n[(e.is_dir(),oct(m),a,acl("default"))]+=1
for k in sorted(n): print(n[k],*k)
`
	out := shell(t, r.Host(0), `exec python3 -c "$1"`, counts)
	t.Log("\n" + out)
	// Three states of the directory, and what is made in each: no fourth kind of either.
	if lines := strings.Count(out, "\n"); lines > 8 {
		t.Errorf("%d kinds of files and directories", lines)
	}
	for _, h := range r.Hosts()[1:] {
		if other := shell(t, h, `exec python3 -c "$1"`, counts); other != out {
			t.Errorf("%s sees\n%s", h.Name(), other)
		}
	}
}

// TestAtimesAcrossHosts reads on one host and looks at the time of access on another.
func TestAtimesAcrossHosts(t *testing.T) {
	r := ring.Start(t, 3)
	a, b := r.Host(0), r.Host(1)
	shell(t, a, `echo x >f; touch -a -d 2001-01-01 f`)
	shell(t, b, `test $(stat -c %X f) -lt 1000000000; cat f; test $(stat -c %X f) -gt 1000000000; stat -c %Z f >/dev/null`)
	r.Eventually(20*time.Second, "the time of access on the other host", func() error {
		if out := shell(t, a, `stat -c %X f`); len(out) < 10 || out < "1700000000" {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	// Who sets it wins over a read that is not published yet.
	shell(t, a, `touch -a -d 2001-01-01 f`)
	shell(t, b, `dd if=f iflag=direct of=/dev/null status=none`)
	shell(t, a, `touch -a -d 2002-02-02 f`)
	shell(t, b, `test $(stat -c %X f) = $(date -d 2002-02-02 +%s)`)
}

// TestSpaceAcrossHosts compares df and du with what was written.
func TestSpaceAcrossHosts(t *testing.T) {
	const capacity = 400 << 20
	r := ring.StartWith(t, ring.Config{Hosts: 3, Init: []string{"--capacity", "400M"}})
	// Three copies on three hosts: the smallest says how much there is room for.
	df := func(h *ring.Host, what string) (n int64) {
		t.Helper()
		if _, err := fmt.Sscan(strings.Fields(shell(t, h, `df -B1 --output=`+what+` .`))[1], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	near := func(what string, got, want, by int64) {
		t.Helper()
		if got < want-by || got > want+by {
			t.Errorf("%s is %d, want %d or so", what, got, want)
		}
	}
	a, b := r.Host(0), r.Host(1)
	near("size", df(a, "size"), capacity, 4096)
	near("used", df(a, "used"), 0, 64<<10)
	near("available", df(a, "avail"), capacity, 1<<20)
	const wrote = 60 << 20
	shell(t, b, `head -c 62914560 /dev/urandom >big; truncate -s 1T sparse; for i in $(seq 100); do echo $i >small$i; done; cp big copy`)
	for _, h := range r.Hosts() {
		near("used on "+h.Name(), df(h, "used"), wrote, 1<<20) // the copy shares its bytes
		if got := shell(t, h, `du -B1 big | cut -f 1; du -B1 sparse | cut -f 1; du -B1 --apparent-size small7 | cut -f 1; stat -f -c %l .; df --output=iused . | tail -1`); strings.Join(strings.Fields(got), " ") != "62914560 0 2 255 104" {
			t.Errorf("on %s: %s", h.Name(), got)
		}
	}
	// What is put while the ring moves may have to be put twice, and takes room until it is cleared.
	near("available", df(a, "avail"), capacity-wrote*3/2, wrote/2+1<<20)
	shell(t, a, `rm copy big small*`)
	r.Eventually(30*time.Second, "the space of removed files", func() error {
		if got := df(b, "used"); got > 64<<10 {
			return fmt.Errorf("%d bytes are used", got)
		}
		return nil
	})
}
