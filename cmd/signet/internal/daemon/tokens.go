package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/cmd/signet/internal/control"
)

// What a token is worth unless somebody says otherwise.
const (
	TokenTime      = 24 * time.Hour
	FirstTokenUses = 10 // of the token that init prints: for the first few hosts
)

// idLetters is how much of a token's digest stands for it.
const idLetters = 12

// createToken makes a join token with this host as its sponsor.
func createToken(ctx context.Context, n *cluster.Node, a control.TokenArgs) (*control.Token, error) {
	r := n.Log().Reader(signet.ClusterGroup)
	self, err := r.Host(n.ID())
	r.Close()
	if err != nil {
		return nil, signet.Wrap("make token", "", err)
	}
	if a.Roles&meta.RoleMount != 0 && self.Roles&meta.RoleMount == 0 {
		return nil, signet.Errorf(signet.NotPermitted, "make token", "", "this host joined with --no-key or --witness, so it cannot let others in: run 'signet token create' on a host that mounts")
	}
	t := member.Token{Addrs: self.Addrs, Sponsor: n.Key()}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return nil, err
	}
	now := time.Now()
	expires := now.Add(time.Duration(a.Seconds) * time.Second)
	answer, ticket, err := n.Log().Do(ctx, signet.ClusterGroup, &meta.CreateToken{
		Digest: t.Digest(), Expires: signet.Time{Sec: expires.Unix()}, Uses: a.Uses, Roles: a.Roles,
		Time: signet.Time{Sec: now.Unix(), Nsec: uint32(now.Nanosecond())},
	})
	if err == nil {
		err = refused(answer)
	}
	if err == nil {
		err = ticket.Wait(ctx)
	}
	if err != nil {
		return nil, signet.Wrap("make token", "", err)
	}
	return &control.Token{Token: t.Text(), ID: tokenID(t.Digest()), Expires: expires.UTC().Format(time.RFC3339), Uses: a.Uses}, nil
}

// refused returns why Apply refused a command, if it did.
func refused(a meta.Answer) error {
	if a.Result.Err == signet.OK {
		return nil
	}
	return a.Result.Err
}

func tokenID(d signet.Digest) string { return hex.EncodeToString(d[:])[:idLetters] }

// listTokens lists what the cluster remembers of tokens, the newest last.
func (d *Daemon) listTokens() ([]control.TokenRow, error) {
	tokens, err := d.tokens()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tokens, func(a, b meta.Token) int {
		return cmp.Or(cmp.Compare(a.Made.Sec, b.Made.Sec), cmp.Compare(a.Made.Nsec, b.Made.Nsec))
	})
	now := time.Now().Unix()
	out := []control.TokenRow{}
	for _, t := range tokens {
		state := "valid"
		switch {
		case t.Left == 0:
			state = "used up"
		case t.Expires.Sec <= now:
			state = "expired"
		}
		out = append(out, control.TokenRow{
			ID: tokenID(t.Digest), Expires: utc(t.Expires), State: state, Left: t.Left, Used: t.Used,
			Roles: roleNames(t.Roles), Made: utc(t.Made),
		})
	}
	return out, nil
}

func utc(t signet.Time) string { return time.Unix(t.Sec, 0).UTC().Format(time.RFC3339) }

func (d *Daemon) tokens() ([]meta.Token, error) {
	r := d.node.Log().Reader(signet.ClusterGroup)
	defer r.Close()
	return r.Tokens()
}

// revokeToken makes a token worthless, named by its id or the start of it.
func (d *Daemon) revokeToken(ctx context.Context, id string) (*control.TokenRow, error) {
	tokens, err := d.tokens()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(tokens, func(t meta.Token) bool {
		return !strings.HasPrefix(hex.EncodeToString(t.Digest[:]), strings.ToLower(id))
	})
	switch {
	case id == "" || len(found) == 0:
		return nil, signet.Errorf(signet.NotFound, "revoke token", "", "there is no token with that id: see 'signet token ls'")
	case len(found) > 1:
		return nil, signet.Errorf(signet.Invalid, "revoke token", "", "%d tokens have ids that begin so: give more of it", len(found))
	}
	a, ticket, err := d.node.Log().Do(ctx, signet.ClusterGroup, &meta.RevokeToken{Digest: found[0].Digest})
	if err == nil {
		err = refused(a)
	}
	if err == nil {
		err = ticket.Wait(ctx)
	}
	if err != nil {
		return nil, signet.Wrap("revoke token", tokenID(found[0].Digest), err)
	}
	return &control.TokenRow{ID: tokenID(found[0].Digest), State: "revoked", Used: found[0].Used}, nil
}

func roleNames(r uint8) []string {
	out := []string{}
	for _, n := range []struct {
		bit  uint8
		name string
	}{{meta.RoleStore, "store"}, {meta.RoleVote, "vote"}, {meta.RoleMount, "mount"}} {
		if r&n.bit != 0 {
			out = append(out, n.name)
		}
	}
	return out
}
