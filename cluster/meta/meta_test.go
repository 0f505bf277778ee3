package meta

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
)

// world is a State with a log beside it.
type world struct {
	t       testing.TB
	fs      vfs.FS
	s       *State
	log     []Entry
	session signet.SessionID
	request uint64
	now     int64
	last    Answer
	step    *Step
}

var (
	hostKey   = signet.HostKey{1}
	clusterID = [16]byte{7, 7}
)

func initCommand() *Init {
	return &Init{
		Cluster: clusterID, Name: "test", Arcs: 16, Copies: 3,
		Host:  NewHost{Key: hostKey, Name: "a", Addrs: []string{"127.0.0.1:7420"}, Zone: "z1", Weight: 1, Roles: RoleAll, Knows: FeatureNewest},
		Slots: []NewSlot{{Kind: 1, Label: "passphrase", Data: []byte("wrapped")}},
		UID:   1000, GID: 1000, Mode: 0o755, Time: signet.Time{Sec: 1},
	}
}

// empty is a world without a cluster.
func empty(t testing.TB, fs vfs.FS) *world {
	t.Helper()
	w := &world{t: t, fs: fs, now: 100}
	w.open()
	t.Cleanup(func() {
		if w.s != nil {
			if err := w.s.Close(); err != nil && w.s.Err() == nil {
				t.Error(err)
			}
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	s, err := Open(Options{FS: w.fs, Dir: "tables"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

// made is a world with a cluster of one host, a session and 1,000,000 inode numbers.
func made(t testing.TB) *world {
	t.Helper()
	w := empty(t, vfs.NewMem())
	w.make()
	return w
}

func (w *world) make() {
	w.t.Helper()
	w.cluster(initCommand(), signet.OK)
	w.session = signet.SessionID(w.cluster(&OpenSession{Host: 1, Start: 1}, signet.OK).Index)
	w.ok(&GrantInodes{Count: 1_000_000})
}

func (w *world) time() signet.Time {
	w.now++
	return signet.Time{Sec: w.now}
}

func encode(t testing.TB, e Envelope) []byte {
	t.Helper()
	b, err := EncodeEnvelope(&e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// entry applies envelopes as one entry of the log.
func (w *world) entry(envelopes ...Envelope) *Step {
	w.t.Helper()
	raw := make([][]byte, 0, len(envelopes))
	for _, e := range envelopes {
		raw = append(raw, encode(w.t, e))
	}
	e := Entry{Index: signet.Index(len(w.log) + 1), Term: 1, Data: EncodeEntry(raw)}
	w.log = append(w.log, e)
	st, err := w.s.Prepare([]Entry{e})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.Publish(st); err != nil {
		w.t.Fatal(err)
	}
	w.step = st
	w.last = st.Answers[len(st.Answers)-1]
	return st
}

// do sends a command of the volume in the world's session.
func (w *world) do(c any) signet.Result {
	w.t.Helper()
	w.request++
	w.entry(Envelope{signet.DefaultVolume, w.session, w.request, w.request, c})
	return w.last.Result
}

// ok does a command that must succeed, fails one that must not.
func (w *world) ok(c any) signet.Result {
	w.t.Helper()
	return w.want(c, signet.OK)
}

func (w *world) want(c any, k signet.Kind) signet.Result {
	w.t.Helper()
	res := w.do(c)
	if res.Err != k {
		w.t.Fatalf("%T %+v: %v, want %v", c, c, res.Err, k)
	}
	return res
}

// cluster sends a command of the cluster, without a session.
func (w *world) cluster(c any, k signet.Kind) signet.Result {
	w.t.Helper()
	w.entry(Envelope{Group: signet.ClusterGroup, Command: c})
	if w.last.Result.Err != k {
		w.t.Fatalf("%T %+v: %v, want %v", c, c, w.last.Result.Err, k)
	}
	return w.last.Result
}

// read gives fn a reader.
func (w *world) read(fn func(r *Reader)) {
	w.t.Helper()
	r := w.s.Reader(signet.DefaultVolume)
	defer r.Close()
	fn(r)
}

func (w *world) attr(ino signet.Ino) (a signet.Attr) {
	w.t.Helper()
	w.read(func(r *Reader) {
		var err error
		if a, err = r.Attr(ino); err != nil {
			w.t.Fatalf("inode %d: %v", ino, err)
		}
	})
	return a
}

func (w *world) counters() (c Counters) {
	w.t.Helper()
	w.read(func(r *Reader) {
		var err error
		if c, err = r.Counters(); err != nil {
			w.t.Fatal(err)
		}
	})
	return c
}

// ls lists a directory as name=inode.
func (w *world) ls(dir signet.Ino) (out []string) {
	w.t.Helper()
	w.read(func(r *Reader) {
		if err := r.ReadDir(dir, nil, func(e signet.Entry) bool {
			out = append(out, fmt.Sprintf("%s=%d", e.Name, e.Ino))
			return true
		}); err != nil {
			w.t.Fatal(err)
		}
	})
	return out
}

func (w *world) file(parent signet.Ino, name string, ino signet.Ino) signet.Result {
	w.t.Helper()
	return w.ok(w.create(parent, name, ino, signet.ModeRegular|0o644))
}

func (w *world) dir(parent signet.Ino, name string, ino signet.Ino) signet.Result {
	w.t.Helper()
	return w.ok(w.create(parent, name, ino, signet.ModeDir|0o755))
}

func (w *world) create(parent signet.Ino, name string, ino signet.Ino, mode uint32) *signet.Create {
	return &signet.Create{Parent: parent, Name: []byte(name), Ino: ino, Mode: mode, UID: 5, GID: 6, Time: w.time()}
}

func TestFirstSteps(t *testing.T) {
	w := made(t)
	w.dir(1, "d", 2)
	w.file(2, "f", 3)
	if got := fmt.Sprint(w.ls(1), w.ls(2)); got != "[d=2] [f=3]" {
		t.Error(got)
	}
	root, d, f := w.attr(1), w.attr(2), w.attr(3)
	if root.Nlink != 3 || root.Size != 1 || d.Nlink != 2 || d.Size != 1 || f.Nlink != 1 || f.UID != 5 {
		t.Errorf("%+v %+v %+v", root, d, f)
	}
	if c := w.counters(); c.Inodes != 3 || c.NextIno != 1_000_002 {
		t.Errorf("%+v", c)
	}
	index, digest := w.s.Applied()
	if int(index) != len(w.log) || digest == (signet.Digest{}) {
		t.Errorf("applied %d, %v", index, digest)
	}
}
