// Package clock is time, injected: whoever asks what time it is or waits for it to
// pass holds a Clock, so that tests move time by hand and a whole cluster can run in
// a simulated world.
//
// Real is the machine's clock. Manual stands still until it is advanced; its timers
// fire in the order of their deadlines, in the goroutine that advances it, so a test
// needs no sleeps: it waits until the code under test waits (Manual.WaitFor) and
// then advances.
//
// Everything here is safe for concurrent use. Manual has one lock, which is never
// held while a function given to AfterFunc runs.
package clock
