package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
)

// watchEnv names the directory in which a process of this test binary watches, and
// untilEnv the name at which it ends; without that it makes the changes itself.
const (
	watchEnv = "SIGNET_WATCH"
	untilEnv = "SIGNET_WATCH_UNTIL"
)

// watch has inotify tell of what happens in a directory: of what programs of the same host
// do the same as on a local filesystem, of what another host does nothing.
func watch(t *testing.T, r *ring.Ring, local string) {
	one, two := r.Host(0), r.Host(1)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mustSh(t, one, time.Minute, `mkdir "$1"/watched watched`, local)
	const events = `exec env ` + watchEnv + `="$1" "$2"`
	want := mustSh(t, one, time.Minute, events, local+"/watched", self)
	got := mustSh(t, one, time.Minute, events, one.Mountpoint()+"/watched", self)
	if got != want {
		t.Errorf("inotify: %s\nlocal:\n%s\nours:\n%s", ring.Difference([]byte(got), []byte(want)), want, got)
	}
	for _, name := range eventNames {
		if !strings.Contains(want, name) {
			t.Errorf("no %s was seen, so nothing was compared of it", name)
		}
	}
	watchFromElsewhere(t, one, two, self)
}

// watchFromElsewhere has another host change what a program watches. The program is told
// of nothing but of what its own host does then.
func watchFromElsewhere(t *testing.T, one, two *ring.Host, self string) {
	one.Mkdir("/elsewhere")
	one.Write("/elsewhere/old", "old")
	p := one.Lab().Start("watcher", netlab.Cmd{Args: []string{self}, Env: []string{watchEnv + "=" + one.Mountpoint() + "/elsewhere", untilEnv + "=end"}})
	await(t, "the watcher is ready", func() bool { return strings.Contains(p.Log(), "ready\n") })
	two.Write("/elsewhere/new", "new")
	two.Write("/elsewhere/old", "newer")
	two.Run(time.Minute, "chmod", "600", "elsewhere/old")
	two.Rename("/elsewhere/new", "/elsewhere/newer")
	two.Remove("/elsewhere/newer")
	one.Mkdir("/elsewhere/end")
	ended(t, p)
	if got := p.Log(); got != "ready\n . end:CREATE,ISDIR\n" {
		t.Errorf("of what another host does a watcher is told %q", got)
	}
}

// eventNames are the events of inotify.
var eventNames = map[uint32]string{
	unix.IN_ACCESS: "ACCESS", unix.IN_MODIFY: "MODIFY", unix.IN_ATTRIB: "ATTRIB", unix.IN_CLOSE_WRITE: "CLOSE_WRITE", unix.IN_CLOSE_NOWRITE: "CLOSE_NOWRITE",
	unix.IN_OPEN: "OPEN", unix.IN_MOVED_FROM: "MOVED_FROM", unix.IN_MOVED_TO: "MOVED_TO", unix.IN_CREATE: "CREATE", unix.IN_DELETE: "DELETE",
	unix.IN_DELETE_SELF: "DELETE_SELF", unix.IN_MOVE_SELF: "MOVE_SELF", unix.IN_IGNORED: "IGNORED", unix.IN_ISDIR: "ISDIR",
}

// watcher prints events.
type watcher struct {
	fd    int
	names map[int32]string // what is watched
}

func (w *watcher) add(path string) error {
	wd, err := unix.InotifyAddWatch(w.fd, path, unix.IN_ALL_EVENTS)
	if err == nil {
		w.names[int32(wd)] = path
	}
	return err
}

// read prints the events that there are, and returns what it printed. An event is there
// when the call that leads to it has returned.
func (w *watcher) read() string {
	var out strings.Builder
	b := make([]byte, 64<<10)
	cookies := map[uint32]bool{}
	for {
		n, err := unix.Read(w.fd, b)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			fmt.Println("read events:", err)
			os.Exit(1)
		}
		for e := b[:n]; len(e) > 0; {
			wd, mask, cookie, size := int32(binary.NativeEndian.Uint32(e)), binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
			name := strings.TrimRight(string(e[16:16+size]), "\x00")
			e = e[16+size:]
			var what []string
			for bit := uint32(1); bit != 0; bit <<= 1 {
				if mask&bit != 0 {
					what = append(what, eventNames[bit])
				}
			}
			fmt.Fprintf(&out, " %s %s:%s", w.names[wd], name, strings.Join(what, ","))
			if cookie != 0 {
				fmt.Fprintf(&out, ",again=%t", cookies[cookie])
				cookies[cookie] = true
			}
		}
	}
	fmt.Println(out.String())
	return out.String()
}

// playWatcher is what a process does that was started with watchEnv.
func playWatcher(dir string) {
	err := os.Chdir(dir)
	w := &watcher{names: map[int32]string{}}
	if err == nil {
		w.fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	}
	if err == nil {
		err = w.add(".")
	}
	if err == nil && os.Getenv(untilEnv) != "" {
		err = w.until(os.Getenv(untilEnv))
	} else if err == nil {
		err = w.steps()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// until prints what others lead to, up to an event of that name.
func (w *watcher) until(name string) error {
	if err := w.add("old"); err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if strings.Contains(w.read(), " "+name+":") {
			return nil
		}
	}
}

// steps makes changes, and prints what each leads to.
func (w *watcher) steps() error {
	var fd int
	var m []byte
	b := make([]byte, 10)
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"create", func() (err error) {
			fd, err = unix.Open("f", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
			return err
		}},
		{"watch it", func() error { return w.add("f") }},
		{"write", func() error { _, err := unix.Write(fd, []byte("hello")); return err }},
		{"pwrite", func() error { _, err := unix.Pwrite(fd, []byte("hello"), 100); return err }},
		{"read", func() error { _, err := unix.Pread(fd, b, 0); return err }},
		{"ftruncate", func() error { return unix.Ftruncate(fd, 3) }},
		{"fallocate", func() error { return unix.Fallocate(fd, 0, 0, 5000) }},
		{"map", func() (err error) {
			m, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			return err
		}},
		{"store", func() error { m[7] = 'x'; return unix.Msync(m, unix.MS_SYNC) }},
		{"unmap", func() error { return unix.Munmap(m) }},
		{"fsync", func() error { return unix.Fsync(fd) }},
		{"close", func() error { return unix.Close(fd) }},
		{"chmod", func() error { return unix.Chmod("f", 0o600) }},
		{"times", func() error { return unix.UtimesNano("f", make([]unix.Timespec, 2)) }},
		{"setxattr", func() error { return unix.Setxattr("f", "user.a", []byte("v"), 0) }},
		{"removexattr", func() error { return unix.Removexattr("f", "user.a") }},
		{"truncate", func() error { return unix.Truncate("f", 0) }},
		{"open, truncate", func() (err error) { fd, err = unix.Open("f", unix.O_TRUNC|unix.O_WRONLY|unix.O_CLOEXEC, 0); return err }},
		{"close it", func() error { return unix.Close(fd) }},
		{"open to read", func() (err error) { fd, err = unix.Open("f", unix.O_RDONLY|unix.O_CLOEXEC, 0); return err }},
		{"read nothing", func() error { _, err := unix.Read(fd, b); return err }},
		{"close again", func() error { return unix.Close(fd) }},
		{"link", func() error { return unix.Link("f", "l") }},
		{"symlink", func() error { return unix.Symlink("f", "s") }},
		{"mkfifo", func() error { return unix.Mkfifo("p", 0o644) }},
		{"mkdir", func() error { return unix.Mkdir("d", 0o755) }},
		{"watch d", func() error { return w.add("d") }},
		{"rename", func() error { return unix.Rename("f", "g") }},
		{"rename into d", func() error { return unix.Rename("g", "d/g") }},
		{"create in d", func() error { return unix.Mknod("d/n", unix.S_IFREG|0o644, 0) }},
		{"rename over", func() error { return unix.Rename("d/n", "d/g") }},
		{"exchange", func() error { return unix.Renameat2(unix.AT_FDCWD, "l", unix.AT_FDCWD, "d/g", unix.RENAME_EXCHANGE) }},
		{"list", func() error { _, err := os.ReadDir("d"); return err }},
		{"unlink one of two", func() error { return unix.Unlink("l") }},
		{"open to keep", func() (err error) { fd, err = unix.Open("d/g", unix.O_RDWR|unix.O_CLOEXEC, 0); return err }},
		{"unlink the last", func() error { return unix.Unlink("d/g") }},
		{"write to what is unlinked", func() error { _, err := unix.Write(fd, []byte("bye")); return err }},
		{"close what is unlinked", func() error { return unix.Close(fd) }},
		{"unlink others", func() error { return errors.Join(unix.Unlink("s"), unix.Unlink("p")) }},
		{"rmdir", func() error { return unix.Rmdir("d") }},
	} {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("%s:", s.name)
		w.read()
	}
	return nil
}
