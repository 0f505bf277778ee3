package meta

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signetfs/signet"
)

// tx is where entries are applied: a batch over the tables, through which reads see
// the batch's own writes. Everything that Apply does goes through it; an error of the
// disk sticks in err, makes every later read empty, and ends the State.
//
// Rows that many commands of an entry touch are kept decoded in caches and written
// once at the entry's end. The caches outlive the entry, and the step; as only a tx
// writes they are always true. They are emptied when they get large.
type tx struct {
	db    *pebble.DB
	batch *pebble.Batch
	over  map[string][]byte // what the batch holds; nil: deleted
	err   error

	inodes   cache[inodeID, inode]
	clusters cache[struct{}, Cluster]
	volumes  cache[signet.Group, counters]
	objects  cache[objectID, object]
	sessions cache[signet.SessionID, Session]

	in, out coder     // kept for their memory
	sum     hash.Hash // over the entry's writes
	staged  []byte    // of what goes into sum, to feed it in larger pieces

	step *Step
	last Position

	// The entry and the envelope being applied.
	index   signet.Index
	group   signet.Group
	session signet.SessionID
	extra   uint64
	opened  signet.Index // the newest entry that opened a session
	touched int          // rows written by this command, some counted twice
}

type inodeID struct {
	group signet.Group
	ino   signet.Ino
}

type objectID struct {
	group   signet.Group
	address signet.Address
}

func newTx(db *pebble.DB, last Position) *tx {
	t := &tx{db: db, over: map[string][]byte{}, sum: sha256.New(), last: last}
	t.in.reading = true
	t.inodes = newCache(t, codeInode, func(k inodeID) []byte { return numKey(k.group, tableInodes, k.ino) })
	t.clusters = newCache(t, codeCluster, func(struct{}) []byte { return metaKey(0, rowCluster) })
	t.volumes = newCache(t, codeCounters, func(g signet.Group) []byte { return metaKey(g, rowCounters) })
	t.objects = newCache(t, codeObject, func(k objectID) []byte { return addressKey(k.group, tableObjects, k.address) })
	t.sessions = newCache(t, codeSession, func(s signet.SessionID) []byte { return numKey(0, tableSessions, s) })
	return t
}

// begin starts a step.
func (t *tx) begin() *Step {
	t.batch = t.db.NewIndexedBatch()
	if len(t.over) > 8*maxCached {
		t.over = map[string][]byte{} // the memory of one large step is not kept
	}
	clear(t.over)
	t.inodes.trim()
	t.objects.trim()
	t.sessions.trim()
	t.step = &Step{batch: t.batch}
	return t.step
}

// fail keeps the first error.
func (t *tx) fail(err error) {
	if t.err == nil && err != nil {
		t.err = err
	}
}

// get returns a key's value, nil if it has none (no value is empty).
func (t *tx) get(key []byte) []byte {
	if v, ok := t.over[string(key)]; ok || t.err != nil {
		return v
	}
	v, done, err := t.db.Get(key)
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		t.fail(signet.Wrap("read tables", "", err))
		return nil
	}
	v = append([]byte(nil), v...)
	t.fail(signet.Wrap("read tables", "", done.Close()))
	return v
}

// set and del write to the batch and into the digest, in this order.
func (t *tx) set(key, value []byte) {
	t.touched++
	t.fail(signet.Wrap("write tables", "", t.batch.Set(key, value, nil)))
	t.over[string(key)] = append([]byte(nil), value...)
	t.digest(1, key, value)
}

func (t *tx) del(key []byte) {
	t.touched++
	t.fail(signet.Wrap("write tables", "", t.batch.Delete(key, nil)))
	t.over[string(key)] = nil
	t.digest(2, key, nil)
}

// digest adds a write to the entry's digest.
func (t *tx) digest(what byte, key, value []byte) {
	b := append(t.staged, what)
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	t.staged = append(b, value...)
	if len(t.staged) > 8<<10 {
		t.sum.Write(t.staged)
		t.staged = t.staged[:0]
	}
}

// scan calls fn for the keys in [from, to) in their order until it returns false. Key
// and value are valid during the call. Rows that are cached are not seen before they
// are flushed.
func (t *tx) scan(from, to []byte, fn func(key, value []byte) bool) {
	if t.err != nil {
		return
	}
	it, err := t.batch.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		t.fail(signet.Wrap("scan tables", "", err))
		return
	}
	for ok := it.First(); ok && fn(it.Key(), it.Value()); ok = it.Next() {
	}
	t.fail(signet.Wrap("scan tables", "", it.Close()))
}

// read decodes the row of a key.
func read[T any](t *tx, key []byte, code func(*coder, *T)) (v T, ok bool) {
	b := t.get(key)
	if b == nil {
		return v, false
	}
	ok = decodeRow(t, b, code, &v)
	return v, ok
}

// decodeRow decodes a row, and fails the tx if it is not one.
func decodeRow[T any](t *tx, b []byte, code func(*coder, *T), v *T) bool {
	err := decode(&t.in, b, code, v)
	t.fail(err)
	return err == nil
}

// decode decodes a row. Byte strings in it are parts of b.
func decode[T any](c *coder, b []byte, code func(*coder, *T), v *T) error {
	c.dec.Reset(b)
	code(c, v)
	err := c.dec.Done()
	switch {
	case err == nil:
		return nil
	case c.unknown:
		return signet.Errorf(signet.WrongVersion, "read tables", "", "row: %w", err)
	}
	return signet.Errorf(signet.Corrupt, "read tables", "", "row: %w", err)
}

// write encodes and sets a row.
func write[T any](t *tx, key []byte, code func(*coder, *T), v *T) {
	t.out.enc.Reset()
	code(&t.out, v)
	t.set(key, t.out.enc.Buf())
}

// cached is a row in a cache.
type cached[T any] struct {
	value T
	ok    bool // the row exists
	dirty bool
}

// cache keeps decoded rows of one table.
type cache[K comparable, T any] struct {
	t     *tx
	key   func(K) []byte
	code  func(*coder, *T)
	rows  map[K]*cached[T]
	dirty []K // in the order in which they were changed first
}

// maxCached is how many rows a cache holds over the end of a step.
const maxCached = 4096

func newCache[K comparable, T any](t *tx, code func(*coder, *T), key func(K) []byte) cache[K, T] {
	return cache[K, T]{t: t, key: key, code: code, rows: map[K]*cached[T]{}}
}

func (c *cache[K, T]) row(k K) *cached[T] {
	r := c.rows[k]
	if r == nil {
		r = &cached[T]{}
		r.value, r.ok = read(c.t, c.key(k), c.code)
		c.rows[k] = r
	}
	return r
}

func (c *cache[K, T]) get(k K) (T, bool) {
	r := c.row(k)
	return r.value, r.ok
}

func (c *cache[K, T]) put(k K, v T, ok bool) {
	c.t.touched++
	r := c.row(k)
	r.value, r.ok = v, ok
	if !r.dirty {
		r.dirty = true
		c.dirty = append(c.dirty, k)
	}
}

func (c *cache[K, T]) set(k K, v T) { c.put(k, v, true) }

func (c *cache[K, T]) del(k K) {
	var none T
	c.put(k, none, false)
}

// flush writes what has changed.
func (c *cache[K, T]) flush() {
	for _, k := range c.dirty {
		r := c.rows[k]
		r.dirty = false
		if r.ok {
			write(c.t, c.key(k), c.code, &r.value)
		} else {
			c.t.del(c.key(k))
		}
	}
	c.dirty = c.dirty[:0]
}

// trim empties a cache that has become large. Nothing in it may be dirty.
func (c *cache[K, T]) trim() {
	if len(c.rows) > maxCached {
		clear(c.rows)
	}
}
