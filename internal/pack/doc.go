// Package pack is the encoding of everything that SignetFS writes to a socket or a
// log: MessagePack, bounded and canonical.
//
// It guarantees, for any input whatever:
//
//   - decoding never panics, never recurses and never allocates more than the input
//     that is left; lengths are checked before anything is made of them;
//   - only the shortest form of a value is written, and only that is accepted, so
//     decoding and encoding again gives the same bytes, and equal values have equal
//     digests on every host;
//   - the first error sticks (kind signet.BadMessage), every later read returns a
//     zero value, so a message is decoded straight through and checked once, by Done.
//
// The vocabulary is what messages need: arrays, integers, bytes, strings, booleans
// and nil. There are no maps, floats or extensions, and no reflection.
//
// The format's codes come from github.com/vmihailenco/msgpack/v5. Its Encoder is not
// used for writing: it reaches its sink through an interface, which costs three to
// four times the time (BenchmarkEncode: 26 against 100 ns for a header of 7 fields);
// its Decoder must not see foreign bytes at all, because a five-byte array header
// makes it allocate without limit. Tests hold both against ours instead.
//
// An Encoder or Decoder belongs to one goroutine and has no lock.
package pack
