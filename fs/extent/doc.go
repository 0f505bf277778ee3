// Package extent is the arithmetic of file ranges: which extents remain when a range
// is written over, which pieces a read consists of, which bytes of a buffer are dirty
// and how dirty bytes are grouped into objects.
//
// Everything here is pure: values in, values out, no I/O, no clock, no lock, no
// goroutine. No function changes its arguments, except the methods of Ranges their
// receiver; results never share a slice's backing array with an argument, but the
// Inline bytes of an extent are opaque (sealed) and shared, never copied or cut.
//
// A list of extents is always sorted by Off, disjoint, and free of empty ones (Check
// says whether a list is). The end of a range is computed so that it cannot wrap:
// a range that would reach past signet.MaxFileSize ends there, so a length of
// math.MaxUint64 means "to the end".
package extent
