package digest_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/digest"
)

// The vectors are those of FIPS 180-4 ("abc") and of the BLAKE3 paper's test vectors
// (input bytes 0, 1, 2, ... 250, 0, ...).
func TestVectors(t *testing.T) {
	ramp := make([]byte, 1025)
	for i := range ramp {
		ramp[i] = byte(i % 251)
	}
	for _, c := range []struct {
		alg  signet.DigestAlg
		in   []byte
		want string
	}{
		{signet.DigestSHA256, []byte("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{signet.DigestSHA256, nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{signet.DigestBLAKE3, nil, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
		{signet.DigestBLAKE3, ramp[:1], "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
		{signet.DigestBLAKE3, ramp[:1025], "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
	} {
		got := digest.Sum(c.alg, c.in)
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("alg %d, %d bytes: got %v, want %s", c.alg, len(c.in), got, c.want)
		}
	}
}

func TestVerify(t *testing.T) {
	sealed := []byte("sealed bytes of an object")
	for _, alg := range []signet.DigestAlg{signet.DigestSHA256, signet.DigestBLAKE3} {
		a := signet.NewAddress(alg, 7, digest.Sum(alg, sealed))
		if err := digest.Verify(a, sealed); err != nil {
			t.Errorf("alg %d: %v", alg, err)
		}
		for i := range sealed {
			bad := append([]byte(nil), sealed...)
			bad[i] ^= 0x80
			if err := digest.Verify(a, bad); !errors.Is(err, signet.Corrupt) {
				t.Fatalf("alg %d, byte %d flipped: %v, want Corrupt", alg, i, err)
			}
		}
		for _, bad := range [][]byte{nil, sealed[:len(sealed)-1], append([]byte{0}, sealed...)} {
			if err := digest.Verify(a, bad); !errors.Is(err, signet.Corrupt) {
				t.Errorf("alg %d, %d bytes: %v, want Corrupt", alg, len(bad), err)
			}
		}
	}
}

// The same digest under the other algorithm's number is not the object.
func TestVerifyOtherAlgorithm(t *testing.T) {
	b := []byte("x")
	a := signet.NewAddress(signet.DigestSHA256, 0, digest.Sum(signet.DigestBLAKE3, b))
	if err := digest.Verify(a, b); !errors.Is(err, signet.Corrupt) {
		t.Errorf("got %v, want Corrupt", err)
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	for _, alg := range []signet.DigestAlg{signet.DigestNone, 3, 255} {
		if digest.Known(alg) {
			t.Errorf("algorithm %d is known", alg)
		}
		a := signet.NewAddress(alg, 0, signet.Digest{})
		if err := digest.Verify(a, nil); !errors.Is(err, signet.WrongVersion) {
			t.Errorf("algorithm %d: %v, want WrongVersion", alg, err)
		}
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "unknown algorithm") {
					t.Errorf("Sum with algorithm %d did not panic: %v", alg, r)
				}
			}()
			digest.Sum(alg, nil)
		}()
	}
	if !digest.Known(digest.Default) {
		t.Error("the default algorithm is not known")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("sealed"), byte(signet.DigestBLAKE3), uint(3), byte(1))
	f.Add([]byte{}, byte(signet.DigestSHA256), uint(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, alg byte, at uint, flip byte) {
		a := signet.Address{alg}
		if digest.Known(a.Alg()) {
			a = signet.NewAddress(a.Alg(), 1, digest.Sum(a.Alg(), b))
			if err := digest.Verify(a, b); err != nil {
				t.Fatal(err)
			}
		}
		if len(b) == 0 || flip == 0 {
			return
		}
		b[at%uint(len(b))] ^= flip
		if digest.Verify(a, b) == nil {
			t.Fatal("changed bytes verify")
		}
	})
}

func BenchmarkSum(b *testing.B) {
	for _, alg := range []signet.DigestAlg{signet.DigestSHA256, signet.DigestBLAKE3} {
		for _, size := range []int{4 << 10, 128 << 10, 4 << 20} {
			b.Run(fmt.Sprintf("alg=%d/size=%d", alg, size), func(b *testing.B) {
				in := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					digest.Sum(alg, in)
				}
			})
		}
	}
}
