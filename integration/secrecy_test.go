package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
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
		if d.Type().IsRegular() {
			bytesSeen += f.searchFile(t, path, needles)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return bytesSeen
}

func (f found) searchFile(t *testing.T, path string, needles []needle) (bytesSeen int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	f.search(path, b, needles)
	return len(b)
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
	// No log of its own: what is planted is to be in tables only.
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: version, Merger: &m, Logger: quiet{}, DisableWAL: true})
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// searchDatabase looks through all keys and values of a database, as its engine reads
// them. It plants the control in a row that a table holds compressed, so that it is in
// none of the files as it stands.
func (f found) searchDatabase(t *testing.T, dir, control string, needles []needle) (rows int) {
	t.Helper()
	db := openDatabase(t, dir)
	// Its halves, each often, and then both together: the whole is two references to what
	// stands before. What follows keeps it from the end, which is never compressed.
	one, two := control[:len(control)/2], control[len(control)/2:]
	apart := strings.Repeat(one+"-"+two+"-", 64)
	if err := db.Set([]byte("\xffplanted"), []byte(apart+control+"-"+apart), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		f.search("key in "+dir, it.Key(), needles)
		f.search("value in "+dir, it.Value(), needles)
		rows++
	}
	if err := errors.Join(it.Close(), db.Close()); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	whole, halves := textNeedle("whole", control), textNeedle("half", one)
	raw := found{}
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	for _, table := range tables {
		raw.searchFile(t, table, []needle{whole, halves})
	}
	if len(raw[whole.name]) > 0 || len(raw[halves.name]) == 0 {
		t.Errorf("the control in %s is not compressed, or in no table: whole in %q, half in %q", dir, raw[whole.name], raw[halves.name])
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

// openVolume opens the volume's keys as a host does that holds them. It returns nil if
// there is nothing that the host could open.
func openVolume(t *testing.T, state string) *crypto.Keyring {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "seal.key"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
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
	if len(slots) == 0 {
		t.Fatalf("there are no slots in %s", state)
	}
	return nil
}

// mark returns a text that turns up nowhere by chance.
func mark(what string) string {
	return what + "." + strings.ToLower(rand.Text())
}

// writeMarked makes one of everything that programs can hide something in, on each of the
// hosts, and returns what they hid.
func writeMarked(hosts ...*ring.Host) (needles []needle) {
	m := func(what string) string {
		s := mark(what)
		needles = append(needles, textNeedle(what, s))
		return s
	}
	for i, h := range hosts {
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
	for _, h := range hosts { // and everything is read
		h.Run(time.Minute, "sh", "-c", "cat */small */large >/dev/null; find . >/dev/null")
	}
	return needles
}

// TestSecrecy looks for what programs wrote, and for the keys, in all that a host keeps,
// logs, and sends under TLS, whether it holds the volume's key or not. It shows for each
// place that it would find it there.
func TestSecrecy(t *testing.T) {
	passphrase, hostName := mark("passphrase"), mark("hostname")
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	frames := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	r := ring.StartWith(t, ring.Config{
		Hosts: 3, NoKey: []int{2}, Verbose: true, Names: []string{hostName + "-0", hostName + "-1", hostName + "-2"},
		Init:  []string{"--passphrase-file", file},
		Env:   []string{shortLog},
		EnvOf: func(i int) []string { return []string{"SIGNET_TAP=" + frames[i]} },
	})
	needles := writeMarked(r.Host(0), r.Host(1))
	for _, i := range []int{2, 1} { // who was away gets a snapshot
		r.Host(i).Kill()
		for range 100 {
			r.Host(0).Write("/x", "x")
		}
		r.Host(i).Boot()
		r.WantVoters(3)
	}
	r.WantWhole()
	token, err := member.ParseToken(r.Init.JoinToken)
	if err != nil {
		t.Fatal(err)
	}
	secret := keyNeedle("secret of the join token", token.Secret[:])
	needles = append(needles, textNeedle("passphrase", passphrase), textNeedle("join token", r.Init.JoinToken), textNeedle("recovery key", r.Init.Recovery),
		textNeedle("recovery key without dashes", strings.ReplaceAll(r.Init.Recovery, "-", "")))
	for _, h := range r.Hosts() {
		wantNothingInProcess(t, h, append(needles, secret))
	}
	needles = append(needles, inBackground(r.Host(1))...)
	for _, h := range r.Hosts() {
		h.Must("daemon", "--stop")
	}
	needles = append(needles, secretsOf(t, openVolume(t, r.Host(1).State()))...)
	if k := openVolume(t, r.Host(2).State()); k != nil {
		t.Errorf("%s joined without the key, and has it", r.Host(2).Name())
	}

	got := found{}
	for _, h := range r.Hosts() {
		got.searchHost(t, h, append(needles, secret))
	}
	carried := 0
	for i, dir := range frames {
		carried += got.searchFrames(t, r.Host(i), dir, needles, secret, textNeedle("host name", hostName))
	}
	if carried != 2 {
		t.Errorf("two hosts joined, and the secret of their token was seen in %d streams", carried)
	}
	for name, places := range got {
		t.Errorf("%s is in the open in %d places: %q", name, len(places), places[:min(len(places), 8)])
	}
}

// inBackground has a host's daemon run as most do, in the background and with a log in
// the state directory, and has programs work on its mount.
func inBackground(h *ring.Host) []needle {
	h.Must("daemon", "--stop")
	h.Must("mount", h.Mountpoint())
	return writeMarked(h)
}

// searchHost looks through the state directory, the databases and the logs of a host that
// does not run. In each place it plants a control first, which it must find.
func (f found) searchHost(t *testing.T, h *ring.Host, needles []needle) {
	t.Helper()
	control := textNeedle("control", mark("control"))
	text, looked := string(control.forms[0]), slices.Concat(needles, []needle{control})
	in := found{}
	// wantControl wants the control in exactly these places, of those searched since.
	wantControl := func(what string, places []string) {
		t.Helper()
		got := slices.Sorted(slices.Values(in[control.name]))
		slices.Sort(places)
		if !slices.Equal(got, places) {
			t.Errorf("%s: the control was planted in %s %q, and found in %q", h.Name(), what, places, got)
		}
		delete(in, control.name)
	}

	rows, dbs, values := 0, databases(t, h.State()), []string{}
	for _, dir := range dbs {
		n := in.searchDatabase(t, dir, text, looked)
		if n < 10 {
			t.Errorf("%s: %d rows of %s are not all that it holds", h.Name(), n, dir)
		}
		rows += n
		values = append(values, "value in "+dir)
	}
	if len(dbs) < 3 { // log, tables, objects
		t.Errorf("%s has only the databases %q", h.Name(), dbs)
	}
	wantControl("databases", values)

	var planted []string
	for _, dir := range directories(t, h.State()) {
		planted = append(planted, plant(t, filepath.Join(dir, "planted"), "prefix"+text+"suffix"))
	}
	size := in.searchFiles(t, h.State(), looked)
	if size < 10<<20 { // the objects alone are more
		t.Errorf("%s: %d KiB are not all of its files", h.Name(), size>>10)
	}
	wantControl("directories", planted)

	logs, logged := h.Logs(), 0
	planted = nil
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil || bytes.Count(b, []byte("\ntime=")) < 2 {
			t.Errorf("%s: %s is not the log of a daemon that ran: %v %.200q", h.Name(), path, err, b)
		}
		planted = append(planted, plant(t, path, "time=now level=INFO msg="+text+"\n"))
		logged += in.searchFile(t, path, looked)
	}
	wantControl("logs", planted)
	if logged < 2<<10 { // they log all that they can
		t.Errorf("%s: %d KiB are not all that its daemons logged", h.Name(), logged>>10)
	}
	in.searchFiles(t, filepath.Join(h.Lab().Dir(), "log"), needles) // what its programs said
	for name, places := range in {
		f[name] = append(f[name], places...)
	}
	t.Logf("%s: %d rows of %d databases, %d KiB of files, %d KiB of %d logs", h.Name(), rows, len(dbs), size>>10, logged>>10, len(logs))
}

// directories returns dir and all directories below it.
func directories(t *testing.T, dir string) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return dirs
}

// plant appends a text to a file, and returns the file's path.
func plant(t *testing.T, path, text string) string {
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
	return path
}

// searchFrames looks through what a host received, and returns in how many streams it saw
// the secret of a join token. The control there is the hosts' name, which is no secret.
// The secret of a join token does cross the network, once, from who joins to the host
// whose key the token names, and nowhere else.
func (f found) searchFrames(t *testing.T, h *ring.Host, dir string, needles []needle, secret, control needle) int {
	t.Helper()
	in := found{}
	size := in.searchFiles(t, dir, slices.Concat(needles, []needle{secret, control}))
	streams, err := os.ReadDir(dir)
	if err != nil || len(streams) < 4 || size < 5<<20 {
		t.Errorf("%s: %d KiB of %d streams are not all that it was told: %v", h.Name(), size>>10, len(streams), err)
	}
	t.Logf("%s: %d KiB of %d streams", h.Name(), size>>10, len(streams))
	if len(in[control.name]) == 0 {
		t.Errorf("%s: a host's name was not seen in any frame", h.Name())
	}
	delete(in, control.name)
	joins := in[secret.name]
	for _, path := range joins {
		if st, err := os.Stat(path); err != nil || st.Size() > 2<<10 { // its hello and its call
			t.Errorf("%s is in %s, which is no join: %d bytes, %v", secret.name, path, st.Size(), err)
		}
	}
	delete(in, secret.name)
	for name, places := range in {
		f[name] = append(f[name], places...)
	}
	return len(joins)
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
