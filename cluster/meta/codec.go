package meta

// EncodeEnvelope returns the bytes of an envelope. It fails with Invalid for a
// command that is none.
func EncodeEnvelope(e *Envelope) ([]byte, error) { return nil, errLater }

// DecodeEnvelope reads what EncodeEnvelope made. The command's slices are parts of b.
// It fails with ErrUnknown for a kind or version from the future and with BadMessage
// for anything else. A leader decodes what it is given before it proposes it: an
// entry that does not decode stops every host.
func DecodeEnvelope(b []byte) (Envelope, error) { return Envelope{}, errLater }

// EncodeEntry makes one log entry of several encoded envelopes.
func EncodeEntry(envelopes [][]byte) []byte { return nil }

// DecodeEntry returns the encoded envelopes of an entry, parts of b.
func DecodeEntry(b []byte) ([][]byte, error) { return nil, errLater }
