package extent

import "github.com/signetfs/signet"

// Piece is a part of a range to be read: the part of an extent, or a hole, which
// reads as zeros.
type Piece struct {
	Off    uint64 // in the file
	Len    uint64 // at least 1
	Hole   bool
	Extent signet.Extent // unless Hole: its part from Off on, Len bytes
}

// Plan cuts the range [off, off+n) into pieces that cover it exactly, in order. Two
// holes never follow each other. A range is cut short at signet.MaxFileSize; it is
// the caller who knows the file's size.
func Plan(list []signet.Extent, off, n uint64) []Piece {
	to := end(off, n)
	var pieces []Piece
	for _, e := range list {
		if e.End() <= off {
			continue
		}
		if off >= to || e.Off >= to {
			break
		}
		if e.Off > off {
			pieces = append(pieces, Piece{Off: off, Len: e.Off - off, Hole: true})
			off = e.Off
		}
		part := clip(e, off, min(e.End(), to))
		pieces = append(pieces, Piece{Off: off, Len: uint64(part.Len), Extent: part})
		off = part.End()
	}
	if off < to {
		pieces = append(pieces, Piece{Off: off, Len: to - off, Hole: true})
	}
	return pieces
}
