package fs

import "time"

// Times of this room, each with its reason. Tests move them by the injected clock.
const (
	// callTimeout ends every call. An election and a lost lease take 2 s; a call that
	// waits longer than this waits for something that will not come.
	callTimeout = 30 * time.Second

	// interruptGrace is how long a call goes on after its program was interrupted, unless
	// that is being killed. Too short, and programs that get signals all the time see
	// EINTR where no disk gives it; too long, and Ctrl-C seems not to work.
	interruptGrace = time.Second

	// killedCheck is how often the grace is cut short by a look at whether the program
	// is being killed by now: the kernel tells of the first signal only.
	killedCheck = 50 * time.Millisecond

	// cacheFor is how long the kernel may believe what was fresh. The change feed takes
	// it back long before; it only bounds memory of things nobody changes.
	cacheFor = time.Hour

	// namesRest is for how long names have no lifetime after the kernel was made to forget
	// them. Each step of each path costs a question meanwhile, of some 30 us.
	namesRest = time.Second

	// writeBackAfter is how old unpublished data gets before it is published without
	// being asked to: what a local filesystem's journal takes too.
	writeBackAfter = 5 * time.Second

	// idleFor is how long a file stays delegated to this host after it was closed. Until
	// then the first other host that looks at it waits for a round trip and a commit; a
	// longer time makes fewer, larger commands.
	idleFor = time.Second

	// closePatience is how long the kernel may take to tell that a file which was closed is
	// not open any more. It has asked us to note that when close(2) returns; only who kept a
	// copy of the descriptor makes others wait for this long, once an open.
	closePatience = 200 * time.Millisecond

	// crowdedFor is how long after another host has announced a change of a file it may be
	// on its way: no call lasts longer.
	crowdedFor = callTimeout + 5*time.Second

	// watchFor is for how long after another host has read pages of a file its owner goes on
	// to publish each write before it returns. Then it has the pages forgotten, which costs a
	// commit, and buffers again.
	watchFor = time.Second

	// reclaimPatience is how long a write waits for a file that was taken away from this
	// host to be delegated to it again. The kernel may hold a page locked meanwhile, which
	// the change feed may have to wait for.
	reclaimPatience = 2 * time.Second

	// writeBackRetry is the pause after a background publication failed.
	writeBackRetry = time.Second

	// giveUpAfter is how long data of a closed file is kept when it cannot be published.
	giveUpAfter = time.Minute

	// queuePatience is how long a request for a lock waits behind others that only wait, too:
	// long enough for a writer to get in between readers, and short where a program holds a
	// lock on behalf of the one that waits.
	queuePatience = time.Second

	// closingPatience is how long a program that tries a lock waits for another of its host
	// that seems to be closing the file: the kernel tells of that in the background.
	closingPatience = 100 * time.Millisecond

	// readPatience is how long the change feed waits for a READ that reads from before a
	// batch, until it has it read anew: a READ held up by a slow host must not hold up
	// every change of the cluster.
	readPatience = 50 * time.Millisecond

	// sendPatience is how long a program may take to send the second READ of one read(2).
	sendPatience = 20 * time.Millisecond
)
