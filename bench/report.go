package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that was measured.
type report struct {
	Began   string      `json:"began"`
	Machine machine     `json:"machine"`
	Rounds  int         `json:"rounds"`
	SizeMiB int         `json:"size_mib"`
	Targets []targetRow `json:"targets"`
	Figures []*figure   `json:"figures"`
	Usage   []usageRow  `json:"usage"`
}

type targetRow struct {
	Name string `json:"name"`
	FS   string `json:"fs"`
}

// figure is one row of the table: what each target did, in every round.
type figure struct {
	Scenario string               `json:"scenario"`
	Name     string               `json:"name"`
	Unit     string               `json:"unit"`
	More     bool                 `json:"more_is_better"`
	Values   map[string][]float64 `json:"values"`
}

// usageRow is what a host used of the machine during one run of a scenario.
type usageRow struct {
	Scenario string  `json:"scenario"`
	Host     int     `json:"host"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu_s"`
	PeakMiB  float64 `json:"peak_mib"` // since the host started
	AnonMiB  float64 `json:"anon_mib"` // at the end
}

func newReport(o *options) *report {
	return &report{Began: time.Now().UTC().Format(time.DateOnly), Machine: describe(), Rounds: o.rounds, SizeMiB: o.size}
}

func (r *report) add(scenario, name, unit string, more bool, target string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.Scenario == scenario && f.Name == name })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &figure{scenario, name, unit, more, map[string][]float64{}})
	}
	f := r.Figures[i]
	f.Values[target] = append(f.Values[target], value)
}

func (r *report) addUsage(scenario string, took time.Duration, before, after []usage) {
	for i := range after {
		if after[i].pid != before[i].pid {
			continue // it was stopped or killed, and what it had used is forgotten
		}
		r.Usage = append(r.Usage, usageRow{
			scenario, i + 1, took.Seconds(), (after[i].CPU - before[i].CPU).Seconds(),
			float64(after[i].Peak) / 1024, float64(after[i].Anon) / 1024,
		})
	}
}

// table prints the medians, and how the targets compare with the first.
func (r *report) table(out io.Writer) {
	m := r.Machine
	fmt.Fprintf(out, "%d cores (%s), %d MiB of memory, Linux %s, %s; load %.1f when it began. Medians of %d rounds, and the best round.\n\n",
		m.Cores, m.CPU, m.Memory, m.Kernel, m.Go, m.Load, r.Rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	head := []string{"", "unit"}
	for i, t := range r.Targets {
		head = append(head, t.Name+" ("+t.FS+")", "best")
		if i > 0 {
			head = append(head, "of "+r.Targets[0].Name)
		}
	}
	line(w, len(head), head)
	scenario := ""
	for _, f := range r.Figures {
		if f.Scenario != scenario {
			scenario = f.Scenario
			line(w, len(head), []string{"[" + scenario + "]"})
		}
		line(w, len(head), r.row(f))
	}
	line(w, len(head), []string{"[what the hosts used]"})
	for _, u := range r.used() {
		line(w, len(head), []string{
			fmt.Sprintf("%s, host %d, %.1f s", u.Scenario, u.Host, u.Seconds), "",
			fmt.Sprintf("%.1f s of CPU", u.CPU), "", fmt.Sprintf("%.0f MiB at most", u.PeakMiB),
		})
	}
}

// used sums up what each host used over the rounds.
func (r *report) used() []usageRow {
	var sums []usageRow
	for _, u := range r.Usage {
		i := slices.IndexFunc(sums, func(s usageRow) bool { return s.Scenario == u.Scenario && s.Host == u.Host })
		if i < 0 {
			sums = append(sums, u)
			continue
		}
		s := &sums[i]
		s.Seconds += u.Seconds
		s.CPU += u.CPU
		s.PeakMiB = max(s.PeakMiB, u.PeakMiB)
	}
	return sums
}

// row is what each target did, and what part of the first target's that is.
func (r *report) row(f *figure) []string {
	row := []string{f.Name, f.Unit}
	first := median(f.Values[r.Targets[0].Name])
	for i, t := range r.Targets {
		v := f.Values[t.Name]
		row = append(row, number(median(v), len(v)), number(f.best(v), len(v)))
		switch {
		case i == 0:
		case first > 0 && len(v) > 0:
			row = append(row, fmt.Sprintf("%.2f", median(v)/first))
		default:
			row = append(row, "")
		}
	}
	return row
}

// line writes a row of so many cells, so that all rows share their columns.
func line(w io.Writer, cells int, row []string) {
	for len(row) < cells {
		row = append(row, "")
	}
	fmt.Fprintln(w, strings.Join(row, "\t"))
}

// number writes a value with three digits that matter.
func number(v float64, n int) string {
	switch {
	case n == 0:
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// best returns the best value.
func (f *figure) best(v []float64) float64 {
	switch {
	case len(v) == 0:
		return 0
	case f.More:
		return slices.Max(v)
	}
	return slices.Min(v)
}

// median returns the middle value, or what lies half-way between the two middle ones.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// percentile returns the smallest value that p per cent do not exceed.
func percentile(v []float64, p int) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[max(0, (len(s)*p+99)/100-1)]
}
