package crypto_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/crypto"
)

func TestRecoveryText(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^SGN1(-[0-9A-HJKMNP-TV-Z]{4}){14}$`)
	for _, seed := range []string{"a", "b", "c", "d", "e"} {
		r, err := crypto.NewRecoveryKey(random(seed))
		if err != nil {
			t.Fatal(err)
		}
		text := r.Text()
		if !form.MatchString(text) {
			t.Errorf("got %q", text)
		}
		sloppy := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(text[4:]))
		for _, typed := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""),
			strings.ReplaceAll(text, "-", " "), "\n " + text[:39] + "\r\n" + text[39:] + "\n",
			"sgn1" + sloppy, "SGN1" + strings.ReplaceAll(text[4:], "1", "i")} {
			got, err := crypto.ParseRecoveryKey(typed)
			if err != nil || !bytes.Equal(got.Secret(), r.Secret()) {
				t.Errorf("%q: %v", typed, err)
			}
		}
	}
}

// Any one wrong letter, and any two neighbours swapped, is found.
func TestRecoveryTypos(t *testing.T) {
	t.Parallel()
	r, _ := crypto.NewRecoveryKey(random("recovery"))
	text := r.Text()
	for i := 5; i < len(text); i++ {
		if text[i] == '-' {
			continue
		}
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if byte(c) != text[i] {
				_, err := crypto.ParseRecoveryKey(text[:i] + string(c) + text[i+1:])
				wantKind(t, "a wrong letter", err, signet.BadPassphrase)
			}
		}
		if i+1 < len(text) && text[i+1] != '-' && text[i] != text[i+1] {
			_, err := crypto.ParseRecoveryKey(text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:])
			wantKind(t, "two letters swapped", err, signet.BadPassphrase)
		}
	}
	for _, bad := range []string{"", "SGN1", "SGN2" + text[4:], text[:len(text)-1], text + "A", text[4:],
		"U" + text[1:], text[:6] + "U" + text[7:], text[:6] + "é" + text[8:], text[:6] + "\x00" + text[7:], strings.Repeat("0", 1<<16)} {
		_, err := crypto.ParseRecoveryKey(bad)
		wantKind(t, bad[:min(len(bad), 20)], err, signet.Invalid)
		if err != nil && strings.Contains(err.Error(), text[5:15]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
