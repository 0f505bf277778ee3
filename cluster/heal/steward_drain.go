package heal

import (
	"context"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
)

// drain carries on with cuts that somebody began and did not finish in time: he has died,
// or it is a large one. That two work at the same cut does no harm.
func (t *term) drain(ctx context.Context, now time.Time) error {
	begun := t.older(now, drainTime)
	if begun == 0 {
		return nil
	}
	for _, g := range t.Groups {
		if err := t.drainIn(ctx, g, begun); err != nil {
			return signet.Wrap("finish cuts", "", err)
		}
	}
	return nil
}

func (t *term) drainIn(ctx context.Context, g signet.Group, begun signet.Index) error {
	var after signet.Ino
	for {
		var inos []signet.Ino
		n := 0
		err := t.Log.Read(g, func(r *meta.Reader) error {
			return r.Cuts(after, func(c meta.PendingCut) bool {
				after = c.Ino
				if c.Since <= begun {
					inos = append(inos, c.Ino)
				}
				n++
				return n < pageRows
			})
		})
		if err != nil {
			return err
		}
		for _, ino := range inos {
			if err := t.finish(ctx, g, ino); err != nil {
				return err
			}
		}
		if n < pageRows {
			return nil
		}
	}
}

// finish carries a cut to its end, step by step.
func (t *term) finish(ctx context.Context, g signet.Group, ino signet.Ino) error {
	for {
		a, err := propose(ctx, t.Log, g, &signet.Drain{Ino: ino})
		if signet.KindOf(err) == signet.NotFound {
			return nil // it is gone
		}
		if err != nil || !a.Result.More {
			return err
		}
	}
}
