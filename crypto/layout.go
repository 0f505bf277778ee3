package crypto

import "github.com/signetfs/signet"

// The layout of a sealed object: a header, then segments, each with its tag.
// docs/format.md has it byte by byte.
const (
	SegmentSize = 16 << 10 // bytes of content in a segment, but for the last
	HeaderSize  = 80       // bytes before the first segment
	TagSize     = 16       // bytes that sealing adds to a segment
	stride      = SegmentSize + TagSize

	// MaxSealed is the length of the longest sealed object.
	MaxSealed = HeaderSize + signet.MaxObject/SegmentSize*stride

	// InlineOverhead is what sealing adds to inline data.
	InlineOverhead = HeaderSize + TagSize
)

// segments returns the number of segments of size bytes: at least one, so that even
// an empty object is authenticated.
func segments(size uint32) uint32 {
	if size == 0 {
		return 1
	}
	return (size-1)/SegmentSize + 1
}

// SealedSize returns the length of an object of size bytes after sealing. It is
// meaningful for sizes up to signet.MaxObject.
func SealedSize(size uint32) uint32 {
	return HeaderSize + size + segments(size)*TagSize
}

// SealedRange returns which of an object's sealed bytes are needed to open the n
// bytes at off of its size bytes: length bytes at offset at. They begin with the
// header if the first segment is among them, else with a segment: a reader fetches
// nothing else. An empty range needs nothing.
func SealedRange(size, off, n uint32) (at, length uint32, err error) {
	if size > signet.MaxObject || off > size || n > size-off {
		return 0, 0, signet.Errorf(signet.Invalid, "open range", "",
			"%d bytes at %d do not lie within an object of %d", n, off, size)
	}
	if n == 0 {
		return 0, 0, nil
	}
	first, last := off/SegmentSize, (off+n-1)/SegmentSize
	end := SealedSize(size)
	if last+1 < segments(size) {
		end = HeaderSize + (last+1)*stride
	}
	if first > 0 {
		at = HeaderSize + first*stride
	}
	return at, end - at, nil
}
