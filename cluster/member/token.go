package member

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/internal/pack"
)

// SecretSize is the length of a token's secret in bytes.
const SecretSize = 32

// Limits of what a token carries.
const (
	maxTokenAddrs = 8
	maxAddr       = 255
	maxTokenText  = 4 << 10
	tokenVersion  = 1
	tokenPrefix   = "signet1-"
)

// Token lets a host join: where to find a host of the cluster, whom to trust there, and
// a secret that the log knows the digest of. It never carries a key of a volume.
type Token struct {
	Addrs   []string       // of the sponsor
	Sponsor signet.HostKey // who must answer there
	Secret  [SecretSize]byte
}

// String hides the secret: a token is shown on purpose only, by Text.
func (t Token) String() string { return "join token of " + strings.Join(t.Addrs, ",") }

// GoString hides the secret.
func (t Token) GoString() string { return t.String() }

// Digest is what the log knows of the secret.
func (t *Token) Digest() signet.Digest { return DigestOf(t.Secret[:]) }

// DigestOf returns the digest of a token's secret. The secret is random and long, so a
// plain digest does.
func DigestOf(secret []byte) signet.Digest {
	return sha256.Sum256(append([]byte("signet/token/v1\x00"), secret...))
}

// Text returns the form in which a token is given to people: one word.
//
// It is "signet1-" and the unpadded base64url of a MessagePack array [version, sponsor's
// key, secret, [addresses...], first four bytes of the SHA-256 of what stands before].
func (t *Token) Text() string {
	b := t.body()
	sum := sha256.Sum256(b)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:4]...))
}

func (t *Token) body() []byte {
	var e pack.Encoder
	e.Array(4)
	e.Uint(tokenVersion)
	e.Bytes(t.Sponsor[:])
	e.Bytes(t.Secret[:])
	e.Array(len(t.Addrs))
	for _, a := range t.Addrs {
		e.String(a)
	}
	return e.Buf()
}

// ParseToken reads what Text wrote, white space around it aside. Its errors never show
// the text.
func ParseToken(text string) (Token, error) {
	bad := func(why string) (Token, error) {
		return Token{}, signet.Errorf(signet.BadToken, "read join token", "", "%s", why)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return bad("it is empty; get one with 'signet token create' on a host of the cluster")
	}
	s, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(text) > maxTokenText {
		return bad("it does not begin with " + tokenPrefix + ": this is not a join token")
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 5 {
		return bad("it is damaged: copy it again, whole")
	}
	body, sum := b[:len(b)-4], sha256.Sum256(b[:len(b)-4])
	if string(sum[:4]) != string(b[len(b)-4:]) {
		return bad("it is damaged: copy it again, whole")
	}
	var t Token
	d := pack.NewDecoder(body)
	d.ArrayExact(4)
	if v := d.Uint(); d.Err() == nil && v != tokenVersion {
		return bad("it is of a newer version of signet: update this host first")
	}
	d.Fixed(t.Sponsor[:])
	d.Fixed(t.Secret[:])
	for range d.Array(maxTokenAddrs) {
		t.Addrs = append(t.Addrs, d.String(maxAddr))
	}
	if d.Done() != nil || len(t.Addrs) == 0 {
		return bad("it is damaged: copy it again, whole")
	}
	return t, nil
}
