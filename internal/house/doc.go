// Package house holds no code, only the house rules as tests: who may import whom,
// how long a file or a function may be, and where clocks, randomness, errno
// literals and files of the state directory may be touched.
//
// The rules read the source text of the whole module, whatever its build tags, so
// a break shows in plain "go test ./internal/house" with the file and line. Each
// rule is a pure function from a parsed file to its breaches and is itself tested
// on a few lines that break it, so that a rule cannot quietly stop biting. There is
// no list of exemptions: a rule that is wrong is changed for everybody, with the
// reason in docs/decisions.
package house
