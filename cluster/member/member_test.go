package member

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signetfs/signet"
)

func TestTokenRoundTrip(t *testing.T) {
	tok := Token{Addrs: []string{"10.0.0.1:7420", "[fd00::1]:7420"}, Sponsor: signet.HostKey{1, 2}, Secret: [SecretSize]byte{9}}
	got, err := ParseToken("\n  " + tok.Text() + " \n")
	if err != nil || got.Sponsor != tok.Sponsor || got.Secret != tok.Secret || !slices.Equal(got.Addrs, tok.Addrs) {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(f, tok); strings.Contains(s, "9, 0") || strings.Contains(s, "[9 0") {
			t.Errorf("%s shows the secret: %s", f, s)
		}
	}
}

// Any single changed, missing or added character is noticed, and the error shows nothing.
func TestTokenDamage(t *testing.T) {
	tok := Token{Addrs: []string{"h:1"}, Sponsor: signet.HostKey{1}, Secret: [SecretSize]byte{7}}
	text := tok.Text()
	check := func(s string) {
		t.Helper()
		if _, err := ParseToken(s); signet.KindOf(err) != signet.BadToken {
			t.Errorf("%q: %v", s, err)
		} else if strings.Contains(err.Error(), text[10:40]) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	for i := range text {
		c := byte('A')
		if text[i] == c {
			c = 'B'
		}
		check(text[:i] + string(c) + text[i+1:])
		check(text[:i])
	}
	check(text + "A")
	check("")
}

func FuzzParseToken(f *testing.F) {
	tok := Token{Addrs: []string{"h:1"}, Sponsor: signet.HostKey{1}, Secret: [SecretSize]byte{7}}
	f.Add(tok.Text())
	f.Add("signet1-3f________8")
	f.Fuzz(func(t *testing.T, s string) {
		if tok, err := ParseToken(s); err == nil && tok.Text() != strings.TrimSpace(s) {
			t.Errorf("%q parses and is written as %q", s, tok.Text())
		}
	})
}

func cand(id int, zone string, flags string) Candidate {
	return Candidate{ID: signet.HostID(id), Zone: zone, May: !strings.Contains(flags, "n"), Alive: !strings.Contains(flags, "d"),
		Ready: strings.Contains(flags, "r"), Voting: strings.Contains(flags, "v")}
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		in   []Candidate
		want []signet.HostID
	}{
		"one":                                 {[]Candidate{cand(1, "", "vr")}, ids(1)},
		"two":                                 {[]Candidate{cand(1, "", "vr"), cand(2, "", "r")}, ids(1, 2)},
		"second not ready":                    {[]Candidate{cand(1, "", "vr"), cand(2, "", "")}, ids(1)},
		"one of two dies":                     {[]Candidate{cand(1, "", "vr"), cand(2, "", "vd")}, ids(1, 2)},
		"three":                               {[]Candidate{cand(1, "", "vr"), cand(2, "", "vr"), cand(3, "", "r")}, ids(1, 2, 3)},
		"one of three dies":                   {[]Candidate{cand(1, "", "vr"), cand(2, "", "vr"), cand(3, "", "vd")}, ids(1, 2, 3)},
		"four, one dies":                      {[]Candidate{cand(1, "", "vr"), cand(2, "", "vd"), cand(3, "", "vr"), cand(4, "", "r")}, ids(1, 3, 4)},
		"seven, two die":                      {[]Candidate{cand(1, "", "vr"), cand(2, "", "vd"), cand(3, "", "vd"), cand(4, "", "vr"), cand(5, "", "vr"), cand(6, "", "r"), cand(7, "", "r")}, ids(1, 4, 5, 6, 7)},
		"zones":                               {[]Candidate{cand(1, "a", "vr"), cand(2, "a", "vr"), cand(3, "a", "vr"), cand(4, "b", "r")}, ids(1, 2, 4)},
		"may not":                             {[]Candidate{cand(1, "", "vr"), cand(2, "", "nr"), cand(3, "", "r")}, ids(1, 3)},
		"a dead host that never voted is not": {[]Candidate{cand(1, "", "vr"), cand(2, "", "vr"), cand(3, "", "d")}, ids(1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Plan(c.in); !slices.Equal(got, c.want) {
				t.Errorf("Plan = %v, want %v", got, c.want)
			}
		})
	}
}

func ids(n ...int) []signet.HostID {
	var out []signet.HostID
	for _, i := range n {
		out = append(out, signet.HostID(i))
	}
	return out
}

// Whatever the cluster looks like, a plan that differs from the present voters consists
// of living hosts that may vote, is of an allowed size, and is stable.
func TestPlanIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []Candidate
		for i := range rapid.IntRange(1, 9).Draw(t, "hosts") {
			all = append(all, Candidate{
				ID: signet.HostID(i + 1), Zone: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "zone"),
				May: rapid.IntRange(0, 5).Draw(t, "may") > 0, Alive: rapid.IntRange(0, 3).Draw(t, "alive") > 0,
				Ready: rapid.Bool().Draw(t, "ready"), Voting: rapid.Bool().Draw(t, "voting"),
			})
		}
		var now []signet.HostID
		for _, c := range all {
			if c.Voting {
				now = append(now, c.ID)
			}
		}
		got := Plan(all)
		if slices.Equal(got, now) {
			return
		}
		if n := len(got); n != 1 && n != 2 && n != 3 && n != 5 {
			t.Fatalf("%d voters planned from %v", n, all)
		}
		for i := range all {
			c := &all[i]
			in := slices.Contains(got, c.ID)
			if in && !(c.May && c.Alive && (c.Ready || c.Voting)) {
				t.Fatalf("%v planned from %v", got, all)
			}
			c.Voting = in
		}
		if again := Plan(all); !slices.Equal(again, got) {
			t.Fatalf("planned %v, then %v from %v", got, again, all)
		}
	})
}

func TestDirectory(t *testing.T) {
	d := NewDirectory([]Host{{ID: 2, Key: signet.HostKey{2}, Addrs: []string{"b"}}, {ID: 1, Key: signet.HostKey{1}}})
	if err := d.Authorize(signet.HostKey{2}); err != nil {
		t.Error(err)
	}
	if err := d.Authorize(signet.HostKey{3}); signet.KindOf(err) != signet.NotPermitted {
		t.Errorf("a stranger: %v", err)
	}
	former := NewDirectory(nil)
	former.Replace([]Host{{ID: 2, Key: signet.HostKey{2}}}, signet.HostKey{4})
	if err := former.Authorize(signet.HostKey{4}); signet.KindOf(err) != signet.Ended {
		t.Errorf("a former member: %v", err)
	}
	if err := former.Authorize(signet.HostKey{3}); signet.KindOf(err) != signet.NotPermitted {
		t.Errorf("a stranger: %v", err)
	}
	if p, err := d.Peer(2); err != nil || p.Key != (signet.HostKey{2}) || p.Addrs[0] != "b" {
		t.Errorf("Peer(2) = %v, %v", p, err)
	}
	if all := d.All(); len(all) != 2 || all[0].ID != 1 {
		t.Errorf("All = %v", all)
	}
	if gone := d.Replace([]Host{{ID: 1, Key: signet.HostKey{1}}}); !slices.Equal(gone, []signet.HostKey{{2}}) {
		t.Errorf("gone = %v", gone)
	}
}
