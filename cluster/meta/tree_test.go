package meta

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signetfs/signet"
)

// tree is a world with a little of everything:
//
//	/d (2)  /d/e (3)  /d/e/f (4)  /g (5: empty dir)  /a (10)  /b (11)  /b2 (11)  /l (12: symlink)
func tree(t *testing.T) *world {
	w := made(t)
	w.dir(1, "d", 2)
	w.dir(2, "e", 3)
	w.file(3, "f", 4)
	w.dir(1, "g", 5)
	w.file(1, "a", 10)
	w.file(1, "b", 11)
	w.ok(&signet.Link{Ino: 11, Parent: 1, Name: []byte("b2"), Time: w.time()})
	w.ok(&signet.Create{Parent: 1, Name: []byte("l"), Ino: 12, Mode: signet.ModeSymlink | 0o777, Target: []byte("sealed"), Size: 3, Time: w.time()})
	w.check()
	return w
}

var long = bytes.Repeat([]byte{'x'}, signet.MaxSealedName+1)

// refusals are commands that must be refused on tree, and change nothing.
func refusals(w *world) map[string]struct {
	c    any
	want signet.Kind
} {
	type refusal = struct {
		c    any
		want signet.Kind
	}
	create := func(parent signet.Ino, name string, ino signet.Ino, mode uint32) *signet.Create {
		return w.create(parent, name, ino, mode)
	}
	rename := func(p signet.Ino, n string, np signet.Ino, nn string, flags uint32) *signet.Rename {
		return &signet.Rename{Parent: p, Name: []byte(n), NewParent: np, NewName: []byte(nn), Flags: flags, Time: w.time()}
	}
	const reg = signet.ModeRegular | 0o644
	huge := create(1, "n", 20, reg)
	huge.Name = long
	target := create(1, "n", 20, signet.ModeSymlink)
	target.Target = bytes.Repeat([]byte{1}, maxSealedTarget+1)
	return map[string]refusal{
		"create taken":                {create(1, "a", 20, reg), signet.Exists},
		"create in nothing":           {create(99, "n", 20, reg), signet.NotFound},
		"create in a file":            {create(10, "n", 20, reg), signet.NotDir},
		"create with a used inode":    {create(1, "n", 10, reg), signet.Invalid},
		"create with inode 1":         {create(1, "n", 1, reg), signet.Invalid},
		"create not granted":          {create(1, "n", 5_000_000, reg), signet.Invalid},
		"create no type":              {create(1, "n", 20, 0o644), signet.Invalid},
		"create long name":            {huge, signet.NameTooLong},
		"create tmpfile dir":          {create(1, "", 20, signet.ModeDir), signet.Invalid},
		"create symlink to nothing":   {create(1, "n", 20, signet.ModeSymlink), signet.Invalid},
		"create symlink far":          {target, signet.NameTooLong},
		"link taken":                  {&signet.Link{Ino: 10, Parent: 1, Name: []byte("b")}, signet.Exists},
		"link directory":              {&signet.Link{Ino: 2, Parent: 1, Name: []byte("n")}, signet.NotPermitted},
		"link nothing":                {&signet.Link{Ino: 99, Parent: 1, Name: []byte("n")}, signet.NotFound},
		"link into nothing":           {&signet.Link{Ino: 10, Parent: 99, Name: []byte("n")}, signet.NotFound},
		"link no name":                {&signet.Link{Ino: 10, Parent: 1}, signet.Invalid},
		"unlink nothing":              {&signet.Remove{Parent: 1, Name: []byte("n")}, signet.NotFound},
		"unlink directory":            {&signet.Remove{Parent: 1, Name: []byte("d")}, signet.IsDir},
		"rmdir file":                  {&signet.Remove{Parent: 1, Name: []byte("a"), Dir: true}, signet.NotDir},
		"rmdir full":                  {&signet.Remove{Parent: 1, Name: []byte("d"), Dir: true}, signet.NotEmpty},
		"remove from file":            {&signet.Remove{Parent: 10, Name: []byte("d")}, signet.NotDir},
		"rename nothing":              {rename(1, "n", 1, "m", 0), signet.NotFound},
		"rename into nothing":         {rename(1, "a", 99, "m", 0), signet.NotFound},
		"rename into a file":          {rename(1, "a", 10, "m", 0), signet.NotDir},
		"rename no-replace":           {rename(1, "a", 1, "b", signet.RenameNoReplace), signet.Exists},
		"rename no-replace same file": {rename(1, "b", 1, "b2", signet.RenameNoReplace), signet.Exists},
		"rename both flags":           {rename(1, "a", 1, "b", 3), signet.Invalid},
		"rename whiteout":             {rename(1, "a", 1, "b", 4), signet.Invalid},
		"rename into itself":          {rename(1, "d", 2, "n", 0), signet.Loop},
		"rename into its child":       {rename(1, "d", 3, "n", 0), signet.Loop},
		"rename onto full dir":        {rename(1, "g", 1, "d", 0), signet.NotEmpty},
		"rename onto ancestor":        {rename(2, "e", 1, "d", 0), signet.NotEmpty},
		"rename file onto dir":        {rename(1, "a", 1, "g", 0), signet.IsDir},
		"rename dir onto file":        {rename(1, "g", 1, "a", 0), signet.NotDir},
		"exchange with nothing":       {rename(1, "a", 1, "n", signet.RenameExchange), signet.NotFound},
		"exchange with ancestor":      {rename(2, "e", 1, "d", signet.RenameExchange), signet.Loop},
		"exchange with descendant":    {rename(1, "d", 2, "e", signet.RenameExchange), signet.Loop},
		"rename long":                 {&signet.Rename{Parent: 1, Name: []byte("a"), NewParent: 1, NewName: long}, signet.NameTooLong},
		"setattr nothing":             {&signet.SetAttr{Ino: 99, Set: signet.SetUID}, signet.NotFound},
		"resize directory":            {&signet.SetAttr{Ino: 2, Set: signet.SetSize | signet.SetUID, UID: 9}, signet.IsDir},
		"resize symlink":              {&signet.SetAttr{Ino: 12, Set: signet.SetSize}, signet.Invalid},
		"resize too big":              {&signet.SetAttr{Ino: 10, Set: signet.SetSize, Size: 1 << 63}, signet.TooBig},
		"drain nothing":               {&signet.Drain{Ino: 99}, signet.NotFound},
		"reap a file":                 {&Reap{Ino: 10}, signet.NotFound},
		"reap nothing":                {&Reap{Ino: 99}, signet.NotFound},
		"replace no xattr":            {&signet.SetXattr{Ino: 10, Name: []byte("n"), Flags: 2}, signet.NoAttr},
		"remove no xattr":             {&signet.RemoveXattr{Ino: 10, Name: []byte("n")}, signet.NoAttr},
		"remove long xattr":           {&signet.RemoveXattr{Ino: 10, Name: bytes.Repeat([]byte{1}, maxSealedXattrName+1)}, signet.NoAttr},
		"xattr of nothing":            {&signet.SetXattr{Ino: 99, Name: []byte("n")}, signet.NotFound},
		"xattr without name":          {&signet.SetXattr{Ino: 10}, signet.Invalid},
		"xattr flags":                 {&signet.SetXattr{Ino: 10, Name: []byte("n"), Flags: 4}, signet.Invalid},
		"xattr name":                  {&signet.SetXattr{Ino: 10, Name: bytes.Repeat([]byte{1}, maxSealedXattrName+1)}, signet.Range},
		"xattr value":                 {&signet.SetXattr{Ino: 10, Name: []byte("n"), Value: make([]byte, maxSealedXattrValue+1)}, signet.TooBig},
		"policy of a file":            {&SetPolicy{Ino: 10, Policy: Policy{1, 1}}, signet.NotDir},
		"policy of no copies":         {&SetPolicy{Ino: 1, Policy: Policy{0, 1}}, signet.Invalid},
		"policy layout":               {&SetPolicy{Ino: 1, Policy: Policy{1, 9}}, signet.Invalid},
		"grant none":                  {&GrantInodes{}, signet.Invalid},
	}
}

func TestRefusedChangesNothing(t *testing.T) {
	w := tree(t)
	all := refusals(w)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.unchanged(name, func() {
			if got := w.do(all[name].c); got.Err != all[name].want {
				t.Errorf("%s: %v, want %v", name, got.Err, all[name].want)
			}
		})
		if n := len(w.step.Batch.Changes); n > 0 {
			t.Errorf("%s: %d changes in the feed", name, n)
		}
	}
	if res := w.want(w.create(1, "a", 20, signet.ModeRegular), signet.Exists); res.Attr.Ino != 10 {
		t.Errorf("Exists carries %+v", res.Attr)
	}
	w.entry(Envelope{Group: 7, Session: w.session, Request: 1 << 20, Lowest: 1 << 20, Command: w.create(1, "x", 20, signet.ModeRegular)})
	if w.last.Result.Err != signet.NotFound {
		t.Errorf("no such volume: %v", w.last.Result.Err)
	}
}

func TestCreateKinds(t *testing.T) {
	w := made(t)
	for i, mode := range []uint32{signet.ModeRegular, signet.ModeFIFO, signet.ModeSocket, signet.ModeBlock, signet.ModeChar} {
		c := w.create(1, fmt.Sprint(i), signet.Ino(20+i), mode|0o6751)
		c.Rdev = 0x801
		res := w.ok(c)
		dev := mode == signet.ModeBlock || mode == signet.ModeChar
		if a := w.attr(c.Ino); a != res.Attr || a.Mode != mode|0o6751 || (a.Rdev == 0x801) != dev || a.Nlink != 1 {
			t.Errorf("%o: %+v", mode, a)
		}
	}
	at := w.time()
	w.ok(&signet.Create{Parent: 1, Name: []byte("l"), Ino: 40, Mode: signet.ModeSymlink | 0o777, Target: []byte("sealed"), Size: 3, Time: at})
	w.read(func(r *Reader) {
		if target, err := r.Target(40); string(target) != "sealed" || err != nil {
			t.Errorf("%q, %v", target, err)
		}
		if _, err := r.Target(20); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
		if e, err := r.Lookup(1, []byte("l")); e.Ino != 40 || e.Mode != signet.ModeSymlink || string(e.Name) != "l" || err != nil {
			t.Errorf("%+v, %v", e, err)
		}
		if _, err := r.Lookup(1, []byte("none")); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
	})
	if a := w.attr(40); a.Size != 3 || a.Btime != at || a.Mtime != at {
		t.Errorf("%+v", a)
	}
	if root := w.attr(1); root.Mtime != at || root.Ctime != at || root.Atime == at || root.Size != 6 {
		t.Errorf("%+v", root)
	}
	w.check()
}

func TestTmpfile(t *testing.T) {
	w := made(t)
	w.ok(w.create(1, "", 20, signet.ModeRegular|0o600))
	if a := w.attr(20); a.Nlink != 0 {
		t.Errorf("%+v", a)
	}
	w.check()
	res := w.ok(&signet.Link{Ino: 20, Parent: 1, Name: []byte("t"), Time: w.time()})
	if res.Attr.Nlink != 1 {
		t.Errorf("%+v", res)
	}
	w.check()
	w.ok(&signet.Remove{Parent: 1, Name: []byte("t"), Time: w.time()})
	w.want(&signet.Link{Ino: 20, Parent: 1, Name: []byte("t")}, signet.NotFound) // an orphan like any other now
	w.ok(&Reap{Ino: 20})
	w.want(&Reap{Ino: 20}, signet.NotFound)
	w.check()
	if c := w.counters(); c.Inodes != 1 || c.Orphans != 0 {
		t.Errorf("%+v", c)
	}
}

func TestLinksAndOrphans(t *testing.T) {
	w := tree(t)
	res := w.ok(&signet.Remove{Parent: 1, Name: []byte("b"), Time: w.time()})
	if got := fmt.Sprint(w.changes()); res.Attr.Nlink != 1 || got != "[1:05:b 11:01]" {
		t.Errorf("%+v %v", res, got)
	}
	res = w.ok(&signet.Remove{Parent: 1, Name: []byte("b2"), Time: w.time()})
	if got := fmt.Sprint(w.changes()); res.Attr.Nlink != 0 || got != "[1:05:b2 11:21]" {
		t.Errorf("%+v %v", res, got)
	}
	index, _ := w.s.Applied()
	w.read(func(r *Reader) {
		var got []Orphan
		_ = r.Orphans(0, func(o Orphan) bool { got = append(got, o); return true })
		if len(got) != 1 || got[0] != (Orphan{Ino: 11, Since: index}) {
			t.Errorf("%+v", got)
		}
		_ = r.Orphans(11, func(o Orphan) bool { t.Errorf("%+v", o); return true })
	})
	// It lives on for who has it open.
	w.ok(&signet.SetAttr{Ino: 11, Set: signet.SetMode, Mode: 0o600, Time: w.time()})
	w.ok(&Reap{Ino: 11})
	if got := fmt.Sprint(w.changes()); got != "[11:40]" {
		t.Error(got)
	}
	w.read(func(r *Reader) {
		if _, err := r.Attr(11); signet.KindOf(err) != signet.NotFound {
			t.Error(err)
		}
	})
	// A removed directory takes no more names.
	w.ok(&signet.Remove{Parent: 1, Name: []byte("g"), Dir: true, Time: w.time()})
	if a := w.attr(5); a.Nlink != 0 {
		t.Errorf("%+v", a)
	}
	w.want(w.create(5, "n", 20, signet.ModeRegular), signet.NotFound)
	w.want(&signet.Rename{Parent: 1, Name: []byte("a"), NewParent: 5, NewName: []byte("a")}, signet.NotFound)
	w.ok(&Reap{Ino: 5})
	w.check()
}

func TestManyLinks(t *testing.T) {
	w := made(t)
	w.file(1, "f", 20)
	w.s.apply.inodes.rows[inodeID{1, 20}].value.Nlink = signet.MaxLinks - 1
	if res := w.ok(&signet.Link{Ino: 20, Parent: 1, Name: []byte("last")}); res.Attr.Nlink != signet.MaxLinks {
		t.Errorf("%+v", res)
	}
	w.want(&signet.Link{Ino: 20, Parent: 1, Name: []byte("one more")}, signet.TooManyLinks)
}

func TestRename(t *testing.T) {
	for _, c := range []struct {
		name        string
		p, np       signet.Ino
		from, to    string
		flags       uint32
		root, d, e  string // what is in /, /d and /d/e afterwards, without b, b2 and l
		feed        string
		links, size string // of /, d
	}{
		{"file", 1, 1, "a", "n", 0, "d=2 g=5 n=10", "e=3", "f=4", "[1:05:a 1:09:n 10:01]", "4/3", "6/1"},
		{"file away", 1, 3, "a", "n", 0, "d=2 g=5", "e=3", "f=4 n=10", "[1:05:a 3:09:n 10:01]", "4/3", "5/1"},
		{"file over file", 1, 3, "a", "f", 0, "d=2 g=5", "e=3", "f=10", "[1:05:a 3:05:f 10:01 4:21]", "4/3", "5/1"},
		{"directory", 2, 1, "e", "n", 0, "a=10 d=2 g=5 n=3", "", "f=4", "[2:05:e 1:09:n 3:01]", "5/2", "7/0"},
		{"directory over empty", 2, 1, "e", "g", 0, "a=10 d=2 g=3", "", "f=4", "[2:05:e 1:05:g 3:01 5:21]", "4/2", "6/0"},
		{"directory in place", 1, 1, "g", "n", 0, "a=10 d=2 n=5", "e=3", "f=4", "[1:05:g 1:09:n 5:01]", "4/3", "6/1"},
		{"onto itself", 1, 1, "a", "a", 0, "a=10 d=2 g=5", "e=3", "f=4", "[]", "4/3", "6/1"},
		{"other name of it", 1, 1, "b", "b2", 0, "a=10 d=2 g=5", "e=3", "f=4", "[]", "4/3", "6/1"},
		{"no replace", 1, 1, "a", "n", signet.RenameNoReplace, "d=2 g=5 n=10", "e=3", "f=4", "[1:05:a 1:09:n 10:01]", "4/3", "6/1"},
		{"exchange files", 1, 3, "a", "f", signet.RenameExchange, "a=4 d=2 g=5", "e=3", "f=10", "[1:05:a 3:05:f 10:01 4:01]", "4/3", "6/1"},
		{"exchange kinds", 1, 2, "a", "e", signet.RenameExchange, "a=3 d=2 g=5", "e=10", "f=4", "[1:05:a 2:05:e 10:01 3:01]", "5/2", "6/1"},
		{"exchange directories", 1, 2, "g", "e", signet.RenameExchange, "a=10 d=2 g=3", "e=5", "f=4", "[1:05:g 2:05:e 5:01 3:01]", "4/3", "6/1"},
		{"exchange in place", 1, 1, "a", "g", signet.RenameExchange, "a=5 d=2 g=10", "e=3", "f=4", "[1:05:a 1:05:g 10:01 5:01]", "4/3", "6/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := tree(t)
			old := w.attr(1)
			now := w.time()
			res := w.ok(&signet.Rename{Parent: c.p, Name: []byte(c.from), NewParent: c.np, NewName: []byte(c.to), Flags: c.flags, Time: now})
			w.check()
			root := slices.DeleteFunc(w.ls(1), func(s string) bool { return s[0] == 'b' || s[0] == 'l' })
			if got := strings.Join(root, " "); got != c.root {
				t.Errorf("root: %s", got)
			}
			if got := strings.Join(w.ls(2), " "); got != c.d {
				t.Errorf("d: %s", got)
			}
			if got := strings.Join(w.ls(3), " "); got != c.e {
				t.Errorf("e: %s", got)
			}
			if got := fmt.Sprint(w.changes()); got != c.feed {
				t.Errorf("feed: %s", got)
			}
			r, d := w.attr(1), w.attr(2)
			if got := fmt.Sprintf("%d/%d", r.Nlink, d.Nlink); got != c.links {
				t.Errorf("links: %s", got)
			}
			if got := fmt.Sprintf("%d/%d", r.Size, d.Size); got != c.size {
				t.Errorf("sizes: %s", got)
			}
			if c.feed == "[]" {
				if r != old {
					t.Errorf("a rename of nothing changed %+v to %+v", old, r)
				}
				return
			}
			if moved := w.attr(res.Attr.Ino); moved.Ctime != now || moved.Mtime == now || r.Mtime != now && c.p != 2 {
				t.Errorf("times: %+v", moved)
			}
		})
	}
}

func TestDeepDirectories(t *testing.T) {
	w := made(t)
	var all []Envelope
	const depth = maxDepth + 10
	for i := range depth {
		w.request++
		c := w.create(signet.Ino(i+1), "d", signet.Ino(i+2), signet.ModeDir)
		all = append(all, Envelope{1, w.session, w.request, w.request, c})
	}
	w.entry(all...)
	w.dir(1, "x", 100_000)
	move := &signet.Rename{Parent: 1, Name: []byte("x"), NewParent: depth, NewName: []byte("x"), Time: w.time()}
	w.want(move, signet.NameTooLong)
	move.NewParent = maxDepth - 1
	w.ok(move)
	w.want(&signet.Rename{Parent: 1, Name: []byte("d"), NewParent: 1000, NewName: []byte("x"), Time: w.time()}, signet.Loop)
	w.check()
}

func TestSetAttr(t *testing.T) {
	w := tree(t)
	at := func(n int64) signet.Time { return signet.Time{Sec: n, Nsec: 7} }
	all := &signet.SetAttr{Ino: 10, Set: 127, Mode: 0o7777 | signet.ModeDir, UID: 8, GID: 9, Size: 5000,
		Atime: at(1), Mtime: at(2), Ctime: at(3), Time: at(4)}
	got := w.ok(all).Attr
	old := w.attr(10)
	if got != old || got.Mode != signet.ModeRegular|0o7777 || got.UID != 8 || got.GID != 9 || got.Size != 5000 ||
		got.Atime != at(1) || got.Mtime != at(2) || got.Ctime != at(3) {
		t.Errorf("%+v", got)
	}
	got = w.ok(&signet.SetAttr{Ino: 10, Time: at(5)}).Attr
	old.Ctime = at(5)
	if got != old {
		t.Errorf("%+v", got)
	}
	if got = w.ok(&signet.SetAttr{Ino: 10, Set: signet.SetSize, Size: 6, Time: at(6)}).Attr; got.Mtime != at(6) || got.Size != 6 {
		t.Errorf("%+v", got)
	}
	if feed := fmt.Sprint(w.changes()); feed != "[10:01 10:03:6+18446744073709551615]" {
		t.Error(feed)
	}
	if got = w.ok(&signet.SetAttr{Ino: 10, Set: signet.SetSize, Size: 6, Time: at(7)}).Attr; got.Mtime != at(6) {
		t.Errorf("the same size changed mtime: %+v", got)
	}
	w.check()
}

func TestXattrs(t *testing.T) {
	w := tree(t)
	set := func(name, value string, flags uint32) *signet.SetXattr {
		return &signet.SetXattr{Ino: 10, Name: []byte(name), Value: []byte(value), Flags: flags, Time: w.time()}
	}
	w.ok(set("n", "1", xattrCreate))
	if got := fmt.Sprint(w.changes()); got != "[10:11]" {
		t.Error(got)
	}
	w.want(set("n", "2", xattrCreate), signet.Exists)
	w.ok(set("n", "3", xattrReplace))
	w.ok(set("m", "", 0))
	w.check()
	w.read(func(r *Reader) {
		names, err := r.Xattrs(10)
		if fmt.Sprintf("%s", names) != "[m n]" || err != nil {
			t.Errorf("%s, %v", names, err)
		}
		if v, err := r.Xattr(10, []byte("n")); string(v) != "3" || err != nil {
			t.Errorf("%s, %v", v, err)
		}
		if v, err := r.Xattr(10, []byte("m")); len(v) != 0 || err != nil {
			t.Errorf("%s, %v", v, err)
		}
		if _, err := r.Xattr(10, []byte("o")); signet.KindOf(err) != signet.NoAttr {
			t.Error(err)
		}
	})
	w.ok(&signet.RemoveXattr{Ino: 10, Name: []byte("n"), Time: w.time()})
	w.want(&signet.RemoveXattr{Ino: 10, Name: []byte("n"), Time: w.time()}, signet.NoAttr)
	w.check()

	// As many as listxattr can return the names of, and no more.
	n, k := 0, signet.OK
	for k == signet.OK {
		n++
		k = w.do(set(strings.Repeat("x", 200)+fmt.Sprintf("%05d", n), "v", 0)).Err
	}
	if k != signet.NoSpace || n != (maxXattrNames-2)/206+1 {
		t.Errorf("%d: %v", n, k)
	}
	w.check()
	w.ok(&signet.Remove{Parent: 1, Name: []byte("a"), Time: w.time()})
	w.ok(&Reap{Ino: 10})
	w.check()
}
