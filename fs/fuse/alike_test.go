package fuse

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signetfs/signet/internal/need"
)

// These tests run the same script on an ext4 filesystem and on a mount and compare what it
// prints: results, errors, attributes. Scripts go on after errors, and print them.

// ext4 makes an ext4 filesystem in a file and returns where it is mounted. It has no mounts
// of its own: whoever copies a namespace keeps the mounts of the other tests alive.
func ext4(t *testing.T, options string) string {
	t.Helper()
	dir := openDir(t)
	image := filepath.Join(filepath.Dir(dir), "image")
	must(t, "truncate", "-s", "64M", image)
	must(t, "mkfs.ext4", "-q", "-F", image)
	if options == "" {
		options = "rw"
	}
	must(t, "mount", "-o", "loop,"+options, image, dir)
	t.Cleanup(func() { must(t, "umount", "-l", dir) })
	must(t, "chmod", "1777", dir)
	must(t, "rmdir", dir+"/lost+found")
	return dir
}

// alike runs a script as root in both, with the mount's options in the second. The script
// begins in an empty directory that all may write to.
func alike(t *testing.T, options, text string, change ...func(*Options)) {
	t.Helper()
	need.Root(t)
	need.FUSE(t)
	need.Program(t, "mkfs.ext4", "setfacl", "getfacl", "setfattr", "getfattr", "setpriv", "python3")
	prelude := `PATH=/usr/sbin:/usr/bin:/sbin:/bin; umask 022; nobody() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
in55() { setpriv --reuid=1235 --regid=1235 --groups=55 "$@"; }
say() { "$@"; echo "$* -> $?"; }
cold() { python3 -c 'import os,sys
for n in sys.argv[1:]:
    f=os.open(n,os.O_RDONLY|os.O_NOATIME); os.posix_fadvise(f,0,0,os.POSIX_FADV_DONTNEED); os.close(f)' "$@"; }
errno() { python3 -c 'import os,sys,errno
try: print(eval(sys.argv[1]))
except OSError as e: print(errno.errorcode[e.errno])' "$1"; }
`
	out := func(dir string) string {
		cmd := exec.Command("sh", "-c", prelude+text)
		cmd.Dir = dir
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("in %s: %v\n%s", dir, err, b)
		}
		return string(b)
	}
	want := out(ext4(t, options))
	got := out(mountVolumes(t, 1, change...)[0])
	if got != want {
		t.Errorf("%s", differences(want, got))
	} else if testing.Verbose() {
		t.Logf("%s", got)
	}
}

// differences lists the lines that are not the same.
func differences(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for i := range max(len(w), len(g)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			out = append(out, "ext4:  "+a, "mount: "+b)
		}
	}
	return strings.Join(out[:min(len(out), 40)], "\n")
}

func TestACLsAsOnExt4(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"set and read": `mkdir d; setfacl -m u:1234:rwx,g:55:r-x d; getfacl -c d; stat -c %a d; setfacl -x u:1234 d; getfacl -c d
			setfacl -m m::- d; getfacl -c d; stat -c %a d; chmod 775 d; getfacl -c d; setfacl -b d; getfacl -c d; stat -c %a d; say setfacl -b d`,
		"mode and ACL": `touch f; for m in 777 640 4711 2750 0 1666; do setfacl -m u:7:rw,m::rwx f; chmod $m f; getfacl -c f; stat -c %a f; done
			setfacl -m u::r,g::rw,o::x f; stat -c %a f; setfacl -b f; getfattr -d -m - f; setfacl -m u::rw,g::r,o::- f; getfattr -m - f; stat -c %a f`,
		"inherited": `mkdir d; setfacl -d -m u:1234:rwx,g:55:r-x,m::rx d; for u in 0 022 077 777; do umask $u; touch d/f$u; mkdir d/s$u; mkfifo d/p$u; mknod d/n$u c 1 3
			ln -s x d/l$u; for x in f s p n; do getfacl -c d/$x$u; stat -c %a d/$x$u; done; stat -c %a d/l$u; done; mkdir d/s0/deep; getfacl -c d/s0/deep; touch d/s0/deep/f; getfacl -c d/s0/deep/f`,
		"inherited modes": `mkdir d; setfacl -d -m u:1234:rwx,g::rw,m::rwx,o::r d; python3 -c '
import os
for m in (0,0o1,0o20,0o70,0o644,0o666,0o700,0o755,0o777,0o4777,0o2711):
    n="d/%o"%m; os.close(os.open(n,os.O_CREAT|os.O_WRONLY,m)); print(oct(os.stat(n).st_mode), os.getxattr(n,"system.posix_acl_access").hex())
    os.mkdir(n+"d",m); print(oct(os.stat(n+"d").st_mode), os.getxattr(n+"d","system.posix_acl_access").hex(), os.getxattr(n+"d","system.posix_acl_default").hex())
    f=os.open("d",os.O_TMPFILE|os.O_RDWR,m); print(oct(os.fstat(f).st_mode), os.getxattr(f,"system.posix_acl_access").hex()); os.close(f)'`,
		"a plain default": `mkdir d; setfacl -d -m u::rwx,g::rx,o::- d; getfacl -c d; umask 0; touch d/f; mkdir d/s; getfacl -c d/f d/s; getfattr -m - d/f d/s; setfacl -k d; say setfacl -k d; touch d/g; stat -c %a d/g`,
		"who may": `mkdir -m 700 d; echo x >d/f; chmod 600 d/f; say nobody cat d/f; setfacl -m u:1234:x d; say nobody cat d/f; setfacl -m u:1234:r d/f; say nobody cat d/f; say nobody ls d
			chmod g-r d/f; say nobody cat d/f; setfacl -m g:55:rw,m::rwx d/f; say in55 cat d/f; setfacl -m g:55:x d; say in55 cat d/f; say in55 sh -c 'echo y >>d/f'
			say nobody sh -c 'echo z >>d/f'; say nobody setfacl -m o::rwx d/f; say nobody touch d/new; setfacl -m u:1234:rwx d; say nobody touch d/new; stat -c '%u %g' d/new; say nobody chmod 600 d/f; cat d/f`,
		"removed and replaced": `touch f; setfacl -m u:1234:rw f; errno 'os.removexattr("f","system.posix_acl_access")'; stat -c %a f; errno 'os.removexattr("f","system.posix_acl_access")'
			errno 'os.removexattr("f","system.posix_acl_default")'; errno 'os.getxattr("f","system.posix_acl_access")'; errno 'os.setxattr("f","system.posix_acl_access",b"")'; errno 'os.setxattr("f","system.posix_acl_access",b"\2\0\0\0")'`,
		"refused": `mkdir d; touch f; ln -s f l; errno 'os.setxattr("f","system.posix_acl_access",b"\2")'; errno 'os.setxattr("f","system.posix_acl_access",b"\3\0\0\0")'
			errno 'os.setxattr("f","system.posix_acl_access",b"\2\0\0\0"+b"\1\0\7\0\377\377\377\377")'; say setfacl -d -m u:7:r f
			errno 'os.setxattr("l","system.posix_acl_access",b"\2\0\0\0",follow_symlinks=False)'; errno 'os.getxattr("l","system.posix_acl_access",follow_symlinks=False)'
			say nobody setfacl -m u:1234:rwx f; say nobody setfacl -b d`,
		"set-gid": `touch f; chown 1234:55 f; chmod 2770 f; nobody setfacl -m u:7:rwx f; stat -c %a f; chmod 2770 f; chown 1234:1234 f; chmod 2770 f; nobody setfacl -m u:8:rwx f; stat -c %a f
			chmod 2770 f; setfacl -m u:9:rwx f; stat -c %a f; chown 1234:55 f; chmod 2770 f; nobody setfacl -b f; stat -c %a f`,
		"copies": `mkdir d; setfacl -m u:1234:rwx d; setfacl -d -m g:55:r d; touch d/f; setfacl -m u:7:r d/f; cp -a d e; (cd e; getfacl -c . f); cp -r d g; (cd g; getfacl -c . f)
			cd d; mv f ../h; getfacl -c ../h; ln ../h k; getfacl -c k; tar --acls -cf ../a.tar .; mkdir ../x; cd ../x; tar --acls -xpf ../a.tar; getfacl -c . k; ls -l | cut -c 1-11`,
		"owners": `touch f; setfacl -m u:1234:rw,g:55:r f; chown 1234:55 f; getfacl -cn f; chmod g+s f; chown 5:6 f; getfacl -cn f; stat -c %a f`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alike(t, "", text)
		})
	}
}

func TestSetIDsAsOnExt4(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"inherited": `mkdir d; chown 5:55 d; chmod 2777 d; for who in "" nobody in55; do for m in 644 755 2755 2644 4755 6777; do
			$who python3 -c 'import os,sys
os.umask(0); m=int(sys.argv[1],8); n="d/"+sys.argv[1]+sys.argv[2]; os.close(os.open(n,os.O_CREAT|os.O_WRONLY,m)); os.mkdir(n+"d",m); os.mknod(n+"p",m|0o010000)
f=os.open("d",os.O_TMPFILE|os.O_RDWR,m); s=os.fstat(f); print(oct(s.st_mode),s.st_gid)' $m "$who"; stat -c '%n %a %u %g' d/$m$who d/$m${who}d d/$m${who}p; done; done
			ln -s x d/l; stat -c '%a %g' d/l; mkdir e; chmod 777 e; nobody sh -c 'umask 0; touch e/f; mkdir e/d; chmod 6777 e/f e/d'; stat -c '%a %u %g' e/f e/d; mv e/d d/moved; stat -c '%a %g' d/moved`,
		"chmod": `touch f; chown 1234:55 f; nobody chmod 6777 f; stat -c %a f; chown 1234:1234 f; nobody chmod 6777 f; stat -c %a f; mkdir d; chown 1234:55 d; nobody chmod 2777 d; stat -c %a d`,
		"write": `for m in 6777 4666 2676 7777; do for who in "" nobody; do echo x >f; chmod $m f; $who sh -c 'echo y >>f'; stat -c %a f; chown 0:0 f; chmod $m f; $who sh -c ': >f'; stat -c %a f; chmod $m f; $who truncate -s 100 f; stat -c %a f; chmod $m f; $who fallocate -l 8192 f; stat -c %a f; chmod $m f; $who fallocate -p -o 0 -l 4096 f; stat -c %a f; chmod $m f; $who python3 -c 'import os; f=os.open("f",os.O_RDWR); os.pwrite(f,b"",0); os.write(f,b"a"*70000); os.ftruncate(f,3)'; stat -c %a f; rm -f f; done; done`,
		// Without execution for the group, set-gid stays when a member writes. (FUSE keeps it when
		// others write, too: ext4 clears it then. The protocol has no word for the difference.)
		"write by members": `for m in 6767 2666; do for who in "" in55; do echo x >f; chgrp 55 f; chmod $m f; $who sh -c 'echo y >>f'; stat -c %a f; chmod $m f; $who sh -c ': >f'; stat -c %a f; chmod $m f; $who truncate -s 9 f; stat -c %a f; rm -f f; done; done`,
		"chown": `mkdir d; touch f; for m in 6777 6767 2767 4644; do chmod $m d f; chown 5 f d; stat -c '%a %u %g' f d; chmod $m d f; chown :6 f d; stat -c '%a %u %g' f d; chmod $m f d; chown 5:6 f d; stat -c '%a %u %g' f d; done
			chown 1235:1235 f d; for m in 6777 6767; do chmod $m f d; in55 chgrp 55 f d; stat -c '%a %u %g' f d; chmod $m f d; in55 chgrp 55 f d; stat -c '%a %u %g' f d; chown 1235:1235 f d; done; say in55 chown 5 f; say in55 chgrp 6 f`,
		"copied": `echo 1234567 >a; for who in "" nobody; do echo x >f; chmod 6777 f; $who python3 -c 'import os; i=os.open("a",os.O_RDONLY); o=os.open("f",os.O_WRONLY); os.copy_file_range(i,o,5)'; stat -c %a f; done`,
		"capabilities": `echo x >f; python3 -c 'import os; os.setxattr("f","security.capability",bytes.fromhex("0100000200040000000000000000000000000000"))'; getfattr -m - f; chmod 777 f; nobody sh -c 'echo y >>f'; getfattr -m - f
			python3 -c 'import os; os.setxattr("f","security.capability",bytes.fromhex("0100000200040000000000000000000000000000"))'; chown 7 f; getfattr -m - f
			errno 'os.setxattr("f","security.capability",b"nonsense")'; nobody python3 -c 'import os
try: os.setxattr("f","security.capability",bytes.fromhex("0100000200040000000000000000000000000000"))
except OSError as e: print(e.errno)'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alike(t, "", text)
		})
	}
}

func TestXattrsAsOnExt4(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"names": `touch f; mkdir d; ln -s f l; mkfifo p; mknod n c 1 3; for x in f d l p n; do for a in user.a trusted.a security.a system.a other.a user. trusted. security. user a .a "user.$(printf '%0250d' 0)" "user.$(printf '%0251d' 0)"; do
			errno "os.setxattr('$x','$a',b'v',follow_symlinks=False)"; errno "os.getxattr('$x','$a',follow_symlinks=False)"; errno "os.removexattr('$x','$a',follow_symlinks=False)"; done; errno "os.listxattr('$x',follow_symlinks=False)"; done`,
		"flags": `touch f; errno 'os.setxattr("f","user.a",b"1",os.XATTR_REPLACE)'; errno 'os.setxattr("f","user.a",b"1",os.XATTR_CREATE)'; errno 'os.setxattr("f","user.a",b"2",os.XATTR_CREATE)'; errno 'os.setxattr("f","user.a",b"",os.XATTR_REPLACE)'; errno 'os.getxattr("f","user.a")'
			errno 'os.setxattr("f","user.a",b"1",3)'; errno 'os.setxattr("f","user.b",b"1",3)'; errno 'os.setxattr("f","user.a",b"1",4)'; errno 'os.removexattr("f","user.b")'; errno 'os.getxattr("f","user.b")'; errno 'os.listxattr("f")'`,
		"sizes": `touch f; python3 -c '
import ctypes,os,errno
c=ctypes.CDLL(None,use_errno=True); b=ctypes.create_string_buffer(70000)
def r(n): return n if n>=0 else errno.errorcode[ctypes.get_errno()]
os.setxattr("f","user.a",b"v"*100)
for n in (0,1,99,100,101,65536,65537): print(n, r(c.getxattr(b"f",b"user.a",b,n)), r(c.listxattr(b"f",b,n)))
for n in (65537,100000): print(n, r(c.setxattr(b"f",b"user.b",b,n,0)))
print(r(c.getxattr(b"f",b"user.a",b,5)), r(c.getxattr(b"none",b"user.a",b,5)), r(c.setxattr(b"f",b"",b,5,0)), r(c.setxattr(b"f",b"n"*256,b,5,0)))'`,
		"who may": `touch f; chmod 600 f; chown 1234 f; setfattr -n trusted.a -v 1 f; setfattr -n user.a -v 1 f; for who in nobody in55; do say $who getfattr -m - f; say $who getfattr -n trusted.a f; say $who getfattr -n user.a f; say $who setfattr -n trusted.b -v 1 f; say $who setfattr -n user.b -v 1 f; say $who setfattr -n security.b -v 1 f; say $who setfattr -x trusted.a f; done
			mkdir -m 1777 d; say nobody setfattr -n user.a -v 1 d; chown 1234 d; say nobody setfattr -n user.a -v 1 d; say in55 setfattr -n user.b -v 1 d`,
		"times": `touch -d 2001-01-01 f; stat -c '%Y' f; setfattr -n user.a -v 1 f; stat -c '%Y' f; test f -nt /nothing; python3 -c '
import os
def c(): return os.stat("f").st_ctime_ns
import time
for what in (lambda: os.setxattr("f","user.b",b"1"), lambda: os.removexattr("f","user.b"), lambda: os.getxattr("f","user.a"), lambda: os.listxattr("f")):
    a=c(); time.sleep(0.02); what(); print(c()>a)'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alike(t, "", text)
		})
	}
}

func TestAtimesAsOnExt4(t *testing.T) {
	t.Parallel()
	// What reads come to the daemon is the kernel's business, so the pages are dropped first.
	const text = `moved() { n=$1; shift; a=$(stat -c %x "$n"); "$@" >/dev/null; b=$(stat -c %x "$n"); [ "$a" = "$b" ] && echo "$n: $*: same" || echo "$n: $*: moved"; }
		noatime() { python3 -c 'import os,sys
f=os.open(sys.argv[1],os.O_RDONLY|os.O_NOATIME); print(os.listdir(f) if os.path.isdir(sys.argv[1]) else os.read(f,100))' "$1"; }
		echo content >f; mkdir d; touch d/x; ln -s f l; echo content >g; : >empty
		sleep 0.02; cold f; moved f cat f; cold f; moved f cat f; moved d ls d; moved d ls d; moved l readlink l
		touch -a -d 2001-01-01 f g d; cold f g; moved g noatime g; moved f cat f; moved d noatime d; moved d ls d; cold f; moved f cat f
		touch -a -d 2037-01-01 f d; cold f; moved f cat f; moved d ls d; stat -c %x f d | cut -c 1-4
		touch -a -d 2001-01-01 f; touch -m f; stat -c %x f; cold f; cat f >/dev/null; touch -a -d 2001-01-01 f; stat -c %x f
		touch -a -d 2001-01-01 f; cold f; moved f head -c 1 f; touch -a -d 2001-01-01 f; moved f stat f; moved f test -r f; moved f setfacl -m u::rw f; cold f; moved f cp f h; echo more >>f; cold f; moved f cat f
		touch -a -d 2001-01-01 f; cold f; nobody cat f; stat -c %X f | cut -c 1-2; mv f k; stat -c %X k | cut -c 1-2; chmod 600 k; stat -c %X k | cut -c 1-2; truncate -s 3 k; stat -c %X k | cut -c 1-2`
	for _, c := range []struct {
		options string
		change  func(*Options)
	}{
		{"relatime", func(*Options) {}},
		{"noatime", func(o *Options) { o.NoAtime = true }},
		{"nodiratime", func(o *Options) { o.NoDirAtime = true }},
		{"strictatime", func(o *Options) { o.StrictAtime = true }},
		{"strictatime,nodiratime", func(o *Options) { o.StrictAtime, o.NoDirAtime = true, true }},
	} {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			alike(t, c.options, text, c.change)
		})
	}
}
