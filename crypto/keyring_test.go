package crypto_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	k1 := newRing(t, "ring")
	old, oldRow := mustSeal(t, k1, "s", []byte("old"))
	oldInline, _ := k1.SealInline(nil, random("s"), 1, 0, []byte("old"))
	k2, err := k1.Rotate(random("rotate"))
	if err != nil {
		t.Fatal(err)
	}
	if k2.ID() != k1.ID() || k1.Version() != 1 || k2.Version() != 2 {
		t.Errorf("volume %v version %d became %v version %d", k1.ID(), k1.Version(), k2.ID(), k2.Version())
	}
	fresh, freshRow := mustSeal(t, k2, "s", []byte("old"))
	if freshRow.KeyVersion != 2 || bytes.Equal(fresh[80:], old[80:]) {
		t.Error("a new object is not sealed under the new key")
	}
	if got, err := open(k2, oldRow, old); err != nil || string(got) != "old" {
		t.Errorf("old object: %q, %v", got, err)
	}
	if got, err := k2.OpenInline(nil, 1, 0, oldInline); err != nil || string(got) != "old" {
		t.Errorf("old inline data: %q, %v", got, err)
	}
	_, err = open(k1, freshRow, fresh)
	wantKind(t, "new object with old keys", err, signet.NoKey)
	inline, _ := k2.SealInline(nil, random("s"), 1, 0, []byte("new"))
	_, err = k1.OpenInline(nil, 1, 0, inline)
	wantKind(t, "new inline data with old keys", err, signet.NoKey)
	if newRing(t, "other").ID() == k1.ID() {
		t.Error("two volumes have one identity")
	}
}

func TestRotateEnds(t *testing.T) {
	t.Parallel()
	k, err := crypto.WithVersions(random("ring"), 1023)
	if err != nil {
		t.Fatal(err)
	}
	if k, err = k.Rotate(random("rotate")); err != nil || k.Version() != 1024 {
		t.Fatal(k, err)
	}
	_, err = k.Rotate(random("rotate"))
	wantKind(t, "version 1025", err, signet.TooBig)
	h, _ := crypto.NewHostSecret(random("host"))
	slot, err := k.SealToHost(h.Public(), "host")
	if err != nil {
		t.Fatal(err)
	}
	again, err := crypto.DecodeSlot(slot.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.OpenAsHost(h); err != nil || got.Version() != 1024 {
		t.Errorf("the largest keyring does not fit a slot: %v", err)
	}
}

// The quick derivation is HKDF-Expand.
func TestExpand(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 31, 48, 64, 100} {
		once, kept := crypto.ExpandBoth([32]byte(bytesOf("key", 32)), bytesOf("info", n))
		if once != kept {
			t.Errorf("%d bytes of info: %x and %x", n, once, kept)
		}
	}
}

func TestWipe(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	sealed, row := mustSeal(t, k, "s", []byte("data"))
	secrets := k.Secrets()
	for _, s := range secrets {
		if bytes.Equal(s, make([]byte, len(s))) {
			t.Fatal("a secret is zero before")
		}
	}
	k.Wipe()
	k.Wipe()
	for i, s := range secrets {
		if !bytes.Equal(s, make([]byte, len(s))) {
			t.Errorf("secret %d is still there", i)
		}
	}
	_, err := open(k, row, sealed)
	wantKind(t, "open", err, signet.NoKey)
	_, _, err = k.Seal(nil, random("s"), crypto.Spread(), []byte("x"))
	wantKind(t, "seal", err, signet.NoKey)
	_, err = k.SealName(1, "x")
	wantKind(t, "seal name", err, signet.NoKey)
	_, err = k.OpenName(1, make([]byte, 20))
	wantKind(t, "open name", err, signet.NoKey)
	_, err = k.SealInline(nil, random("s"), 1, 0, []byte("x"))
	wantKind(t, "seal inline", err, signet.NoKey)
	_, err = k.OpenInline(nil, 1, 0, make([]byte, 100))
	wantKind(t, "open inline", err, signet.NoKey)
	_, err = k.Rotate(random("r"))
	wantKind(t, "rotate", err, signet.NoKey)
	h, _ := crypto.NewHostSecret(random("host"))
	_, err = k.SealToHost(h.Public(), "")
	wantKind(t, "seal slot", err, signet.NoKey)

	hs := h.Secret()
	h.Wipe()
	h.Wipe()
	r, _ := crypto.NewRecoveryKey(random("recovery"))
	rs := r.Secret()
	r.Wipe()
	r.Wipe()
	if !bytes.Equal(hs, make([]byte, 32)) || !bytes.Equal(rs, make([]byte, 32)) {
		t.Error("a host secret or recovery key is still there")
	}
	if r.Text() != "" || h.Reveal() != nil {
		t.Error("a wiped key still shows")
	}
}

// Wipe while others seal and open: each either succeeds with the real keys or fails.
func TestWipeRaces(t *testing.T) {
	t.Parallel()
	ref := newRing(t, "ring")
	want, _ := ref.SealName(1, "name")
	sealed, row := mustSeal(t, ref, "s", []byte("data"))
	for range 20 {
		k := newRing(t, "ring")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					got, err := k.SealName(1, "name")
					if err != nil {
						return
					}
					if !bytes.Equal(got, want) {
						t.Error("sealed with half-wiped keys")
						return
					}
					if plain, err := open(k, row, sealed); err == nil && string(plain) != "data" {
						t.Error("opened wrong")
						return
					}
				}
			})
		}
		k.Wipe()
		wg.Wait()
	}
}

// texts returns every text that a value may end up as.
func texts(t *testing.T, v any) []string {
	t.Helper()
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		out = append(out, fmt.Sprintf(verb, v))
	}
	if b, err := json.Marshal(v); err == nil {
		out = append(out, string(b))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	return append(out, log.String(), fmt.Sprint(signet.Errorf(signet.Other, "op", "s", "%v", v)))
}

// shows says whether text holds the secret in any form that fmt or json could give it.
func shows(text string, secret []byte) bool {
	part := secret[4:12] // a part is a leak too
	forms := []string{
		string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
		strings.Trim(fmt.Sprint(part), "[]"), strings.ReplaceAll(strings.Trim(fmt.Sprint(part), "[]"), " ", ","),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
		base64.StdEncoding.EncodeToString(secret[:30])[8:20],
		fmt.Sprintf("% x", part), fmt.Sprintf("% X", part),
	}
	for _, f := range forms {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}

func TestSecretsHaveNoText(t *testing.T) {
	t.Parallel()
	k := newRing(t, "ring")
	h, err := crypto.NewHostSecret(random("host"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := crypto.NewRecoveryKey(random("recovery"))
	if err != nil {
		t.Fatal(err)
	}
	_, row := mustSeal(t, k, "s", []byte("x"))
	o, err := k.Opener(&row)
	if err != nil {
		t.Fatal(err)
	}
	slot, err := k.SealToRecovery(random("slot"), r, "label")
	if err != nil {
		t.Fatal(err)
	}
	secrets := append(k.Secrets(), h.Secret(), r.Secret())
	for i, s := range secrets {
		// The search must find what it looks for, or it proves nothing.
		if !shows(fmt.Sprint(s), s) || !shows(fmt.Sprintf("%x", s), s) || !shows(fmt.Sprintf("%#v", s), s) || !shows(string(s), s) {
			t.Fatalf("the search would not find secret %d", i)
		}
		b, _ := json.Marshal(s)
		if !shows(string(b), s) {
			t.Fatalf("the search would not find secret %d in JSON", i)
		}
	}
	type holder struct {
		Ring   *crypto.Keyring
		ring   *crypto.Keyring
		Host   *crypto.HostSecret
		host   *crypto.HostSecret
		Rec    *crypto.RecoveryKey
		rec    crypto.RecoveryKey
		opener *crypto.Opener
		any    any
	}
	hold := holder{k, k, h, h, r, *r, o, k}
	for _, v := range []any{k, h, *h, r, *r, o, *o, slot, *slot, hold, &hold, []any{k, h, r}, map[string]any{"k": k, "r": *r, "h": *h}} {
		for _, text := range texts(t, v) {
			for i, s := range secrets {
				if shows(text, s) {
					t.Errorf("%T shows secret %d: %.300s", v, i, text)
				}
			}
			if strings.Contains(text, r.Text()[5:20]) {
				t.Errorf("%T shows the recovery key: %.300s", v, text)
			}
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s", k, k, h, r); strings.Count(got, "redacted") != 4 {
		t.Errorf("got %q", got)
	}
}
