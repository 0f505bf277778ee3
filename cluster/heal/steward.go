package heal

import (
	"context"
	"log/slog"
	"time"

	"github.com/signetfs/signet"
	"github.com/signetfs/signet/cluster/meta"
	"github.com/signetfs/signet/internal/clock"
)

// Times of a Steward.
const (
	// roundEvery is how often the duties are looked at.
	roundEvery = time.Second
	// coalesce is how long hosts must be unchanged before the ring follows, so that several
	// that join together cost one change; coalesceMost is how long that may be put off.
	coalesce     = 300 * time.Millisecond
	coalesceMost = 2 * time.Second
	// ringEvery is how often the ring is looked at although no host has changed.
	ringEvery = 30 * time.Second
	// grace is how long a host may be down before it is replaced: a restart, with time for
	// somebody to notice, must not set all its data moving.
	grace = 10 * time.Minute
	// putTime is how long a put may take from the index under which it is put until it is
	// named, before it may be refused. What is refused is only put again.
	putTime = time.Minute
	// drainTime is how long a cut is left to whoever began it.
	drainTime = 10 * time.Second
	// openTime is how long an orphan is left alone: who made it may not have it on its
	// list of open files yet.
	openTime = 5 * time.Second
	// raiseEvery is how often a horizon is raised for what crashed writers have left.
	raiseEvery = 30 * time.Second
)

// Report is what a host with a session has told the leader. Reader must be read before
// the orphans are listed.
type Report struct {
	Session signet.SessionID
	// Reader is the oldest index that a view of the host shows, or at which the host put an
	// object that it has not named yet; what it applied if there is neither.
	Reader      signet.Index
	Orphans     []signet.Ino // inodes without a name that are open there
	OrphansMore bool         // only those from the first to the last that is listed, ascending
}

// StewardConfig is what a Steward is made of.
type StewardConfig struct {
	Log Log
	// Reports returns the newest report of each host.
	Reports func() map[signet.HostID]Report
	Groups  []signet.Group // the volumes; nil: the default one
	Clock   clock.Clock
	Logger  *slog.Logger
	Grace   time.Duration // how long a host may be down before it is replaced; 0: 10 minutes
}

// Steward does what one host must do for the cluster's objects: the one that leads.
type Steward struct {
	StewardConfig
	wake chan struct{}
}

// NewSteward returns a Steward, which does nothing before Run.
func NewSteward(c StewardConfig) *Steward {
	if len(c.Groups) == 0 {
		c.Groups = []signet.Group{signet.DefaultVolume}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Grace == 0 {
		c.Grace = grace
	}
	return &Steward{StewardConfig: c, wake: make(chan struct{}, 1)}
}

// Applied takes the effects of a published step. It only leaves a note.
func (s *Steward) Applied(e *meta.Effects) {
	if len(e.Hosts) == 0 {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // one lies there already
	}
}

// Run does the duties until ctx ends: for as long as this host leads. It may be called
// again, when this host leads again, but not twice at the same time.
func (s *Steward) Run(ctx context.Context) {
	t := s.begin()
	for ctx.Err() == nil {
		t.round(ctx)
		timer := s.Clock.NewTimer(t.pause())
		select {
		case <-ctx.Done():
		case <-s.wake:
			t.hostsMoved()
		case <-timer.C():
		}
		timer.Stop()
	}
}

// term is the time of one Run, and what was seen in it. A new leader begins with nothing:
// all that matters is in the log, and what it has to see anew only makes it wait.
type term struct {
	*Steward
	width    int // commands on their way at once
	ages     []age
	down     map[signet.HostID]time.Time // since when a host has been down, as far as seen
	ringAt   time.Time                   // when to look at the ring
	quiet    time.Time                   // how long the look may be put off
	forgot   map[signet.HostID]bool      // removed hosts whose copies have been taken off
	raised   signet.Index                // index of the last raising of a horizon
	raisedAt time.Time
}

func (s *Steward) begin() *term {
	t := &term{
		Steward: s, width: claimWidth, down: map[signet.HostID]time.Time{},
		forgot: map[signet.HostID]bool{},
	}
	t.hostsMoved()
	return t
}

// age is an index that had been applied at a time.
type age struct {
	index signet.Index
	at    time.Time
}

// hostsMoved has the ring looked at when no host changes any more, or soon enough.
func (t *term) hostsMoved() {
	now := t.Clock.Now()
	if most := now.Add(coalesceMost); t.ringAt.IsZero() || t.ringAt.After(most) {
		t.quiet = most
	}
	t.ringAt = now.Add(coalesce)
	if t.ringAt.After(t.quiet) {
		t.ringAt = t.quiet
	}
}

// pause returns how long nothing is to be done.
func (t *term) pause() time.Duration {
	d := roundEvery
	if !t.ringAt.IsZero() {
		d = min(d, t.ringAt.Sub(t.Clock.Now()))
	}
	return max(d, 0)
}

// round does what is due.
func (t *term) round(ctx context.Context) {
	now := t.Clock.Now()
	for _, duty := range []func(context.Context, time.Time) error{t.observe, t.lookAtRing, t.reap, t.drain, t.collect, t.forget} {
		if err := duty(ctx, now); err != nil && ctx.Err() == nil {
			t.Logger.Debug("a duty waits", "err", err)
		}
	}
}

// observe notes how old indices are.
func (t *term) observe(_ context.Context, now time.Time) error {
	if n := len(t.ages); n > 0 && now.Sub(t.ages[n-1].at) < roundEvery {
		return nil
	}
	return t.Log.Read(signet.ClusterGroup, func(r *meta.Reader) error {
		index, err := r.Index()
		if err != nil {
			return err
		}
		for len(t.ages) > 1 && now.Sub(t.ages[1].at) >= putTime {
			t.ages = t.ages[1:]
		}
		t.ages = append(t.ages, age{index, now})
		return nil
	})
}

// older returns the newest index that was applied at least d ago, 0 if that is not known.
func (t *term) older(now time.Time, d time.Duration) signet.Index {
	var index signet.Index
	for _, a := range t.ages {
		if now.Sub(a.at) < d {
			break
		}
		index = a.index
	}
	return index
}

// passed returns the oldest index that a live session still uses, and the reports of all
// live sessions; false if one of them has not reported.
func (t *term) passed(r *meta.Reader) (signet.Index, []Report, bool, error) {
	sessions, err := r.Sessions()
	if err != nil {
		return 0, nil, false, err
	}
	oldest, err := r.Index()
	if err != nil {
		return 0, nil, false, err
	}
	all := t.Reports()
	var reports []Report
	for _, s := range sessions {
		if s.Ended {
			continue
		}
		report, heard := all[s.Host]
		if !heard || report.Session != s.ID {
			return 0, nil, false, nil
		}
		oldest = min(oldest, report.Reader)
		reports = append(reports, report)
	}
	return oldest, reports, true, nil
}
