package wire

import (
	"encoding/binary"
	"iter"

	"github.com/signetfs/signet"
)

// AppendPart appends one part to a payload that is a sequence of them: its length
// (4 bytes, big-endian) and its bytes.
func AppendPart(payload, part []byte) []byte {
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(part)))
	return append(payload, part...)
}

// Parts goes through a payload that is a sequence of parts. The parts refer into it.
// An error (kind BadMessage) is the last thing yielded.
func Parts(payload []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for len(payload) > 0 {
			if len(payload) < 4 {
				yield(nil, errPart())
				return
			}
			n := binary.BigEndian.Uint32(payload)
			rest := payload[4:]
			if uint64(n) > uint64(len(rest)) {
				yield(nil, errPart())
				return
			}
			if !yield(rest[:n:n], nil) {
				return
			}
			payload = rest[n:]
		}
	}
}

func errPart() error {
	return signet.Errorf(signet.BadMessage, "split payload", "", "its last part is cut off")
}
