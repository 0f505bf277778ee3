package store

import (
	"encoding/binary"
	"math"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// layoutVersion is the version of the rows below and of the files. A store of
// another version is not opened.
const layoutVersion = 1

// The tables of the database: the first byte of a key. All but versionKey go on with
// the group (4 bytes, big-endian); index, data and mark rows with the address.
const (
	versionTable = 'v' // layoutVersion
	sumTable     = 's' // what the objects of a group amount to, added up by the merger
	indexTable   = 'i' // the objects that are here
	dataTable    = 'd' // the bytes of small ones
	markTable    = 'm' // the objects that the log does not name yet, or that are in doubt
)

const (
	tableSize = 1 + 4
	keySize   = tableSize + signet.AddressSize
)

func tableKey(table byte, g signet.Group) []byte {
	return binary.BigEndian.AppendUint32([]byte{table}, uint32(g))
}

func rowKey(table byte, k objectKey) []byte {
	b := make([]byte, 0, keySize)
	b = append(b, table)
	b = binary.BigEndian.AppendUint32(b, uint32(k.group))
	return append(b, k.address[:]...)
}

// tableEnd returns the key just past a group's rows of a table.
func tableEnd(table byte, g signet.Group) []byte {
	if g == math.MaxUint32 {
		return []byte{table + 1}
	}
	return tableKey(table, g+1)
}

// parseKey reads a key made by rowKey.
func parseKey(b []byte) (objectKey, error) {
	if len(b) != keySize {
		return objectKey{}, signet.Errorf(signet.Corrupt, "read store", "", "a key of %d bytes", len(b))
	}
	return objectKey{
		group:   signet.Group(binary.BigEndian.Uint32(b[1:])),
		address: signet.Address(b[tableSize:]),
	}, nil
}

// place is where an object's bytes are. The numbers are on disk: append only.
type place uint8

const (
	inDatabase place = 0
	inFile     place = 1
	placeEnd   place = 2
)

// indexRow is an object that is durably here.
type indexRow struct {
	length uint32
	place  place
	shard  uint8 // the directory of its file
}

func (r indexRow) encode() []byte {
	e := pack.NewEncoder(make([]byte, 0, 8))
	e.Array(3)
	e.Uint(uint64(r.length))
	e.Uint(uint64(r.place))
	e.Uint(uint64(r.shard))
	return e.Buf()
}

func decodeIndex(b []byte) (indexRow, error) {
	d := pack.NewDecoder(b)
	var r indexRow
	d.ArrayExact(3)
	r.length = uint32(d.UintMax(MaxSealed))
	r.place = place(d.UintMax(uint64(placeEnd - 1)))
	r.shard = d.Uint8()
	return r, damagedRow(d.Done())
}

// doubt says what a crash may have left of a marked object. The numbers are on disk.
type doubt uint8

const (
	// beingPut: without an index row, the object's file may be there or not.
	beingPut doubt = 0
	// beingDeleted: there is no index row, and the file is to go.
	beingDeleted doubt = 1
	doubtEnd     doubt = 2
)

// markRow is an object that the log does not name, or that is in doubt.
type markRow struct {
	doubt  doubt
	meta   Meta
	length uint32
	place  place
	shard  uint8
}

func (r markRow) encode() []byte {
	e := pack.NewEncoder(make([]byte, 0, 32))
	e.Array(7)
	e.Uint(uint64(r.doubt))
	e.Uint(uint64(r.meta.Session))
	e.Uint(uint64(r.meta.Index))
	e.Bool(r.meta.Named)
	e.Uint(uint64(r.length))
	e.Uint(uint64(r.place))
	e.Uint(uint64(r.shard))
	return e.Buf()
}

func decodeMark(b []byte) (markRow, error) {
	d := pack.NewDecoder(b)
	var r markRow
	d.ArrayExact(7)
	r.doubt = doubt(d.UintMax(uint64(doubtEnd - 1)))
	r.meta.Session = signet.SessionID(d.Uint())
	r.meta.Index = signet.Index(d.Uint())
	r.meta.Named = d.Bool()
	r.length = uint32(d.UintMax(MaxSealed))
	r.place = place(d.UintMax(uint64(placeEnd - 1)))
	r.shard = d.Uint8()
	return r, damagedRow(d.Done())
}

// sumRow is a change of what the objects of a group amount to, or the sum of changes.
type sumRow struct{ objects, bytes int64 }

func (r sumRow) add(o sumRow) sumRow { return sumRow{r.objects + o.objects, r.bytes + o.bytes} }

func (r sumRow) encode() []byte {
	e := pack.NewEncoder(make([]byte, 0, 20))
	e.Array(2)
	e.Int(r.objects)
	e.Int(r.bytes)
	return e.Buf()
}

func decodeSum(b []byte) (sumRow, error) {
	d := pack.NewDecoder(b)
	var r sumRow
	d.ArrayExact(2)
	r.objects = d.Int()
	r.bytes = d.Int()
	return r, damagedRow(d.Done())
}

func damagedRow(err error) error {
	if err == nil {
		return nil
	}
	return &signet.Error{Kind: signet.Corrupt, Op: "read store", Err: err}
}
