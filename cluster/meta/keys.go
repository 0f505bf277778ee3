package meta

import (
	"encoding/binary"

	"github.com/signetfs/signet"
)

// table is the byte of a key after its group. The numbers are the format: append
// only. docs/tables.md says what each key and row holds.
type table byte

const (
	tableMeta     table = 1  // one of the single rows below
	tableInodes   table = 2  // inode
	tableNames    table = 3  // directory inode, sealed name
	tableTargets  table = 4  // inode
	tableXattrs   table = 5  // inode, sealed name
	tableExtents  table = 6  // inode, offset
	tableObjects  table = 7  // address
	tableShort    table = 8  // address
	tableDead     table = 9  // index of death, address
	tableOrphans  table = 10 // inode
	tablePolicies table = 11 // inode
	tableSlots    table = 12 // number
	tableSessions table = 13 // session
	tableAnswers  table = 14 // session, request modulo signet.MaxUnanswered
	tableHosts    table = 15 // host
	tableKeys     table = 16 // host key
	tableArcs     table = 17 // arc
	tableTokens   table = 18 // digest
	tableFeatures table = 19 // number
	tableCuts     table = 20 // inode
	tableLocks    table = 21 // inode, kind
	tableLockers  table = 22 // session, group, inode, kind
	tableWaits    table = 23 // session, owner, inode
)

// The single rows, of the cluster (group 0) or of a volume.
const (
	rowApplied  = 1 // cluster: position in the log
	rowCluster  = 2 // cluster
	rowMembers  = 3 // cluster: the membership of the log's group
	rowCounters = 4 // volume; a volume exists if it has this row
)

// prefix is the common beginning of a table's keys.
func prefix(g signet.Group, t table) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 48), uint32(g)), byte(t))
}

func metaKey(g signet.Group, row byte) []byte { return append(prefix(g, tableMeta), row) }

// numKey is a key that is one number: inodes, targets, orphans, cuts, policies, sessions,
// hosts, and the beginning of those that go on after an inode.
func numKey[T ~uint64](g signet.Group, t table, n T) []byte {
	return binary.BigEndian.AppendUint64(prefix(g, t), uint64(n))
}

// smallKey is a key that is a number of 32 bits: slots, arcs, features.
func smallKey[T ~uint32](g signet.Group, t table, n T) []byte {
	return binary.BigEndian.AppendUint32(prefix(g, t), uint32(n))
}

func nameKey(g signet.Group, parent signet.Ino, name []byte) []byte {
	return namedKey(g, tableNames, parent, name)
}

func xattrKey(g signet.Group, ino signet.Ino, name []byte) []byte {
	return namedKey(g, tableXattrs, ino, name)
}

func namedKey(g signet.Group, t table, ino signet.Ino, name []byte) []byte {
	k := make([]byte, 0, 4+1+8+len(name))
	k = binary.BigEndian.AppendUint32(k, uint32(g))
	k = binary.BigEndian.AppendUint64(append(k, byte(t)), uint64(ino))
	return append(k, name...)
}

func extentKey(g signet.Group, ino signet.Ino, off uint64) []byte {
	return binary.BigEndian.AppendUint64(numKey(g, tableExtents, ino), off)
}

func addressKey(g signet.Group, t table, a signet.Address) []byte {
	return append(prefix(g, t), a[:]...)
}

func deadKey(g signet.Group, died signet.Index, a signet.Address) []byte {
	return append(numKey(g, tableDead, died), a[:]...)
}

func answerKey(s signet.SessionID, request uint64) []byte {
	return binary.BigEndian.AppendUint16(numKey(0, tableAnswers, s), uint16(request%signet.MaxUnanswered))
}

func digestKey(t table, d [32]byte) []byte { return append(prefix(0, t), d[:]...) }

func lockKey(g signet.Group, ino signet.Ino, kind signet.LockKind) []byte {
	return append(numKey(g, tableLocks, ino), byte(kind))
}

func lockerKey(s signet.SessionID, g signet.Group, ino signet.Ino, kind signet.LockKind) []byte {
	k := binary.BigEndian.AppendUint32(numKey(0, tableLockers, s), uint32(g))
	return append(binary.BigEndian.AppendUint64(k, uint64(ino)), byte(kind))
}

func waitKey(g signet.Group, o signet.LockOwner, ino signet.Ino) []byte {
	k := binary.BigEndian.AppendUint64(numKey(g, tableWaits, o.Session), o.ID)
	return binary.BigEndian.AppendUint64(k, uint64(ino))
}

// next is the least key greater than all that begin with p.
func next(p []byte) []byte {
	end := append([]byte(nil), p...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// arcRange returns the keys [from, to) of the objects in an arc.
func arcRange(g signet.Group, alg signet.DigestAlg, arc signet.Arc, arcs uint32) (from, to []byte) {
	p := append(prefix(g, tableObjects), byte(alg))
	edge := func(a uint64) []byte {
		// The least ArcKey k with k*arcs>>16 >= a; 65,536 is past the last.
		k := (a<<16 + uint64(arcs) - 1) / uint64(arcs)
		if k > 0xffff {
			return next(p)
		}
		return binary.BigEndian.AppendUint16(append([]byte(nil), p...), uint16(k))
	}
	return edge(uint64(arc)), edge(uint64(arc) + 1)
}
