package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

var update = flag.Bool("update", false, "write testdata anew; then read the difference")

func filled[T ~[32]byte](b byte) (out T) { return T(bytes.Repeat([]byte{b}, 32)) }

var someAddress = signet.NewAddress(signet.DigestSHA256, 0xabcd, filled[signet.Digest](0xee))

// samples has one of each message with a value in every field, and some at the ends of
// their ranges.
var samples = []struct {
	name string
	msg  Message
	new  func() Message
}{
	{"empty", &Empty{}, func() Message { return &Empty{} }},
	{"hello", &Hello{1, 1, ClusterID{15: 9}, 3, 5, Bulk, 16}, func() Message { return &Hello{} }},
	{"raft", &Raft{1}, func() Message { return &Raft{} }},
	{"propose", &Propose{1<<32 - 1}, func() Message { return &Propose{} }},
	{"accepted", &Accepted{7, 2, signet.NotLeader}, func() Message { return &Accepted{} }},
	{"lease", &Lease{
		1, 3, 7, 1000, filled[signet.Digest](0xdd), 990, []signet.Ino{1 << 40, 5}, true, []signet.SessionID{17}, 1 << 30, 1 << 40, 1 << 39,
	}, func() Message { return &Lease{} }},
	{"lease of little", &Lease{}, func() Message { return &Lease{} }},
	{"granted", &Granted{7, 1, 400, 1000, 1001}, func() Message { return &Granted{} }},
	{"release", &Release{1, 7, 1<<64 - 1}, func() Message { return &Release{} }},
	{"ack", &Ack{1, 3, 7, 1000, filled[signet.Digest](0xdd)}, func() Message { return &Ack{} }},
	{"snapshot", &Snapshot{1, 7, 1000, 1 << 33, 4 << 20, "000012.sst"}, func() Message { return &Snapshot{} }},
	{"chunk", &Chunk{7, 1000, []File{{"MANIFEST-000001", 300}, {"000012.sst", 1 << 33}}}, func() Message { return &Chunk{} }},
	{"put", &Put{1, someAddress, 17, 999, 0}, func() Message { return &Put{} }},
	{"stored", &Stored{}, func() Message { return &Stored{} }},
	{"get", &Get{1, someAddress, 16384, 1<<32 - 1}, func() Message { return &Get{} }},
	{"has", &Has{1, []signet.Address{someAddress, {}}}, func() Message { return &Has{} }},
	{"stock", NewStock([]bool{true, false, true, false, false, false, false, false, true}), func() Message { return &Stock{} }},
	{"join", &Join{
		1, []byte("proof"), "alpha", []string{"10.0.0.1:7420", "[fd00::1]:7420"}, "rack 3", 1 << 40, RoleStore | RoleMount, []byte{1, 2},
	}, func() Message { return &Join{} }},
	{"joined", &Joined{ClusterID{9}, 4, []Member{
		{1, filled[signet.HostKey](1), []string{"10.0.0.1:7420"}}, {2, filled[signet.HostKey](2), nil},
	}}, func() Message { return &Joined{} }},
	{"status", &Status{}, func() Message { return &Status{} }},
	{"ping", &Ping{}, func() Message { return &Ping{} }},
	{"recall", &Recall{1, 70_000, 300, signet.RecallWrite}, func() Message { return &Recall{} }},
	{"recalled", &Recalled{signet.Recalled{Held: true, Attr: signet.Attr{
		Ino: 300, Mode: 0o100644, Nlink: 1, UID: 2, GID: 3, Rdev: 4, Size: 1 << 40, Bytes: 5,
		Atime: signet.Time{Sec: -1, Nsec: 6}, Mtime: signet.Time{Sec: 7, Nsec: 8}, Ctime: signet.Time{Sec: 9, Nsec: 10}, Btime: signet.Time{Sec: 11, Nsec: 12}, Owner: 70_000,
	}}}, func() Message { return &Recalled{} }},
	{"leased", &Leased{1, 3}, func() Message { return &Leased{} }},
	{"holds", &Holds{true, false}, func() Message { return &Holds{} }},
}

func encode(m Message) []byte {
	var e pack.Encoder
	m.AppendTo(&e)
	return e.Buf()
}

// golden compares lines of "name: hex" with a file in testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range strings.SplitAfter(string(want), "\n") {
		if lines := strings.SplitAfter(got, "\n"); i >= len(lines) || lines[i] != w {
			t.Fatalf("the bytes on the wire have changed, line %d of testdata/%s:\n%s", i+1, file, w)
		}
	}
	if len(got) != len(want) {
		t.Fatal("testdata/" + file + " lacks lines: run with -update")
	}
}

func TestGoldenMessages(t *testing.T) {
	var b strings.Builder
	for _, s := range samples {
		enc := encode(s.msg)
		fmt.Fprintf(&b, "%s: %x\n", s.name, enc)
		m := s.new()
		if err := decodeMessage(enc, m); err != nil || !reflect.DeepEqual(m, s.msg) {
			t.Errorf("%s came back as %+v (%v)", s.name, m, err)
		}
		for _, bad := range [][]byte{append(enc[:len(enc):len(enc)], 0), enc[:len(enc)-1], longer(enc)} {
			if err := decodeMessage(bad, s.new()); signet.KindOf(err) != signet.BadMessage {
				t.Errorf("%s: %x was accepted (%v)", s.name, bad, err)
			}
		}
	}
	golden(t, "messages.golden", b.String())
}

// longer adds an element to an encoded message.
func longer(enc []byte) []byte {
	out := append(bytes.Clone(enc), 0)
	out[0]++ // all have fewer than 15
	return out
}

func TestDecodedMessageKeepsNothingOfTheFrame(t *testing.T) {
	for _, s := range samples {
		enc := encode(s.msg)
		m := s.new()
		if err := decodeMessage(enc, m); err != nil {
			t.Fatal(err)
		}
		clear(enc)
		if !reflect.DeepEqual(m, s.msg) {
			t.Errorf("%s refers to the frame's memory", s.name)
		}
	}
}

func TestStock(t *testing.T) {
	has := []bool{true, false, false, true, true, false, false, false, false, true}
	m := NewStock(has)
	for i, want := range has {
		if m.Has(i) != want {
			t.Error(i)
		}
	}
	if m.Has(16) || (&Stock{}).Has(0) {
		t.Error("beyond the end")
	}
}

// killers are inputs that make careless decoders allocate gigabytes.
var killers = []string{"ddffffffff", "c6ffffffff", "dfffffffff", "dbffffffff", "91ddffffffff", "9f" + "dcffff", "93c0"}

func FuzzMessage(f *testing.F) {
	for i, s := range samples {
		f.Add(byte(i), encode(s.msg))
		for _, k := range killers {
			b, err := hex.DecodeString(k)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, i byte, in []byte) {
		m := samples[int(i)%len(samples)].new()
		err := decodeMessage(in, m)
		if err != nil {
			if signet.KindOf(err) != signet.BadMessage {
				t.Fatal(err)
			}
			return
		}
		if out := encode(m); !bytes.Equal(in, out) {
			t.Fatalf("%x was read as %+v, which is %x", in, m, out)
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add(AppendPart(AppendPart(nil, []byte("one")), nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out []byte
		for part, err := range Parts(in) {
			if err != nil {
				if signet.KindOf(err) != signet.BadMessage || len(out) == len(in) {
					t.Fatal(err)
				}
				return
			}
			out = AppendPart(out, part)
		}
		if !bytes.Equal(in, out) {
			t.Fatalf("%x became %x", in, out)
		}
	})
}

// TestProtocolListsTheElements holds the package comment's list of messages against
// what is encoded: the number of elements of each.
func TestProtocolListsTheElements(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := regexp.MustCompile(`\n//\s*`).ReplaceAllString(string(text), " ")
	doc = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(doc, "") // limits, with commas in their numbers
	doc = regexp.MustCompile(` +`).ReplaceAllString(doc, " ")
	for _, s := range samples {
		name := reflect.TypeOf(s.msg).Elem().Name()
		if name == "Empty" {
			continue
		}
		_, list, ok := strings.Cut(doc, name+" [")
		if !ok {
			t.Errorf("doc.go does not list %s", name)
			continue
		}
		n, depth := 0, 1
		for i := 0; depth > 0; i++ {
			switch c := list[i]; {
			case c == '[':
				depth++
			case c == ']':
				depth--
			case c == ',' && depth == 1:
				n++
			}
			if i == 0 && depth == 1 {
				n = 1
			}
		}
		if want := pack.NewDecoder(encode(s.msg)).Array(100); n != want && !(want == 1 && n == 0) {
			t.Errorf("doc.go lists %d elements of %s, which has %d", n, name, want)
		}
	}
}
