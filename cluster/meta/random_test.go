package meta

import (
	"math"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signetfs/signet"
	"pgregory.net/rapid"
)

// numbers are those that are likely to mean something: inodes, hosts, offsets, limits.
var numbers = []uint64{0, 1, 1, 1, 2, 2, 3, 4, 5, 7, 10, 16, 64, 100, 511, 512, 4096, 1 << 22, 1<<63 - 1, math.MaxUint64}

// scramble fills a command with values that are wrong in every way, and sometimes not.
func scramble(t *rapid.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *signet.Address:
		*x = testAddress(byte(rapid.IntRange(1, 4).Draw(t, "address")))
		return
	case *signet.Time:
		*x = signet.Time{Sec: int64(rapid.IntRange(-1, 5).Draw(t, "time"))}
		return
	case *[]byte:
		*x = []byte(rapid.SampledFrom([]string{"", "a", "b", "c", "d", "sealed"}).Draw(t, "bytes"))
		return
	case *signet.Digest:
		x[0] = byte(rapid.IntRange(0, 2).Draw(t, "digest"))
		return
	case *signet.HostKey:
		x[0] = byte(rapid.IntRange(0, 4).Draw(t, "key"))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(t, v.Field(i))
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "items")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			scramble(t, v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "x"}).Draw(t, "text"))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := rapid.SampledFrom(numbers).Draw(t, "number")
		if v.OverflowUint(n) {
			n = 1
		}
		v.SetUint(n)
	}
}

// likely makes a Write and a few others right more often than chance would.
func likely(t *rapid.T, w *world, c any) {
	at, _ := w.s.Applied()
	switch c := c.(type) {
	case *signet.Create:
		c.Mode = rapid.SampledFrom([]uint32{signet.ModeRegular, signet.ModeDir, signet.ModeFIFO}).Draw(t, "mode")
		c.Target = nil
		if rapid.Bool().Draw(t, "inherits") {
			w.read(func(r *Reader) { dir, _ := r.Attr(c.Parent); c.Inherits = dir.DefaultACL })
		}
		if c.Inherits == 0 {
			c.Access, c.Default = signet.ACL{}, signet.ACL{}
		}
	case *signet.SetAttr:
		w.read(func(r *Reader) { in, _ := r.Attr(c.Ino); c.Based = in.AccessACL })
		if c.Based == 0 {
			c.Access = signet.ACL{}
		}
	case *signet.Write:
		c.Ino = 3
		off := uint64(0)
		c.Objects = nil
		for i := range c.Extents {
			e := &c.Extents[i]
			off += rapid.Uint64Range(0, 50).Draw(t, "gap")
			e.Off, e.Len, e.ObjectOff, e.Inline = off, rapid.Uint32Range(1, 50).Draw(t, "len"), 0, nil
			off = e.End()
			if i == 0 {
				c.Objects = append(c.Objects, w.object(e.Object.Digest()[0], 200))
			}
		}
	case *signet.Lock:
		if rapid.IntRange(0, 9).Draw(t, "right") > 0 {
			c.Lock = signet.FileLock{LockOwner: signet.LockOwner{Session: w.session, ID: c.Lock.ID % 3}, Type: c.Lock.Type % 3, PID: c.Lock.PID % 3,
				Start: c.Lock.Start % 100, End: 100 + c.Lock.End%100}
			if c.Kind = 1 + c.Kind%2; c.Kind == signet.LockFlock {
				c.Lock.Start, c.Lock.End = 0, signet.LockEnd
			}
		}
	case *signet.EndWait:
		c.Owner = signet.LockOwner{Session: w.session, ID: c.Owner.ID % 3}
		c.Kind = 1 + c.Kind%2
	case *Collect:
		c.Horizon = min(c.Horizon, at)
	case *SetRing:
		w.read(func(r *Reader) { cl, _ := r.Cluster(); c.Base = cl.Ring })
	case *GrantInodes:
		c.Count = min(c.Count, 100)
	case *SetFeature:
		c.Feature = FeatureBase
	}
}

// TestRandomCommands holds, whatever is sent, that the tables stay true, that a
// refused command changed nothing, and that no command touches too many rows.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := rapidWorld(rt, t, vfs.NewMem())
		defer w.s.Close()
		w.host(2)
		w.host(3)
		w.dir(1, "a", 2)
		w.file(1, "b", 3)
		w.file(2, "c", 4)
		w.put(3, 1, 0, 500)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			k := kind(rapid.IntRange(1, int(kindEnd)-1).Draw(rt, "kind"))
			c := layouts[k].fresh()
			scramble(rt, reflect.ValueOf(c).Elem())
			likely(rt, w, c)
			before := w.rows()
			e := Envelope{Group: 1, Session: w.session, Request: w.request + 1, Lowest: w.request + 1, Command: c}
			if _, ok := c.(signet.Command); !ok && rapid.Bool().Draw(rt, "cluster") {
				e.Group = 0
			}
			w.request++
			w.entry(e)
			if w.last.Result.Err != signet.OK {
				now := w.rows()
				if !reflect.DeepEqual(before, now) {
					rt.Fatalf("%T %+v: %v, and the rows changed", c, c, w.last.Result.Err)
				}
			}
			if n := w.s.apply.touched; n > signet.MaxRows {
				rt.Fatalf("%T touched %d rows", c, n)
			}
			w.check()
		}
		sameEverywhere(rt, w)
	})
}
