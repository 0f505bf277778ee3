package house_test

import (
	"slices"
	"strings"
	"testing"
)

// everything lets a room import all of the house.
const everything = "*"

// rooms says what each room may import of ours, beside itself and what lies below
// it. The root package ("") and the shared rooms are open to all rooms but those
// that say otherwise. A package that has no row here fails the test: give it one.
// docs/decisions/0001-import-rules.md has the reasons.
var rooms = map[string][]string{
	"":                  {},
	"fs/extent":         {""},
	"fs/lock":           {""},
	"crypto":            {"", pack, digest},
	"wire":              {"", pack, clock, digest, "internal/tap"},
	"fs":                {"", pack, clock, digest, "fs/extent", "fs/lock", "crypto"},
	"fs/fuse":           {"", clock, "fs"},
	"cluster/ring":      {"", digest},
	"cluster/meta":      {"", pack, digest, "fs/extent", "fs/lock"}, // pure: not even an injected clock
	"cluster/store":     {"", pack, clock, digest, "internal/disk"},
	"cluster/member":    {"", pack, clock, digest, "wire"},
	"cluster/replica":   {"", pack, clock, digest, "cluster/ring", "cluster/store", "wire"},
	"cluster/erasure":   {"", pack, clock, digest, "cluster/ring", "cluster/store"},
	"cluster/consensus": {"", pack, clock, digest, "cluster/meta", "cluster/member", "wire", "internal/disk"},
	"cluster/heal":      {"", pack, clock, digest, "cluster/meta", "cluster/replica", "cluster/ring", "cluster/store"},
	"cluster":           {"", pack, clock, digest, "cluster/...", "wire", "internal/disk"},
	"gateway":           {everything},
	"cmd":               {everything},
	"integration":       {everything},
	"bench":             {everything},
	"internal/pack":     {""},
	"internal/clock":    {""},
	"internal/digest":   {""},
	"internal/disk":     {"", pack, clock},
	"internal/tap":      {},
	"internal/need":     {},
	"internal/house":    {},
	"internal/runtests": {},
}

// The shared rooms: small, without state, and of use to almost everybody.
const (
	pack   = "internal/pack"
	clock  = "internal/clock"
	digest = "internal/digest"
)

// foreign says which rooms may import a library. The key is a prefix of the path.
var foreign = map[string][]string{
	"github.com/hanwen/go-fuse":              {"fs/fuse"},
	"github.com/hanwen/go-fuse/v2/posixtest": {"integration", "fs/fuse"},
	"go.etcd.io/raft":                        {"cluster/consensus"},
	"github.com/vmihailenco/msgpack":         {"internal/pack"},
	"github.com/cockroachdb/pebble":          {"internal/disk", "cluster/store", "cluster/meta", "cluster/consensus", "integration"},
	"github.com/urfave/cli":                  {"cmd"},
	"github.com/klauspost/reedsolomon":       {"cluster/erasure"},
	"github.com/tink-crypto":                 {"crypto"},
	"github.com/zeebo/blake3":                {"internal/digest", "crypto"},
	"golang.org/x/crypto":                    {"crypto"},
	"crypto/aes":                             {"crypto"},
	"crypto/cipher":                          {"crypto"},
	"crypto/hpke":                            {"crypto"},
	"crypto/tls":                             {"wire", "gateway", "cmd", "integration"},
	"net/http":                               {"gateway", "cmd", "integration"},
	"unsafe":                                 {"fs/fuse", "internal/disk", "integration"},
	"testing":                                {"internal/need", "integration"}, // and every test and xxxtest package
}

func TestImports(t *testing.T) {
	t.Parallel()
	enforce(t, imports)
}

// imports checks a file's imports against both tables.
func imports(s *source) []string {
	home, ok := homeOf(s.room())
	if !ok {
		return []string{s.breach(s.file.Package, "package %q has no row in the table of rooms (internal/house)", s.room())}
	}
	var out []string
	for _, im := range s.file.Imports {
		p := strings.Trim(im.Path.Value, `"`)
		ours, isOurs := strings.CutPrefix(p, module)
		ours = strings.TrimPrefix(ours, "/")
		switch {
		case isOurs && !mayImport(s, home, ours):
			out = append(out, s.breach(im.Pos(), "room %q may not import %q; it may import %q", home, ours, rooms[home]))
		case !isOurs && !mayUse(s, p):
			out = append(out, s.breach(im.Pos(), "room %q may not import %s", home, p))
		}
	}
	return out
}

// homeOf returns the room that a package belongs to: itself, or the nearest one
// above it. Nothing belongs to the root package but itself.
func homeOf(pkg string) (string, bool) {
	for p := pkg; ; {
		if _, ok := rooms[p]; ok {
			return p, true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return "", false
		}
		p = p[:i]
	}
}

func mayImport(s *source, home, pkg string) bool {
	if pkg == home || strings.HasPrefix(pkg, home+"/") && home != "" && homeIs(pkg, home) {
		return true
	}
	if pkg == "internal/need" {
		return forTests(s)
	}
	for _, r := range rooms[home] {
		prefix, tree := strings.CutSuffix(r, "/...")
		switch {
		case r == everything, r == pkg:
			return true
		case tree && strings.HasPrefix(pkg, prefix+"/"):
			return true
		case pkg == r+"/"+base(r)+"test" && forTests(s): // the room's conformance suite or fakes
			return true
		}
	}
	return false
}

func homeIs(pkg, home string) bool {
	h, ok := homeOf(pkg)
	return ok && h == home
}

func base(room string) string { return room[strings.LastIndexByte(room, '/')+1:] }

// forTests says whether the file is a test or belongs to a package made for tests.
func forTests(s *source) bool {
	return s.isTest() || strings.HasSuffix(s.room(), "test") || s.under("integration")
}

func mayUse(s *source, p string) bool {
	best := ""
	for k := range foreign {
		if len(k) > len(best) && (p == k || strings.HasPrefix(p, k+"/")) {
			best = k
		}
	}
	if best == "" {
		return true
	}
	switch best {
	case "testing", "crypto/tls":
		if forTests(s) {
			return true
		}
	}
	return slices.ContainsFunc(foreign[best], func(r string) bool { return s.under(r) })
}

func TestImportsBite(t *testing.T) {
	t.Parallel()
	use := func(pkg string) string { return "package x\nimport _ \"" + pkg + "\"\n" }
	bites(t, imports, []sample{
		{"ids.go", use(module + "/wire"), 1},
		{"fs/read.go", use(module + "/cluster/meta"), 1},
		{"fs/read.go", use(module + "/fs/fuse"), 1},
		{"fs/read.go", use(module + "/crypto"), 0},
		{"fs/read_test.go", use(module + "/cluster"), 1},
		{"fs/read_test.go", use(module + "/internal/need"), 0},
		{"fs/read.go", use(module + "/internal/need"), 1},
		{"fs/fuse/node.go", use(module + "/crypto"), 1},
		{"fs/fuse/node.go", use("github.com/hanwen/go-fuse/v2/fuse"), 0},
		{"fs/read.go", use("github.com/hanwen/go-fuse/v2/fuse"), 1},
		{"integration/posix_test.go", use("github.com/hanwen/go-fuse/v2/posixtest"), 0},
		{"integration/posix_test.go", use("github.com/hanwen/go-fuse/v2/fuse"), 1},
		{"cluster/store/disk.go", use(module + "/crypto"), 1},
		{"cluster/meta/apply.go", use(module + "/internal/clock"), 1},
		{"integration/netlab/lab.go", use(module + "/internal/need"), 0},
		{"cluster/meta/apply.go", use("go.etcd.io/raft/v3/raftpb"), 1},
		{"cluster/consensus/log.go", use("go.etcd.io/raft/v3"), 0},
		{"cluster/node.go", use(module + "/cluster/heal"), 0},
		{"cluster/node.go", use(module + "/fs"), 1},
		{"cluster/store/storetest/suite.go", use(module + "/cluster/store"), 0},
		{"cluster/replica/put_test.go", use(module + "/cluster/store/storetest"), 0},
		{"cluster/replica/put.go", use(module + "/cluster/store/storetest"), 1},
		{"wire/frame.go", use("github.com/vmihailenco/msgpack/v5"), 1},
		{"cmd/signet/main.go", use(module + "/cluster"), 0},
		{"utils/x.go", use("fmt"), 1},
		{"internal/other/x.go", use("fmt"), 1},
	})
}
