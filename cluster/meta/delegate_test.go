package meta

import (
	"fmt"
	"testing"

	"github.com/signetfs/signet"
)

// other opens a session of a second host and returns what does a command in it.
func (w *world) other() (id signet.SessionID, do func(c any) signet.Result) {
	w.t.Helper()
	w.host(2)
	id = signet.SessionID(w.cluster(&OpenSession{Host: 2, Start: 1}, signet.OK).Index)
	request := uint64(0)
	return id, func(c any) signet.Result {
		request++
		w.entry(Envelope{signet.DefaultVolume, id, request, request, c})
		return w.last.Result
	}
}

func TestDelegate(t *testing.T) {
	w := made(t)
	other, do := w.other()
	w.file(1, "f", 10)

	res := w.ok(&signet.Delegate{Ino: 10})
	if res.Attr.Owner != w.session || w.attr(10) != res.Attr {
		t.Errorf("%+v, the reader says %+v", res.Attr, w.attr(10))
	}
	if got := fmt.Sprint(w.changes()); got != "[10:03:0+18446744073709551615]" {
		t.Error("the others do not forget all of it:", got)
	}
	w.ok(&signet.Delegate{Ino: 10}) // again
	if len(w.changes()) != 1 {
		t.Error("asked again, the others forget nothing")
	}
	for _, c := range []signet.Command{&signet.Delegate{Ino: 10}, &signet.SetAttr{Ino: 10, Set: signet.SetSize, Own: true}} {
		if res := do(c); res.Err != signet.Busy || res.Attr.Owner != w.session {
			t.Errorf("%T: %+v", c, res)
		}
	}
	// Whoever has not got it cannot hand it back, and may write once it has asked.
	if res := do(&signet.HandBack{Inos: []signet.Ino{10, 99}}); res.Err != signet.OK || w.attr(10).Owner != w.session {
		t.Errorf("%+v", res)
	}
	for _, c := range []signet.Command{&signet.Write{Ino: 10, Size: 5}, &signet.Write{Ino: 10, Size: 5, Asked: 1}, &signet.SetAttr{Ino: 10, Set: signet.SetSize}} {
		if res := do(c); res.Err != signet.Busy || res.Attr.Owner != w.session {
			t.Errorf("%T of who has not asked: %+v", c, res)
		}
	}
	if res := do(&signet.SetAttr{Ino: 10, Set: signet.SetMode, Mode: 0o600}); res.Err != signet.OK {
		t.Errorf("%+v", res)
	}
	if res := do(&signet.Write{Ino: 10, Size: 5, Asked: w.session, Mtime: w.time()}); res.Err != signet.OK || res.Attr.Owner != w.session || res.Attr.Size != 5 {
		t.Errorf("%+v", res)
	}
	if res := do(&signet.Write{Ino: 10, Size: 6, Owned: true, Asked: w.session, Mtime: w.time()}); res.Err != signet.Ended {
		t.Errorf("%+v", res)
	}
	w.ok(&signet.Write{Ino: 10, Size: 7, Owned: true, Mtime: w.time()})

	w.ok(&signet.HandBack{Inos: []signet.Ino{99, 10}})
	if a := w.attr(10); a.Owner != 0 || a.Size != 7 || len(w.changes()) != 1 {
		t.Errorf("%+v %v", a, w.changes())
	}
	w.want(&signet.Write{Ino: 10, Size: 8, Owned: true, Mtime: w.time()}, signet.Ended)
	if res := do(&signet.SetAttr{Ino: 10, Set: signet.SetSize, Own: true, Time: w.time()}); res.Err != signet.OK || res.Attr.Owner != other || res.Attr.Size != 0 {
		t.Errorf("%+v", res)
	}
	w.check()

	w.want(&signet.Delegate{Ino: 1}, signet.Invalid)
	w.want(&signet.Delegate{Ino: 99}, signet.NotFound)
	w.want(&signet.Create{Parent: 1, Name: []byte("d"), Ino: 11, Mode: signet.ModeDir, Own: true}, signet.Invalid)
	if a := w.ok(&signet.Create{Parent: 1, Name: []byte("g"), Ino: 11, Mode: signet.ModeRegular, Own: true}).Attr; a.Owner != w.session {
		t.Errorf("%+v", a)
	}
	w.check()
}

func TestRevoke(t *testing.T) {
	w := made(t)
	other, do := w.other()
	w.file(1, "f", 10)
	if do(&signet.Delegate{Ino: 10}).Err != signet.OK {
		t.Fatal("not delegated")
	}
	if a := w.ok(&signet.Revoke{Ino: 10, Session: w.session}).Attr; a.Owner != other {
		t.Errorf("another session than the named one lost it: %+v", a)
	}
	if a := w.ok(&signet.Revoke{Ino: 10, Session: other}).Attr; a.Owner != 0 {
		t.Errorf("%+v", a)
	}
	if res := do(&signet.Write{Ino: 10, Size: 6, Owned: true, Mtime: w.time()}); res.Err != signet.Ended {
		t.Errorf("what was buffered was taken: %+v", res)
	}
	w.want(&signet.Revoke{Ino: 99, Session: other}, signet.NotFound)
	w.check()
}

// A session's delegations end with it, without a command for each.
func TestDelegationEndsWithSession(t *testing.T) {
	w := made(t)
	other, do := w.other()
	w.file(1, "f", 10)
	if do(&signet.Delegate{Ino: 10}).Err != signet.OK {
		t.Fatal("not delegated")
	}
	w.cluster(&EndSession{Session: other}, signet.OK)
	if a := w.attr(10); a.Owner != 0 {
		t.Errorf("%+v", a)
	}
	if a := w.ok(&signet.Delegate{Ino: 10}).Attr; a.Owner != w.session {
		t.Errorf("%+v", a)
	}
}

func TestAppend(t *testing.T) {
	w := made(t)
	w.file(1, "f", 10)
	w.put(10, 1, 0, 100)
	add := func(text string, floating uint64) *signet.Write {
		return &signet.Write{Ino: 10, Append: true, Size: uint64(len(text)), Mtime: w.time(), Extents: []signet.Extent{
			{Off: 0, Len: uint32(len(text)), Inline: []byte(text), Floating: floating}}}
	}
	if a := w.ok(add("one", 7)).Attr; a.Size != 103 {
		t.Errorf("%+v", a)
	}
	if got := fmt.Sprint(w.changes()); got != "[10:03:100+3]" {
		t.Error(got)
	}
	if a := w.ok(add("second", 8)).Attr; a.Size != 109 {
		t.Errorf("%+v", a)
	}
	if got := w.extents(10); got != "0+100@1:0 100+3@one:0 103+6@second:0" {
		t.Error(got)
	}
	w.read(func(r *Reader) {
		list, err := r.Extents(10, 100, 9, 9)
		if err != nil || len(list) != 2 || list[0].Floating != 7 || list[1].Floating != 8 {
			t.Errorf("%+v, %v", list, err)
		}
	})
	w.ok(&signet.SetAttr{Ino: 10, Set: signet.SetSize, Size: signet.MaxFileSize - 2, Time: w.time()})
	w.want(add("three", 9), signet.TooBig)
	w.check()
}
