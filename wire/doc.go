// Package wire is how hosts talk: TLS 1.3 between pinned host keys, frames of a
// MessagePack header and a raw payload, calls and one-way messages.
package wire
