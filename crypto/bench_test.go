package crypto_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
	"github.com/signetfs/signet/internal/digest"
)

var benchSizes = []int{4 << 10, 128 << 10, 4 << 20}

// BenchmarkPut is the work on the bytes of a whole put: sealed and digested by the
// writer, verified by three hosts that store it. docs/decisions/0002-digest.md rests
// on it.
func BenchmarkPut(b *testing.B) {
	k := newRing(b, "ring")
	for _, size := range benchSizes {
		for alg, name := range map[signet.DigestAlg]string{signet.DigestSHA256: "SHA-256", signet.DigestBLAKE3: "BLAKE3"} {
			b.Run(fmt.Sprintf("size=%d/digest=%s", size, name), func(b *testing.B) {
				plain := bytesOf("plain", size)
				buf := make([]byte, 0, crypto.SealedSize(uint32(size)))
				b.SetBytes(int64(size))
				for b.Loop() {
					sealed, row, err := k.SealWith(buf, rand.Reader, alg, plain)
					if err != nil {
						b.Fatal(err)
					}
					for range 3 {
						if err := digest.Verify(row.Address, sealed); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	k := newRing(b, "ring")
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			plain := bytesOf("plain", size)
			buf := make([]byte, 0, crypto.SealedSize(uint32(size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := k.Seal(buf, rand.Reader, crypto.Spread(), plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	k := newRing(b, "ring")
	for _, size := range benchSizes {
		sealed, row := mustSeal(b, k, "s", bytesOf("plain", size))
		dst := make([]byte, size)
		o, err := k.Opener(&row)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("size=%d/opener=kept", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := o.Open(dst, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("size=%d/opener=new", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				o, err := k.Opener(&row)
				if err != nil {
					b.Fatal(err)
				}
				if err := o.Open(dst, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenRange opens 4 KiB out of 4 MiB, as a random read does.
func BenchmarkOpenRange(b *testing.B) {
	k := newRing(b, "ring")
	sealed, row := mustSeal(b, k, "s", bytesOf("plain", signet.MaxObject))
	o, err := k.Opener(&row)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []uint32{4 << 10, 128 << 10} {
		b.Run(fmt.Sprintf("len=%d", n), func(b *testing.B) {
			dst := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for off := uint32(0); b.Loop(); off = (off + 12345*4096) % (signet.MaxObject - n) {
				at, length, err := o.Range(off, n)
				if err != nil {
					b.Fatal(err)
				}
				if err := o.OpenRange(dst, off, sealed[at:at+length]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInline(b *testing.B) {
	k := newRing(b, "ring")
	plain := bytesOf("plain", 1000)
	sealed, err := k.SealInline(nil, random("s"), 1, 0, plain)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 2048)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.SealInline(buf, rand.Reader, 1, 0, plain)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.OpenInline(buf, 1, 0, sealed)
		}
	})
}

func BenchmarkName(b *testing.B) {
	k := newRing(b, "ring")
	const name = "a_usual_file_name_26_bytes"
	sealed, err := k.SealName(1, name)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.SealName(1, name)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.OpenName(1, sealed)
		}
	})
	b.Run("open/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = k.OpenName(1, sealed)
			}
		})
	})
}

func BenchmarkSlot(b *testing.B) {
	k := newRing(b, "ring")
	h, err := crypto.NewHostSecret(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	s, err := k.SealToHost(h.Public(), "host")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("host/seal", func(b *testing.B) {
		for b.Loop() {
			_, _ = k.SealToHost(h.Public(), "host")
		}
	})
	b.Run("host/open", func(b *testing.B) {
		for b.Loop() {
			_, _ = s.OpenAsHost(h)
		}
	})
	p, err := k.SealToPassphrase(rand.Reader, []byte("x"), crypto.DefaultKDF(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("passphrase/open", func(b *testing.B) {
		for b.Loop() {
			_, _ = p.OpenWithPassphrase([]byte("x"))
		}
	})
}
