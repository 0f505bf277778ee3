package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// target is a directory to measure.
type target struct {
	Name string
	Dir  string
	Peer string // the same directory as another host sees it; empty: none does
	ring *ring  // nil: not ours
}

// scenario is something that is done to every target.
type scenario struct {
	name string
	once bool // not in every round
	ring bool // it makes sense with a ring of ours only
	run  func(ctx context.Context, w *work) error
}

// scenarios are all that is measured, in this order. What kills hosts comes last.
func scenarios() []scenario {
	return []scenario{
		{name: "sequential", run: sequential},
		{name: "random", run: random},
		{name: "small files", run: smallFiles},
		{name: "directory", run: directory},
		{name: "tree", once: true, run: tree},
		{name: "visibility", run: visibility},
		{name: "mount", ring: true, run: mountTime},
		{name: "kill", once: true, ring: true, run: killLeader},
	}
}

// work is one run of a scenario on one target.
type work struct {
	*options
	target   target
	dir      string // to work in, empty at first
	peerDir  string // the same on the peer, "" without one
	scenario string
	report   *report
}

// record notes a figure. more says that a larger one is better.
func (w *work) record(name, unit string, more bool, value float64) {
	w.report.add(w.scenario, name, unit, more, w.target.Name, value)
}

// say tells who watches what goes on.
func (w *work) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s, %s: %s\n", w.scenario, w.target.Name, fmt.Sprintf(format, args...))
}

type bench struct {
	*options
	ring    *ring
	targets []target
	report  *report
}

// all runs everything. The targets take turns.
func (b *bench) all(ctx context.Context) error {
	for _, s := range scenarios() {
		if b.only != nil && !b.only.MatchString(s.name) {
			continue
		}
		for round := range b.rounds {
			if s.once && round > 0 {
				break
			}
			for _, t := range b.targets {
				if s.ring && t.ring == nil {
					continue
				}
				if err := b.one(ctx, s, t); err != nil {
					return fmt.Errorf("%s on %s: %w", s.name, t.Name, err)
				}
			}
		}
	}
	return nil
}

// one runs a scenario on a target in a directory of its own.
func (b *bench) one(ctx context.Context, s scenario, t target) (err error) {
	w := &work{options: b.options, target: t, scenario: s.name, report: b.report}
	if w.dir, err = os.MkdirTemp(t.Dir, "bench-"); err != nil {
		return err
	}
	if t.Peer != "" {
		w.peerDir = filepath.Join(t.Peer, filepath.Base(w.dir))
	}
	defer func() {
		if e := os.RemoveAll(w.dir); err == nil {
			err = e
		}
	}()
	fmt.Fprintf(os.Stderr, "%s, %s ...\n", s.name, t.Name)
	if t.ring == nil {
		return s.run(ctx, w)
	}
	stop, err := b.perf(ctx, s.name)
	if err != nil {
		return err
	}
	began, before := time.Now(), t.ring.usage()
	err = s.run(ctx, w)
	stop()
	if err == nil {
		b.report.addUsage(s.name, time.Since(began), before, t.ring.usage())
	}
	return err
}
