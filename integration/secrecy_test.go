package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
)

// needle is something to look for, in the forms in which it might turn up.
type needle struct {
	name  string
	forms [][]byte
}

// textNeedle is a text that nobody may see.
func textNeedle(name, s string) needle { return needle{name, [][]byte{[]byte(s)}} }

// keyNeedle is a key that nobody may see, not even as text.
func keyNeedle(name string, key []byte) needle {
	h := hex.EncodeToString(key)
	return needle{name, [][]byte{
		key, []byte(h), []byte(strings.ToUpper(h)),
		[]byte(base64.RawStdEncoding.EncodeToString(key)), []byte(base64.RawURLEncoding.EncodeToString(key)),
		[]byte(strings.Trim(fmt.Sprint(key), "[]")), // as a careless %v shows it
	}}
}

// found is where a needle was.
type found map[string][]string // name of the needle -> places

// search looks for the needles in b. place says where b is from.
func (f found) search(place string, b []byte, needles []needle) {
	for _, n := range needles {
		if slices.ContainsFunc(n.forms, func(form []byte) bool { return bytes.Contains(b, form) }) {
			f[n.name] = append(f[n.name], place)
		}
	}
}

// searchFiles looks through all files below dir, as they lie there, and through their
// names.
func (f found) searchFiles(t *testing.T, dir string, needles []needle) (bytesSeen int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f.search("name "+path, []byte(d.Name()), needles)
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		f.search(path, b, needles)
		bytesSeen += len(b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return bytesSeen
}

// databases returns the databases below dir.
func databases(t *testing.T, dir string) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "MANIFEST-") && !slices.Contains(dirs, filepath.Dir(path)) {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return dirs
}

// openDatabase opens a database of a host that does not run. Merged values are shown as
// their operands, one after the other.
func openDatabase(t *testing.T, dir string) *pebble.DB {
	t.Helper()
	version, merger := pebble.FormatMajorVersion(0), ""
	options, _ := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	for _, o := range options {
		b, _ := os.ReadFile(o)
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "merger="); ok {
				merger = v
			}
		}
	}
	d, err := pebble.Peek(dir, vfs.Default)
	if err != nil || !d.Exists {
		t.Fatalf("%s is no database: %v", dir, err)
	}
	version = d.FormatMajorVersion
	m := *pebble.DefaultMerger // concatenates
	m.Name = merger
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: version, Merger: &m, Logger: quiet{}})
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// searchDatabase looks through all keys and values of a database, which its tables may
// hold compressed.
func (f found) searchDatabase(t *testing.T, db *pebble.DB, dir string, needles []needle) (rows int) {
	t.Helper()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		f.search("key in "+dir, it.Key(), needles)
		f.search("value in "+dir, it.Value(), needles)
		rows++
	}
	if err := it.Close(); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	return rows
}

// secretsOf returns the volume's keys, which only package crypto can see otherwise.
func secretsOf(t *testing.T, k *crypto.Keyring) []needle {
	t.Helper()
	in := reflect.ValueOf(k).Elem().FieldByName("in")
	in = reflect.NewAt(in.Type(), unsafe.Pointer(in.UnsafeAddr())).Elem().Call(nil)[0].Elem()
	key := func(v reflect.Value) []byte {
		if v.Len() != 32 {
			t.Fatalf("a key of %d bytes", v.Len())
		}
		return slices.Clone(v.Slice(0, 32).Bytes())
	}
	out := []needle{keyNeedle("root key", key(in.FieldByName("root"))), keyNeedle("key for names", key(in.FieldByName("name")))}
	versions := in.FieldByName("versions")
	for i := range versions.Len() {
		out = append(out, keyNeedle(fmt.Sprintf("master key %d", i+1), key(versions.Index(i).FieldByName("master"))))
	}
	return out
}

// openVolume opens the volume's keys as a host does that holds them.
func openVolume(t *testing.T, state string) *crypto.Keyring {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := crypto.ParseHostSecret(b)
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Wipe()
	dirs, err := filepath.Glob(filepath.Join(state, "raft", "tables.*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("the tables are not in %s: %v", state, err)
	}
	tables, err := meta.Open(meta.Options{FS: vfs.Default, Dir: dirs[len(dirs)-1]})
	if err != nil {
		t.Fatal(err)
	}
	defer tables.Close()
	r := tables.Reader(signet.DefaultVolume)
	defer r.Close()
	slots, err := r.Slots()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		slot, err := crypto.DecodeSlot(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		if slot.Kind == crypto.SlotHost && bytes.Equal(slot.Host(), secret.Public()) {
			k, err := slot.OpenAsHost(secret)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
	}
	t.Fatalf("none of %d slots is for this host", len(slots))
	return nil
}

// mark returns a text that turns up nowhere by chance.
func mark(what string) string {
	return what + "." + strings.ToLower(rand.Text())
}

// writeMarked makes one of everything that programs can hide something in, on all hosts,
// and returns what they hid.
func writeMarked(r *ring.Ring) (needles []needle) {
	m := func(what string) string {
		s := mark(what)
		needles = append(needles, textNeedle(what, s))
		return s
	}
	for i, h := range r.Hosts() {
		dir := "/" + m(fmt.Sprintf("directory%d", i))
		h.Mkdir(dir)
		file := dir + "/" + m(fmt.Sprintf("file%d", i))
		h.WriteSync(file, m(fmt.Sprintf("inline%d", i))+"\n")
		h.WriteSync(dir+"/small", strings.Repeat(m(fmt.Sprintf("small%d", i))+"\n", 20<<10/32))
		h.WriteSync(dir+"/large", strings.Repeat(m(fmt.Sprintf("large%d", i))+"\n", 6<<20/32))
		h.MustDo(ring.Call{Op: ring.OpSymlink, Path: dir + "/" + m(fmt.Sprintf("link%d", i)), To: m(fmt.Sprintf("target%d", i))})
		h.MustDo(ring.Call{Op: ring.OpSetXattr, Path: file, To: "user." + m(fmt.Sprintf("xattr%d", i)), Data: []byte(m(fmt.Sprintf("value%d", i)))})
		gone := dir + "/" + m(fmt.Sprintf("gone%d", i))
		h.WriteSync(gone, m(fmt.Sprintf("bytes gone%d", i)))
		to := dir + "/" + m(fmt.Sprintf("renamed%d", i))
		h.Rename(gone, to)
		h.Remove(to)
		_, _ = h.Do(ring.Call{Op: ring.OpStat, Path: dir + "/" + m(fmt.Sprintf("missing%d", i))})
		_, _ = h.Do(ring.Call{Op: ring.OpMkdir, Path: dir + "/" + m(fmt.Sprintf("refused%d", i)) + "/x"})
	}
	for _, h := range r.Hosts() { // and everything crosses the network
		h.Run(time.Minute, "sh", "-c", "cat */small */large >/dev/null; find . >/dev/null")
	}
	return needles
}

// TestSecrecy looks for what programs wrote, and for the keys, in all that a host keeps,
// logs, and sends under TLS, and shows that it would find it there.
func TestSecrecy(t *testing.T) {
	passphrase, hostName := mark("passphrase"), mark("hostname")
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	frames := t.TempDir()
	r := ring.StartWith(t, ring.Config{
		Hosts: 3, Init: []string{"--passphrase-file", file, "--name", hostName},
		Env: []string{"SIGNET_TAP=" + frames, shortLog},
	})
	needles := writeMarked(r)
	// A host that was away gets a snapshot.
	r.Host(2).Kill()
	for range 100 {
		r.Host(0).Write("/x", "x")
	}
	r.Host(2).Boot()
	r.WantWhole()
	token, err := member.ParseToken(r.Init.JoinToken)
	if err != nil {
		t.Fatal(err)
	}
	secret := []needle{keyNeedle("secret of the join token", token.Secret[:])}
	needles = append(needles, textNeedle("passphrase", passphrase), textNeedle("join token", r.Init.JoinToken), textNeedle("recovery key", r.Init.Recovery),
		textNeedle("recovery key without dashes", strings.ReplaceAll(r.Init.Recovery, "-", "")))
	control := textNeedle("control", mark("control"))
	for _, h := range r.Hosts() {
		wantNothingInProcess(t, h, needles)
		h.Must("daemon", "--stop")
	}
	needles = append(needles, secretsOf(t, openVolume(t, r.Host(1).State()))...)

	got := found{}
	looked := slices.Concat(needles, []needle{control})
	for _, h := range r.Hosts() {
		// The control, in each kind of place. The Pebble row is one that tables compress.
		plant(t, filepath.Join(h.State(), "planted"), "prefix"+string(control.forms[0])+"suffix")
		plant(t, filepath.Join(h.State(), "log"), "time=now msg="+string(control.forms[0])+"\n")
		rows, dbs := 0, databases(t, h.State())
		if len(dbs) < 3 {
			t.Errorf("%s has only the databases %q", h.Name(), dbs)
		}
		for _, dir := range dbs {
			db := openDatabase(t, dir)
			if err := db.Set([]byte("\xffplanted"), control.forms[0], pebble.Sync); err != nil {
				t.Fatal(err)
			}
			before := len(got[control.name])
			rows += got.searchDatabase(t, db, dir, slices.Concat(looked, secret))
			if len(got[control.name]) != before+1 {
				t.Errorf("the control in %s was not found", dir)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		before := len(got[control.name])
		size := got.searchFiles(t, h.State(), slices.Concat(looked, secret))
		if n := len(got[control.name]) - before; n < 2+len(dbs) { // WALs hold it raw
			t.Errorf("the control was found in %d files of %s", n, h.Name())
		}
		size += got.searchFiles(t, filepath.Join(h.Lab().Dir(), "log"), slices.Concat(looked, secret))
		t.Logf("%s: %d rows of %d databases, %d KiB of files", h.Name(), rows, len(dbs), size>>10)
	}
	delete(got, control.name)
	searchFrames(t, got, frames, needles, secret, textNeedle("host name", hostName))
	for name, places := range got {
		t.Errorf("%s is in the open in %d places: %q", name, len(places), places[:min(len(places), 8)])
	}
}

func plant(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// searchFrames looks through what the hosts received. The control there is a host's name,
// which is no secret. The secret of a join token does cross the network, once, from who
// joins to the host whose key the token names, and nowhere else.
func searchFrames(t *testing.T, got found, dir string, needles, secret []needle, control needle) {
	t.Helper()
	in := found{}
	size := in.searchFiles(t, dir, slices.Concat(needles, secret, []needle{control}))
	streams, err := os.ReadDir(dir)
	if err != nil || len(streams) < 10 || size < 12<<20 {
		t.Errorf("%d KiB of %d streams are not all that was said: %v", size>>10, len(streams), err)
	}
	t.Logf("%d KiB of %d streams", size>>10, len(streams))
	if len(in[control.name]) == 0 {
		t.Errorf("a host's name was not seen in any frame")
	}
	delete(in, control.name)
	for _, path := range in[secret[0].name] {
		if st, err := os.Stat(path); err != nil || st.Size() > 2<<10 { // its hello and its call
			t.Errorf("%s is in %s, which is no join: %d bytes, %v", secret[0].name, path, st.Size(), err)
		}
	}
	if n := len(in[secret[0].name]); n != 2 {
		t.Errorf("two hosts joined, and %s was seen in %d streams", secret[0].name, n)
	}
	delete(in, secret[0].name)
	for name, places := range in {
		got[name] = append(got[name], places...)
	}
}

// wantNothingInProcess looks through a daemon's command line and environment.
func wantNothingInProcess(t *testing.T, h *ring.Host, needles []needle) {
	t.Helper()
	got, proc := found{}, fmt.Sprintf("/proc/%d/", h.Daemon().Pid())
	for _, name := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(proc + name)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", proc+name, len(b), err)
		}
		got.search(name, b, needles)
	}
	if len(got) > 0 {
		t.Errorf("%s: of its process everybody can see %v", h.Name(), got)
	}
}

// TestNoCore starts a daemon that may dump core and has it abort.
func TestNoCore(t *testing.T) {
	r := ring.Start(t, 1)
	h := r.Host(0)
	h.Must("daemon", "--stop")
	script := `ulimit -c unlimited; cd "$0" && exec "$@"`
	dir := t.TempDir()
	// The control: a program that does not mind may leave one.
	free := h.Lab().Start("free", netlab.Cmd{Args: []string{"sh", "-c", script, dir, "sleep", "100"}})
	p := h.Lab().Start("bound", netlab.Cmd{Args: []string{"sh", "-c", script, dir, ring.Build(t, false), "daemon", "--state", h.State()}})
	limit := func(pid int) (line string) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(b)) {
			if strings.HasPrefix(l, "Max core file size") {
				line = strings.Join(strings.Fields(l)[4:6], " ")
			}
		}
		return line
	}
	r.Eventually(10*time.Second, "the daemon runs", func() error {
		_, err := h.Signet("status")
		return err
	})
	if got := limit(free.Pid()); got != "unlimited unlimited" {
		t.Fatalf("the limit for a core file is %q for who does not lower it", got)
	}
	if got := limit(p.Pid()); got != "0 0" {
		t.Errorf("the daemon's limit for a core file is %q", got)
	}
}
