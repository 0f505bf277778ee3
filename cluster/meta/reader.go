package meta

import "github.com/signetfs/signet"

// Reader is a consistent reading of the tables. It has the reading methods of
// signet.View for its volume and those of the cluster's tables. It may be used by
// several goroutines; callers that must know what was read wrap it. A missing row is
// NotFound (NoAttr for an extended attribute). Slices in results belong to the caller.
// Functions given to the listing methods stop the listing by returning false.
type Reader struct{ group signet.Group }

// Close ends the reading.
func (r *Reader) Close() {}

// Index is the newest log index that the reader shows.
func (r *Reader) Index() (signet.Index, error) { return 0, errLater }

// Attr returns an inode.
func (r *Reader) Attr(ino signet.Ino) (signet.Attr, error) { return signet.Attr{}, errLater }

// Lookup returns the entry under a sealed name.
func (r *Reader) Lookup(parent signet.Ino, name []byte) (signet.Entry, error) {
	return signet.Entry{}, errLater
}

// ReadDir lists a directory in the order of sealed names, from the first greater than
// after. The entry's name is only valid during the call.
func (r *Reader) ReadDir(parent signet.Ino, after []byte, fn func(signet.Entry) bool) error {
	return errLater
}

// Parent returns a directory's parent.
func (r *Reader) Parent(dir signet.Ino) (signet.Ino, error) { return 0, errLater }

// Target returns a symlink's sealed target.
func (r *Reader) Target(ino signet.Ino) ([]byte, error) { return nil, errLater }

// Xattr returns the sealed value of an attribute under its sealed name.
func (r *Reader) Xattr(ino signet.Ino, name []byte) ([]byte, error) { return nil, errLater }

// Xattrs returns the sealed names of an inode's attributes in their order.
func (r *Reader) Xattrs(ino signet.Ino) ([][]byte, error) { return nil, errLater }

// Extents returns the extents that touch [off, off+n) in order, at most limit.
func (r *Reader) Extents(ino signet.Ino, off, n uint64, limit int) ([]signet.Extent, error) {
	return nil, errLater
}

// Object returns an object's row; a dead one has no Refs.
func (r *Reader) Object(a signet.Address) (signet.Object, error) { return signet.Object{}, errLater }

// Orphans lists the inodes without a name, from the first greater than after.
func (r *Reader) Orphans(after signet.Ino, fn func(Orphan) bool) error { return errLater }

// Dead lists dead objects in the order in which they died, those at or before upTo.
func (r *Reader) Dead(upTo signet.Index, fn func(DeadObject) bool) error { return errLater }

// ObjectsOfArc lists the live objects of an arc of one digest algorithm by address,
// from the first greater than after. Hosts is who should have it.
func (r *Reader) ObjectsOfArc(alg signet.DigestAlg, arc signet.Arc, after signet.Address, fn func(signet.Object) bool) error {
	return errLater
}

// Short lists the live objects whose hosts differ from their arc's owners, by address,
// from the first greater than after.
func (r *Reader) Short(after signet.Address, fn func(signet.Object) bool) error { return errLater }

// Counters returns the volume's sums.
func (r *Reader) Counters() (Counters, error) { return Counters{}, errLater }

// Policy returns what holds for the tree below ino, NotFound if nothing was set there.
func (r *Reader) Policy(ino signet.Ino) (Policy, error) { return Policy{}, errLater }

// Slots returns the volume's key slots by number.
func (r *Reader) Slots() ([]Slot, error) { return nil, errLater }

// Cluster returns the cluster's row, NotFound before Init.
func (r *Reader) Cluster() (Cluster, error) { return Cluster{}, errLater }

// Hosts returns the host table by number, removed hosts too.
func (r *Reader) Hosts() ([]Host, error) { return nil, errLater }

// Host returns a host's row.
func (r *Reader) Host(id signet.HostID) (Host, error) { return Host{}, errLater }

// HostByKey returns the row of the host with that public key.
func (r *Reader) HostByKey(k signet.HostKey) (Host, error) { return Host{}, errLater }

// Arc returns an arc.
func (r *Reader) Arc(a signet.Arc) (Arc, error) { return Arc{}, errLater }

// Arcs lists all arcs of the ring in their order.
func (r *Reader) Arcs(fn func(Arc) bool) error { return errLater }

// Sessions returns the sessions by id.
func (r *Reader) Sessions() ([]Session, error) { return nil, errLater }

// Session returns a session that has not ended.
func (r *Reader) Session(id signet.SessionID) (Session, error) { return Session{}, errLater }

// Tokens returns the join tokens in the order of their digests.
func (r *Reader) Tokens() ([]Token, error) { return nil, errLater }

// Features returns what is switched on.
func (r *Reader) Features() ([]Feature, error) { return nil, errLater }

// Members returns the newest Entry.Members, nil if there was none.
func (r *Reader) Members() ([]byte, error) { return nil, errLater }
