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

	// writeBackAfter is how old unpublished data gets before it is published without
	// being asked to: what a local filesystem's journal takes too.
	writeBackAfter = 5 * time.Second

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
)
