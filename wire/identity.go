package wire

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"github.com/signetfs/signet"
)

// What a connection is for, told apart by ALPN on the one port.
const (
	alpnMember = "signet/1"      // a host of the host table
	alpnJoin   = "signet-join/1" // a host that wants to become one
)

// Identity is a host's key pair and the certificate that TLS wants around it.
type Identity struct {
	Key  signet.HostKey
	cert tls.Certificate
}

// NewIdentity makes the identity of an Ed25519 private key. The certificate is the
// same every time: it says nothing that the key does not say, and never expires.
func NewIdentity(private ed25519.PrivateKey) (*Identity, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, signet.Errorf(signet.Invalid, "make identity", "", "not an Ed25519 private key")
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "signet"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	// No randomness is needed: Ed25519 signatures are deterministic.
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		return nil, signet.Wrap("make identity", "", err)
	}
	id := &Identity{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}}
	copy(id.Key[:], private.Public().(ed25519.PublicKey))
	return id, nil
}

// peerKey returns the key that the other side proved to hold.
func peerKey(cs tls.ConnectionState) (signet.HostKey, error) {
	var k signet.HostKey
	if len(cs.PeerCertificates) != 1 {
		return k, signet.Errorf(signet.Permission, "check peer", "", "%d certificates instead of one", len(cs.PeerCertificates))
	}
	public, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return k, signet.Errorf(signet.Permission, "check peer", "", "its key is not an Ed25519 key")
	}
	copy(k[:], public)
	return k, nil
}

// tlsConfig is what both sides have in common. Certificates are not verified
// against anything: the public key in them is all that counts, and TLS itself has
// proved that the peer holds its private half. Sessions are not resumed, so this
// is so for every connection.
func (id *Identity) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{id.cert},
		NextProtos:                  protocols,
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true, // large payloads in full records from the first byte
	}
}

// serverTLS accepts whoever has a key. Whether that key may come in is answered
// after the handshake, where the answer can say why not.
func (id *Identity) serverTLS() *tls.Config {
	c := id.tlsConfig(alpnMember, alpnJoin)
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol == "" {
			return signet.Errorf(signet.NotSupported, "check peer", "", "it speaks neither %s nor %s", alpnMember, alpnJoin)
		}
		_, err := peerKey(cs)
		return err
	}
	return c
}

// clientTLS accepts the peers whose key passes accept, and nobody else.
func (id *Identity) clientTLS(protocol string, accept func(signet.HostKey) error) *tls.Config {
	c := id.tlsConfig(protocol)
	c.InsecureSkipVerify = true // the names in certificates mean nothing here
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol != protocol {
			return signet.Errorf(signet.NotSupported, "check peer", "", "it does not speak %s", protocol)
		}
		k, err := peerKey(cs)
		if err != nil {
			return err
		}
		return accept(k)
	}
	return c
}

// pinned accepts one key.
func pinned(want signet.HostKey) func(signet.HostKey) error {
	return func(got signet.HostKey) error {
		if got != want {
			return signet.Errorf(signet.Permission, "check peer", "", "found %s where %s was expected", Short(got), Short(want))
		}
		return nil
	}
}
