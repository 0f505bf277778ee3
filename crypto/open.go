package crypto

import (
	"crypto/subtle"
	"fmt"
	"sync"

	"github.com/signetfs/signet"
)

// Opener opens one object, whole or in ranges. It is made from the object's row in
// the log and accepts nothing but that object's bytes: another object, or an older
// one, has another salt and so another key. Making one costs about as much as
// opening 4 KiB, so who reads an object often keeps it. It has no lock and may be
// used by many goroutines.
type Opener struct {
	s       *sealer
	size    uint32
	scratch *sync.Pool // of *scratch
	subject string     // for errors
}

// scratch is what opening needs beside the caller's buffers. It is pooled because what
// is handed to a cipher.AEAD would be allocated for every segment.
type scratch struct {
	nonce [12]byte
	plain [SegmentSize]byte // a segment of which only a part was asked for
}

// Opener returns an opener of the object that row describes. It fails with NoKey if
// the row's key version is not in the keyring and with Corrupt if the row
// contradicts itself.
func (k *Keyring) Opener(row *signet.Object) (*Opener, error) {
	subject := row.Address.String()
	if row.Size > signet.MaxObject || row.Sealed != SealedSize(row.Size) {
		return nil, signet.Errorf(signet.Corrupt, "open object", subject,
			"its row says %d bytes, sealed %d: no object has these sizes", row.Size, row.Sealed)
	}
	in, done, err := k.use()
	if err != nil {
		return nil, signet.Wrap("open object", subject, err)
	}
	defer done()
	v := in.version(row.KeyVersion)
	if v == nil {
		return nil, k.noVersion("open object", subject, row.KeyVersion)
	}
	s := newSealer(v, kindObject, row.KeyVersion, row.Size, &row.Salt)
	return &Opener{s: s, size: row.Size, scratch: &k.scratch, subject: subject}, nil
}

// Size returns the object's length before sealing.
func (o *Opener) Size() uint32 { return o.size }

// Range returns which of the object's sealed bytes OpenRange needs for the n bytes at
// off. It is SealedRange for this object.
func (o *Opener) Range(off, n uint32) (at, length uint32, err error) {
	return SealedRange(o.size, off, n)
}

// Open opens the whole object into dst, which must have exactly its size. dst and
// sealed must not overlap. After an error dst holds nothing that did not verify.
func (o *Opener) Open(dst, sealed []byte) error {
	if len(dst) != int(o.size) {
		return signet.Errorf(signet.Invalid, "open object", o.subject,
			"a buffer of %d bytes for %d", len(dst), o.size)
	}
	if o.size > 0 {
		return o.OpenRange(dst, 0, sealed)
	}
	if len(sealed) != HeaderSize+TagSize {
		return o.corrupt("%d sealed bytes, want %d", len(sealed), HeaderSize+TagSize)
	}
	if err := o.checkHeader(sealed); err != nil {
		return err
	}
	var n [12]byte
	if _, err := o.s.aead.Open(nil, setNonce(&n, 0, true), sealed[HeaderSize:], o.s.aad); err != nil {
		return o.corrupt("segment 0 does not verify")
	}
	return nil
}

// OpenRange fills dst with the bytes of the object that begin at off. sealed are the
// object's sealed bytes that Range names for them, no more and no less. Segments that
// lie wholly within dst are opened straight into it; only a first and a last one that
// do not are copied. dst and sealed must not overlap; sealed is not changed. After an
// error dst holds nothing that did not verify.
func (o *Opener) OpenRange(dst []byte, off uint32, sealed []byte) error {
	if len(dst) > int(o.size) {
		return signet.Errorf(signet.Invalid, "open object", o.subject,
			"a range of %d bytes in an object of %d", len(dst), o.size)
	}
	at, length, err := SealedRange(o.size, off, uint32(len(dst)))
	if err != nil {
		return signet.Wrap("open object", o.subject, err)
	}
	if len(sealed) != int(length) {
		return o.corrupt("%d sealed bytes for a range, want %d", len(sealed), length)
	}
	if len(dst) == 0 {
		return nil
	}
	if at == 0 {
		if err := o.checkHeader(sealed); err != nil {
			return err
		}
		sealed = sealed[HeaderSize:]
	}
	return o.openSegments(dst, off, sealed)
}

// openSegments opens the segments in sealed, the first of which holds off.
func (o *Opener) openSegments(dst []byte, off uint32, sealed []byte) error {
	tmp, ok := o.scratch.Get().(*scratch)
	if !ok {
		tmp = new(scratch)
	}
	defer o.scratch.Put(tmp)
	skip := int(off % SegmentSize) // bytes of the first segment before off
	count := segments(o.size)
	for i := off / SegmentSize; len(dst) > 0; i++ {
		n := setNonce(&tmp.nonce, i, i+1 == count)
		box := sealed[:min(len(sealed), stride)]
		sealed = sealed[len(box):]
		whole := len(box) - TagSize
		if skip == 0 && len(dst) >= whole {
			// Three-index: the tag's length of room behind is not ours.
			if _, err := o.s.aead.Open(dst[:0:whole], n, box, o.s.aad); err != nil {
				return o.corrupt("segment %d does not verify", i)
			}
			dst = dst[whole:]
			continue
		}
		plain, err := o.s.aead.Open(tmp.plain[:0], n, box, o.s.aad)
		if err != nil {
			return o.corrupt("segment %d does not verify", i)
		}
		dst, skip = dst[copy(dst, plain[skip:]):], 0
	}
	return nil
}

// checkHeader compares the header that came with the sealed bytes to the one that
// the row calls for, the commitment to the key among it: AES-GCM alone would let one
// ciphertext open under several keys.
func (o *Opener) checkHeader(sealed []byte) error {
	if subtle.ConstantTimeCompare(sealed[:HeaderSize], o.s.header[:]) != 1 {
		return o.corrupt("its header is not the one its row calls for")
	}
	return nil
}

func (o *Opener) corrupt(format string, args ...any) error {
	return signet.Errorf(signet.Corrupt, "open object", o.subject, format, args...)
}

// Format keeps the key out of every text.
func (o Opener) Format(f fmt.State, _ rune) { redact(f, "Opener") }
