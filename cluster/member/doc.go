// Package member knows who belongs to a cluster: the directory of hosts as the log has
// it, the tokens with which new hosts join, and the rule by which hosts become voters.
//
// A host is its public key. The directory answers from memory, without locks that a
// writer holds for long, because it is asked at every connection; it is replaced whole
// when the host table changes. Plan and the token's text form are pure functions.
package member
