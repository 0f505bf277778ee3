package cluster

import (
	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/member"
	"github.com/signetfs/signet/cluster/meta"
)

// admit refuses commands that a host may not hand to this one as the leader. What is in
// the log nobody questions any more, so this is the place:
//
//   - a command of a session comes from the session's host, and a session is opened by the
//     host that it is for; that a host has all of an arc, it says itself;
//   - what changes the tree, the key slots or the policies, or removes a host, comes from a
//     host whose role is to mount: one without the key can store and vote, and delete nothing;
//   - who may not mount cannot let others in to mount.
//
// The leader itself is beyond this: voters are trusted to keep the log.
func (n *Node) admit(from member.Host, envelopes [][]byte) error {
	r := n.log.Reader(signet.ClusterGroup)
	defer r.Close()
	session := meta.Session{Host: from.ID} // of the command before; nearly always all are of one
	for _, b := range envelopes {
		e, err := meta.DecodeEnvelope(b)
		if err != nil {
			return err
		}
		if e.Session != session.ID {
			session, err = r.Session(e.Session)
			if signet.KindOf(err) == signet.NotFound {
				// Not in the tables yet, it is as good as opened: its number was told to its
				// host only. One that has ended Apply refuses.
				session.Host, err = from.ID, nil
			}
			if err != nil {
				return err
			}
		}
		if session.Host != from.ID {
			return signet.Errorf(signet.NotPermitted, "take command", from.ID.String(), "the session is of %v", session.Host)
		}
		if !may(from, e.Command) {
			return signet.Errorf(signet.NotPermitted, "take command", from.ID.String(), "a %T is not for a host of its roles: do it on one that mounts", e.Command)
		}
	}
	return nil
}

// may says whether a host may propose a command.
func may(from member.Host, command any) bool {
	switch c := command.(type) {
	case *meta.OpenSession:
		return c.Host == from.ID
	case *meta.ArcDone:
		return c.Host == from.ID
	case *meta.ArcsDone:
		return c.Host == from.ID
	case *meta.CreateToken:
		return from.Mounts || c.Roles&meta.RoleMount == 0
	case *meta.SetHost:
		return from.Mounts || c.Set&meta.SetRoles == 0 && c.Host == from.ID
	case signet.Command, *meta.GrantInodes, *meta.SetPolicy, *meta.AddSlot, *meta.RemoveSlot, *meta.RemoveHost:
		return from.Mounts
	}
	return true
}
