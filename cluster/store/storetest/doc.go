// Package storetest is the conformance suite of store.Store: every implementation
// runs it, whatever it does underneath. What it checks is what the comments of
// package store promise; a Store that is a store.Local too is checked for that as
// well.
package storetest
