// Package ring decides which hosts own which arc. It is mathematics: a pure function
// of the hosts (weights and zones), the number of copies and the table before, the
// same on every host, architecture and Go version: no floating point, no map order,
// no randomness, no clock.
//
// What Compute promises, each within what the ones before it allow:
//
//  1. An arc's owners are different hosts: as many as copies, or all that there are.
//  2. They lie in as many different zones as possible.
//  3. Every host owns its fair share of all places, in proportion to its weight, to
//     within one place; so does every zone. Of what a host owns it is the primary
//     (first owner) of one part in copies, to within one arc.
//  4. As few places as possible get another owner than before: what moves is the
//     minimum over all tables with these shares that keep 1 and 2. It is never less
//     than the sum of max(0, new share - old share), and mostly just that.
//
// A host of weight 0 owns nothing: it is being drained.
//
// The way there: exact quotas (share.go); keep who may stay (keep.go); give the open
// places to who is short, evenly (fill.go); assign what is open still along cheapest
// augmenting paths, which is where 4 comes from (flow.go, search.go, assign.go); stir
// what is new (stir.go); choose the primaries (primary.go). docs/ring.md has the
// argument and figures.
//
// The package has no lock and starts no goroutine; a Table is never changed once
// made.
package ring
