// Package wire is how hosts talk to each other, and this comment is the protocol: with
// it alone one can write a second implementation.
//
// # Connections
//
// Hosts talk over TCP with TLS 1.3. Both sides show one self-signed certificate, whose
// Ed25519 public key is the host's identity (signet.HostKey); nothing else in a
// certificate counts, and sessions are not resumed. The side that dials knows which key
// it wants to find. ALPN says what the connection is for: "signet/1" between members
// of a cluster, "signet-join/1" for a host that wants to become one.
//
// Only the side that dialled makes calls and sends one-way messages; the other side
// answers. Two hosts that need each other both ways have connections both ways. A
// connection has a class, Control (1) for what is small or urgent or Bulk (2) for
// objects and checkpoints, so that large payloads never stand in the way of small ones.
//
// # Frames
//
// All that passes under TLS is frames. Numbers of the prefix are big-endian:
//
//	offset 0   4 bytes   H: length of the header, 1 to 65,536
//	offset 4   4 bytes   P: length of the payload, 0 to 8,388,608
//	offset 8   H bytes   header: one MessagePack array, nothing after it
//	then       P bytes   payload: raw bytes
//
// Headers use arrays, unsigned integers, binary strings, text strings and booleans, each
// in its shortest form; arrays have exactly the elements listed here. A receiver checks
// H, then the header, then P against what the header's method allows, before it takes
// memory for any of them. A frame that breaks a rule ends the connection, except that a
// message (the last element of a call) is judged by whoever handles the call. The
// first element of a header is the kind of the frame:
//
//	hello     [1, Hello]                             once in each direction, first
//	call      [2, call, method, millis, message]     payload as the method allows
//	reply     [3, call, message]                     payload as the method allows
//	failure   [4, call, kind, text]                  of a call; call 0: of the connection
//	send      [5, method, message]                   one way; payload as the method allows
//	cancel    [6, call]                              nobody waits for the reply any more
//	ping      [7]
//	pong      [8]
//	goodbye   [9, kind, text]                        make no further calls here
//
// call is a number that the dialling side chooses, different for all calls in flight.
// method is listed below. millis is how long the caller still waits, rounded up to a
// millisecond; 0 means for ever. kind is a signet.Kind, text at most 1,024 bytes for
// people. Calls may be answered in any order; each is answered by exactly one reply or
// failure, also after its deadline or a cancel, because the answer frees its place.
// A cancel for a call that is not in flight means nothing.
//
// # Beginning
//
// The dialling side sends a hello and waits. The other side checks, in this order, that
// the versions overlap, that it knows the class, that the clusters are the same (not
// for signet-join/1) and that the key is a member's (not for signet-join/1), and answers
// with its own hello, or with a failure of call 0 and the end of the connection. Its kind
// is Ended for the key of a host that was a member and has been removed. Until
// then a header may have 2,048 bytes and there are no payloads; whoever takes longer
// than 5 seconds from connecting to its hello is cut off.
//
//	Hello     [version, oldest version, cluster (16 bytes), host, features, class, calls]
//
// The version in use is the lower of the two newest; there must be a version that both
// speak. Hello itself is the same in all versions. features is a set of bits, to be
// defined. calls is how many calls may be in flight on the connection, at least 1, as far
// as its sender goes; the lower number counts, and a call beyond it fails with TooBusy.
//
// # Silence and the end
//
// Either side sends a ping when it has received nothing for a second; a ping is
// answered by a pong. A side that has received nothing for 3 seconds (Control) or 15
// seconds (Bulk), and whose own write has made no progress either, closes all its
// connections with the peer (Control) or this one (Bulk). Calls in flight on a connection that
// ends have failed, with an outcome that is unknown; nothing is repeated. A side that
// does not read its answers while it goes on asking may be cut off.
//
// After goodbye the dialling side makes no further calls on the connection; it is closed
// when those in flight have been answered. There is no other farewell.
//
// # Methods
//
// The protocol has these methods. Payloads are limited to what the second column says, of
// the call or message and of its reply; "object" is 4 MiB + 64 KiB, "large" is 8 MiB.
// Unsigned integers have the sizes that the Go structs show.
//
//	 2 raft       large, one way   Raft [group]; parts, each one Raft message
//	 3 propose    large, none      Propose [group]; parts, each one envelope
//	                               -> Accepted [term, leader, kind]
//	 4 lease      none, none       Lease [group, host, start, acked, digest (32 bytes), reader,
//	                               [orphan, ...] (4,096), more orphans (bool),
//	                               [session, ...] (256), free, capacity, used]
//	                               -> Granted [term, leader, millis, released, commit]
//	 5 release    none, one way    Release [group, term, released]
//	 6 ack        none, one way    Ack [group, host, start, acked, digest (32 bytes)]
//	 7 snapshot   none, object     Snapshot [group, term, index, offset, length, file (128)]
//	                               -> Chunk [term, index, [[name (128), size], ...] (1,024)]
//	 8 put        object, none     Put [group, address (35 bytes), session, index, flags]
//	                               -> Stored []
//	 9 get        none, object     Get [group, address (35 bytes), offset, length] -> []
//	10 has        none, none       Has [group, [address (35 bytes), ...] (1,024)]
//	                               -> Stock [bits], bit i of byte i/8 (lowest first) for address i
//	11 join       none, none       Join [version, proof (256), name (255), [address (280), ...] (16),
//	                               zone (64), capacity, roles, public key (2,048)]
//	                               -> Joined [cluster (16 bytes), host,
//	                               [[host, key (32 bytes), [address (280), ...] (16)], ...] (256)]
//	12 status     none, 1 MiB      Status [] -> []; the payload is for the program that asked
//	13 ping       none, none       Ping [] -> []
//	14 (reserved)
//	15 recall     none, none       Recall [group, session, inode, why]
//	                               -> Recalled [held (bool), passing (bool), inode, mode, links, uid, gid, rdev, size, bytes,
//	                               atime, its nanoseconds, mtime, its, ctime, its, btime, its, owner]
//	16 leased     none, none       Leased [group, host]
//	                               -> Holds [leading (bool), leased (bool)]
//
// If there are more orphans than a lease may list, it lists a part, ascending, and says
// nothing of numbers below its first or above its last; 0 and 2^64-1 stand for the ends.
// A number in parentheses is the most bytes or elements that are allowed. Parts are a
// payload cut into pieces, each after its length in 4 bytes, big-endian. Reserved numbers
// are not used again. Methods 1,024 and up are the application's. On signet-join/1 only join
// and ping may be called, elsewhere all but join. A call of an unknown method fails with NotSupported; a one-way message of an
// unknown method is ignored.
//
// # Examples
//
// A call of ping with number 1 and 30 seconds to wait, and its reply:
//
//	00000008000000009502010dcd753090
//	000000040000000093030190
//
// A put of the six bytes "sealed" as call 300, without a deadline, and how it fails:
//
//	00000033000000069502cd012c08009501c42301abcdeeeeeeeeeeeeeeeeeeeeee
//	eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee11cd03e7007365616c6564
//	00000010000000009404cd012c11a96469736b2066756c6c
//
// testdata has an example of every frame and message, which tests keep true.
//
// # The package
//
// A Server answers on listeners, a Pool makes calls and sends one-way messages. Both are
// made from a Config, into which clock, randomness and dialer are handed. A Pool has one
// connection per peer and class; it dials when somebody wants to talk, at once after
// a connection was lost, and after failures with pauses that double up to a limit.
// While a peer is known to be down, calls fail at once with Unavailable.
//
// It guarantees:
//
//   - a handler's peer has proved its key and was authorised when it connected; Drop ends
//     the connections of a host that is removed;
//   - one-way messages of one peer and class are handled one by one in the order of Send,
//     as long as the connection lasts; when another takes its place, because it was lost
//     or has carried Config.Retire bytes, the last ones may be missing or come late;
//   - every wait ends with its context, and memory is bounded: calls in flight per
//     connection, waiting bytes of one-way messages (then Send refuses), bytes of large
//     payloads being received by a Server (then a connection is read later), connections without a hello, connections per peer;
//   - nothing a peer sends makes this package panic or take memory beyond these bounds;
//   - after Close no goroutine of the package is left.
//
// Each connection has a goroutine that reads and one that writes. The writer takes all
// that waits and writes it at once, so the busier a connection the larger its
// writes; a call costs two switches of goroutine on each side. Handlers run in
// goroutines of their own, sinks of one-way messages in the reader. Each type says which
// lock guards what; a link's lock is held while the pool's is taken, never the other
// way round, and the outbox's is the innermost.
package wire
